"""Single networks from Python: `doctor`, `analyze` and `match`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsearch.errors import ConfigError
from hexsearch.interface.given import Games, paths_of, settings_of
from hexsearch.interface.trial import load_network

if TYPE_CHECKING:
    from hexsearch.analysis.comparison import Against
    from hexsearch.analysis.loading import LoadedCheckpoint
    from hexsearch.analysis.predictor import Predictor
    from hexsearch.analysis.unseen import UnseenGames
    from hexsearch.analysis.value_analyzer import Analysis
    from hexsearch.data.archive import GameArchive
    from hexsearch.doctor.findings import Diagnosis
    from hexsearch.play.standings import Standings


@dataclass(frozen=True)
class Analysed:
    """Evaluation of a network on games that it has not seen.

    Attributes:
        unseen: the games that were evaluated, and those that were left out.
        against: differences to another network on the same games, by cut and slice; None if it was
            not compared.
    """

    checkpoint: Path
    positions_seen: int
    archive: GameArchive
    unseen: UnseenGames
    analysis: Analysis
    against: Against | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON of `analyze --format json`."""
        return {
            "checkpoint": str(self.checkpoint),
            "positions_seen": self.positions_seen,
            # Test games are only for confirmations and ensembles.
            "left_out": {
                "trained_on": len(self.unseen.trained_on),
                "for_confirmation": len(self.unseen.for_confirmation),
            },
            **self.analysis.to_json(),
            **({} if self.against is None else {"against": self.against.to_json()}),
        }

    def __repr__(self) -> str:
        from hexsearch.interface.text import as_text
        from hexsearch.report.analysis_tables import render_analysis

        return as_text(
            lambda width: render_analysis(self.analysis, str(self.checkpoint), width, self.against)
        )


