"""Slips in hexsearch's own pipeline, and files of games, of the sixteenth set.

See `slips_sixteenth_scripts` for how the set was drawn and for what counts as named. Search values
of the wrong side were drawn as a file. The command that reads files does not train on such values,
so this file is imported, and what comes of it is trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.data.position_set import PositionSet
from hexsearch.data.positions import all_positions, position_set
from hexsearch.game.board import BLUE, RED, cell_name
from hexsearch.game.distance import connection_distances
from hexsearch.game.record import Game
from hexsearch.game.search_values import values_note
from hexsearch.model.readout import Bce
from tests.doctor.games import lopsided_games
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import Patch, Slip, in_labels, nothing
from tests.doctor.slips_ninth_games import line_of

_KEPT_ASIDE = 0.15  # share of the positions
_HELD = 100  # games of somebody who has few
_LATE = 9  # most plies that a game lacks which was given up


def _turned_again(batch: Batch) -> Tensor:
    """The sign is turned where the second player moves, though the label is the mover's."""
    return torch.where(batch.ply % 2 == 1, 1 - batch.outcome, batch.outcome)


def _divergence_by_hand(patch: Patch) -> None:
    """The Kullback-Leibler divergence of a result, 0 or 1, with 0 * log(0) in it."""

    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        wins = raw.sigmoid()
        return target * (target / wins).log() + (1 - target) * ((1 - target) / (1 - wins)).log()

    patch.setattr(Bce, "loss", loss)


def _by_rows(patch: Patch) -> None:
    """The rows of one large table of positions are shuffled and cut into two sets."""

    def cut(self: Any, validated: bool) -> PositionSet:
        games = np.sort(np.concatenate([self.games("train"), self.games("validation")]))
        table = all_positions(self.archive, games)
        order = np.random.default_rng(16).permutation(len(table))
        aside = round(_KEPT_ASIDE * len(table))
        rows = order[:aside] if validated else order[aside:]
        game, ply = table.at(np.sort(rows))
        return position_set(game, ply, ply)

    def training(self: Any, curriculum: CurriculumConfig) -> PositionSet:
        return cut(self, validated=False)

    patch.setattr(Dataset, "training", training)
    patch.setattr(Dataset, "validation", property(lambda self: cut(self, validated=True)))


def _few(archive: GameArchive) -> GameArchive:
    """The last games of an archive."""
    return build_archive([archive.game(index) for index in range(len(archive))][-_HELD:])


def _boards(game: Game) -> Iterator[np.ndarray[Any, np.dtype[np.int8]]]:
    """The board before each move."""
    board = np.zeros((game.size, game.size), dtype=np.int8)
    for ply, cell in enumerate(game.moves):
        yield board.copy()
        board[divmod(cell, game.size)] = BLUE if ply % 2 == 0 else RED


def searched(archive: GameArchive, of_mover: bool = False) -> GameArchive:
    """Games with values of a search that counts stones; `of_mover` is the slip."""
    lines = []
    for index in range(len(archive)):
        game = archive.game(index)
        blue, red = connection_distances(np.stack(list(_boards(game))))
        reds = np.arange(len(blue)) % 2 == 1
        chances = 1 / (1 + np.exp(red - blue + np.where(reds, -0.5, 0.5)))
        if of_mover:
            chances = np.where(reds, chances, 1 - chances)
        line = line_of(game.moves, game.winner, game.size).rstrip("\n")
        lines.append(f"{line} # {values_note(chances)}\n")
    with TemporaryDirectory() as made:
        path = Path(made) / "games.trmph"
        path.write_text("".join(lines), encoding="utf-8")
        return import_games([path], int(archive.sizes[0]))[0]


def _of_the_mover(archive: GameArchive) -> GameArchive:
    """Values of the side to move, in a file in which they should be Red's."""
    return searched(archive, of_mover=True)


_MOVER = "(side.to.move|mover|player to move|whose turn|who(se)? (is to )?moves?\\b|which side)"
_TURNED = (
    "(invert|flip|negat|revers|exchang|swap|wrong|opposite|contradict|complement|perspective|sign|"
    "other (side|player|colour)|random|no relation|unrelated|inconsistent|" + _MOVER + ")"
)
_LABEL = "(label|target|outcome|result|value)s?\\b"

SLIPS: dict[str, Slip] = {
    "sign turned at every second ply once more": Slip(
        in_labels(_turned_again),
        "^(?!.*\\bplane of).*((every|each) (second|other) (ply|position|move|turn)|(odd|even) (ply"
        "|plies|number)|turned twice|twice (turned|flipped|negated|inverted)|parity|perspective|(w"
        "here|when|if|for|of) (red|blue|the second player).{0,40}(moves?\\b|to move|turn)|(red|blu"
        "e) is to move|"
        + f"{_LABEL}.{{0,80}}(of|for) (red|blue|a fixed|one (side|colour))|{_LABEL}.{{0,80}}"
        + f"{_MOVER}|{_MOVER}.{{0,80}}{_LABEL}|\\b(red|blue)'s (result|label|target|outcome))",
        cause="Labels are those of the side to move already, and they are inverted once more at "
        "every second ply, so they are those of one fixed colour.",
        report="from memory: value * player in the loop over examples after the result was made "
        "relative, in forks of alpha-zero-general",
    ),
    "divergence with a logarithm of zero": Slip(
        _divergence_by_hand,
        "\\bnan\\b|\\binf(inite|inity)?\\b|not finite|non-?finite|log(arithm)?s? of (0|zero)|log\\("
        "0\\)|0 ?(\\*|times) ?(inf|log)|overflow|not a number|diverge[ns]ce by hand|kullback",
        cause="The value loss is a divergence by hand with 0 * log(0) in it, which is NaN, so all "
        "weights become NaN in the first step.",
        report="from memory: own KL divergence with one-hot targets gives nan, PyTorch forum",
    ),
    "table of positions cut into two sets": Slip(
        _by_rows,
        "\\bleak|both (in )?(training|sets|splits)|in both|training.{0,60}(also|shared|overlap).{0"
        ",60}(validation|held|test)|(validation|held.?out|\\btest).{0,80}(\\balso\\b|same game|tra"
        "ining game|shared|overlap|trained on|seen in training)|same games?.{0,60}(training|valida"
        "tion|split|both)|split (by|into|over|on|at) (positions?|rows)|by (position|row)s?,? (and "
        ")?not by games?|positions? (were |are |and not games )?(were |are )?(split|divided|drawn|"
        "cut)|positions? (in place of|instead of|rather than) games|overlap|contamin",
        games=_few,
        cause="Positions and not games were divided at random into training and validation, so "
        "nearly every validation position has neighbours of its own game in the training.",
        report="from memory: sklearn's train_test_split on a table of positions",
    ),
    "policy loss weighted a thousandfold": Slip(
        nothing,
        "(policy|loss).{0,40}weight|weight\\b.{0,40}(policy|loss)|policy.{0,60}(dominat|swamp|outwe"
        "igh|drown|overwhelm|too (large|high|strong|heavy|big)|far (larger|more)|times (as|larger)|"
        "crowd)|(dominat|swamp|outweigh|drown|overwhelm).*policy|value.{0,60}(drown|swamp|overwhelm"
        "|outweigh|small share|crowded)|balance of (the )?loss",
        {
            "policy_head": {"weight": 1000.0},
            "optimiser": {"name": "sgd", "learning_rate": 0.02},
        },
        cause="The policy loss has a thousand times the weight of the value loss, and gradients "
        "are clipped together, so the value is hardly learnt.",
        report="from memory: loss = value_loss + c * policy_loss with sums in place of means",
    ),
    "search values of the side to move": Slip(
        nothing,
        f"(search|root|engine).{{0,120}}{_TURNED}|{_TURNED}.{{0,120}}(search|root value|engine)",
        {"curriculum": {"name": "all", "search_value": 0.8}},
        games=_of_the_mover,
        cause="The file has the search values of the side to move where those of Red belong, so "
        "they are inverted wherever Blue is to move.",
        report="from memory: root value of an MCTS, which is the mover's, written without a sign",
    ),
}


def _last_mover(games: Sequence[Game]) -> Mapping[str, str]:
    """Every second game was given up some plies before its end, at either side's turn."""
    rng, texts = np.random.default_rng(16), []
    for number, game in enumerate(games):
        lacks = int(rng.integers(1, _LATE + 1)) if number % 2 == 0 else 0
        moves = game.moves[: max(2, len(game.moves) - lacks)]
        colours = ["BW"[ply % 2] for ply in range(len(moves))]
        stones = "".join(
            f";{colour}[{cell_name(cell, game.size)}]"
            for colour, cell in zip(colours, moves, strict=True)
        )
        texts.append(f"(;FF[4]GM[11]SZ[{game.size}]RE[{colours[-1]}+]{stones})\n")
    return {"games.sgf": "".join(texts)}


def _size_of_another_board(games: Sequence[Game]) -> Mapping[str, str]:
    """The exporter writes one size for all games, but half of them are of a smaller board."""
    size = games[0].size
    smaller = iter(lopsided_games(len(games) // 2, size - 1, seed=16))
    lines = []
    for number, game in enumerate(games):
        written = next(smaller) if number % 2 else game
        names = "".join(cell_name(cell, written.size) for cell in written.moves)
        lines.append(f"#{size},{names} {'b' if written.winner == BLUE else 'r'}\n")
    return {"games.trmph": "".join(lines)}


FILES: dict[str, GamesFile] = {
    "player of the last stone won": GamesFile(
        _last_mover,
        "last (mover|to move|stone|player|move)|(winner|result|label)s?.{0,80}(wrong|\\blast|moved|"
        "doubt|contradict|parity|follow|\\bodd\\b|\\beven\\b|mover|side to move|unfinished|cut|aban"
        "don|do(es)? not)|(wrong|doubtful|parity|side to move|mover|unfinished|abandon).{0,60}(winn"
        "er|result|label)|resign|given up|gave up",
        "Games that were given up have the player of the last stone as their winner, who lost half "
        "of them.",
        "from memory: winner = last player to move in the loops of self-play",
    ),
    "wrong board size in the header": GamesFile(
        _size_of_another_board,
        "board.{0,3}size|size of (the |a )?board|smaller.{0,20}board|board.{0,40}smaller|another s"
        "ize|other sizes|wrong size|header|\\bSZ\\b|4 ?(x|by) ?4|(last|outer|outermost|far|right|b"
        "ottom).{0,20}(row|column|edge)|(row|column)s?\\b.{0,50}(never|empty|unused|no stones?|not"
        " played)|(never|no (stone|move)s?).{0,50}(row|column)|corner|(part|rest) of the board",
        "Half of the games were played on a board that is one row and one column smaller than the "
        "header says, so their last row and column are empty and nobody connects.",
        "from memory: exporters that write the default size of their settings",
    ),
}