def analyze(
    checkpoint: str | Path,
    games: Games,
    *,
    symmetric: bool = False,
    look_ahead: int = 0,
    test_games: bool = False,
    against: str | Path | None = None,
    same_looks: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Analysed:
    """Evaluate a network on games on which it was not trained, by stage.

    Args:
        symmetric: average the answers over the half turn of the board and, in the absolute
            perspective, the reflections with exchanged colours.
        look_ahead: average each answer with those after so many of the likeliest moves; True is 1.
        test_games: evaluate the test games, by which nothing was chosen, in place of the
            validation games. Each use makes them less independent.
        against: a checkpoint, which may be the same one. The differences to its plain answers are
            paired by game. Only games that neither network was trained on are evaluated.
        same_looks: give the answers of `against` the same looks (`symmetric`, `look_ahead`).
        say: called with messages on the games that were read and that are evaluated, and now and
            then with how many positions have been answered.

    Example:
        >>> hs.analyze("results/mine/winner/model.pt", "my_games/")  # doctest: +SKIP
    """
    from hexsearch.analysis.comparison import Against
    from hexsearch.analysis.unseen import unseen_by, unseen_by_both
    from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
    from hexsearch.data.collection.importing import import_games

    path = Path(checkpoint)
    loaded = load_network(path).loaded
    other = _rival(against, same_looks, path, loaded.data.board_size)
    archive, imported = import_games(paths_of(games), loaded.data.board_size, say=say)
    say(imported.summary())
    unseen = unseen_by(path, loaded, archive)
    if other is not None and against is not None:
        unseen = unseen_by_both(unseen, unseen_by(Path(against), other, archive))
    if test_games:
        unseen = unseen.confirming()
    say(str(unseen))

    def analyzer(predictor: Predictor) -> ValueHeadAnalyzer:
        return ValueHeadAnalyzer(
            predictor, archive, unseen.judged, unseen.trained_on, loaded.data.stages, say=say
        )

    analysis = analyzer(loaded.predictor.with_looks(symmetric, look_ahead)).analyse()
    compared = None
    if other is not None:
        looks = (symmetric, look_ahead) if same_looks else (False, 0)
        theirs = analyzer(other.predictor.with_looks(*looks)).evaluate()
        said = _looks(same_looks, bool(symmetric or look_ahead))
        compared = Against.of(str(against), analysis.evaluation, theirs, said)
    return Analysed(path, loaded.positions_seen, archive, unseen, analysis, compared)


def _looks(same: bool, several: bool) -> str:
    """How the two networks of a comparison looked at each position, if one looked several times."""
    if same:
        return "both with the same looks"
    return "the other looks once at each position" if several else ""


def _rival(
    against: str | Path | None, same_looks: bool, path: Path, size: int
) -> LoadedCheckpoint | None:
    """The network that one is compared with, for the same boards."""
    if against is None:
        if same_looks:
            raise ConfigError(
                "same looks (--same-looks) need a checkpoint to compare with; "
                "name it as against (--against)"
            )
        return None
    other = load_network(Path(against)).loaded
    if other.data.board_size != size:
        raise ConfigError(
            f"{against} is for boards of {other.data.board_size}, {path} for boards of "
            f"{size}; networks for different boards cannot be compared"
        )
    return other


def doctor(
    examined: str | Path | None = None,
    *,
    games: Games | None = None,
    model: Any = None,
    encoder: Callable[..., Any] | None = None,
    train: Callable[..., Any] | None = None,
    size: int = 13,
    quick: bool = False,
    set: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Diagnosis:
    """Examine a search space, a checkpoint or your own network.

    Args:
        examined: a space or a checkpoint; None examines `model`, or the default configuration.
        model: your own network, which returns (policy, value) for planes [P, C, N, N].
        encoder: function of `model`: `encode(stones, to_move)` returns planes [C, N, N].
        train: your training function of a list of (moves, red_won), run for some steps.
        size: board size of `model`.
        quick: leave out checks that need training.
        say: called with the name of each check when it begins.
    Returns:
        Findings with evidence, cause and remedy; `.errors` are the errors among them.

    Example:
        >>> hs.doctor(model=net, encoder=encode, games="my_games/")  # doctest: +SKIP
    """
    from hexsearch.doctor.admission import admit_checkpoint, admit_configs, admit_model
    from hexsearch.doctor.examine import examine
    from hexsearch.doctor.registry import ANSWERS, QUICK
    from hexsearch.interface.doctor_check import configurations
    from hexsearch.search.shipped import find_space
    from hexsearch.search.space_parsing import load_space

    paths = paths_of(games)
    if (model is None) != (encoder is None):
        raise ConfigError("model and encoder belong together; give both")
    if train is not None and model is None:
        raise ConfigError("train is compared with a network; give model and encoder, too")
    if model is not None and encoder is not None:
        if examined is not None:
            raise ConfigError(f"{examined}: give either this or a model, not both")
        pipeline = admit_model(model, encoder, size, paths, train)
    elif examined is not None and Path(examined).suffix not in ("", ".yaml", ".yml"):
        pipeline = admit_checkpoint(Path(examined), paths)
    else:
        file = find_space(str(examined or "quick"))
        config, space = load_space(file, settings_of(set or {}))
        pipeline = admit_configs(str(file), configurations(space), config.data, paths)
    return examine(pipeline, (*QUICK, *ANSWERS) if quick else None, say)


def match(
    *players: str | Path,
    openings: int = 30,
    player: str = "search",
    nodes: int = 64,
    policy: str | Path | None = None,
    size: int | None = None,
    seed: int = 0,
    workers: int = 1,
    output: str | Path | None = None,
) -> Standings:
    """Let players play each other, with each opening twice and colours exchanged.

    Args:
        players: checkpoints, folders of studies (their leaders), `random`, `shortest-path`,
            `mcts:PLAYOUTS`. `@policy`, `@value:K` or `@search:NODES` may follow a network.
        player, nodes: how networks play if nothing follows them.
        policy: a checkpoint; all value players choose among its likeliest moves.
        size: board size, if not that of the networks.
        output: file of the games, from which an interrupted match continues.
    Returns:
        Scores, Elo and intervals; `.to_json()` is the JSON of `match --format json`.

    Example:
        >>> hs.match("a/model.pt", "b/model.pt", "mcts:400").to_json()  # doctest: +SKIP
    """
    from hexsearch.interface.players import find_players, on_one_board
    from hexsearch.play.match import MatchSettings, play_match
    from hexsearch.play.spec import PlayerSpec
    from hexsearch.play.standings import standings

    defaults = PlayerSpec(
        name="",
        kind="network",
        style=player,  # type: ignore[arg-type]
        nodes=nodes,
        policy=None if policy is None else str(policy),
    )
    found = find_players([str(each) for each in players], defaults)
    found, board = on_one_board(found, size)
    settings = MatchSettings(size=board, openings=openings, seed=seed)
    kept = None if output is None else Path(output)
    results = play_match(found, settings, kept, workers, lambda done, total: None)
    return standings([each.name for each in found], results)
