"""The networks that `ensemble` averages: those of a study, or checkpoints of single trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from hexsearch.analysis.loading import load_network
from hexsearch.analysis.predictor import Predictor
from hexsearch.analysis.unseen import unseen_by, unseen_by_both
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import GameArchive, open_archive
from hexsearch.data.collection.importing import import_games
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import Indices
from hexsearch.errors import CheckpointError, ConfigError, LedgerError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, StudyHistory, TrialHistory
from hexsearch.training.metrics import Evaluation


@dataclass(frozen=True)
class Members:
    """Networks, and games that none of them was trained on.

    Attributes:
        label: what they are called together; names: what each is called.
        validation, test: games by which ensembles are chosen, and by which they are judged.
        trunks: name of a trunk -> places of its heads, for trunks with several heads.
    """

    label: str
    names: list[str]
    networks: list[Predictor]
    archive: GameArchive
    stages: StagesConfig
    training: Indices
    validation: Indices
    test: Indices
    trunks: Mapping[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of_study(cls, path: Path, top: int | None) -> Members:
        """The finished networks of a study, best on validation games first.

        Args:
            top: number of networks; None takes all.
        Raises:
            ConfigError, LedgerError, CheckpointError: there are too few networks or test games.
        """
        folder = StudyFolder(path)
        _, config = folder.read_description()
        is_comparison = "search" not in config.phases
        history = StudyHistory.read(folder.ledger)
        trials = _kept(history.only({"compare"} if is_comparison else SEARCHED), folder, top)
        dataset = Dataset(open_archive(folder.archive), config.data)
        if len(dataset.games("test")) < 2:
            raise ConfigError(
                f"{folder.path}: {len(dataset.games('test'))} test games; an ensemble needs games "
                "by which no trial was chosen (data.split.test)"
            )
        return cls(
            folder.name,
            [trial.trial for trial in trials],
            [_of_trial(folder, trial, dataset) for trial in trials],
            dataset.archive,
            config.data.stages,
            dataset.train_games,
            dataset.validation_games,
            dataset.games("test"),
            _trunks(trials) if is_comparison else {},
        )

    @classmethod
    def of_checkpoints(
        cls, paths: Sequence[Path], games: Sequence[str], say: Callable[[str], None]
    ) -> Members:
        """Single networks, and the games that none of them was trained on.

        Raises:
            ConfigError, GamesError: they are for different boards, or no games are left.
        """
        loaded = [load_network(path) for path in paths]
        first = loaded[0]
        for path, other in zip(paths, loaded, strict=True):
            if other.data.board_size != first.data.board_size:
                raise ConfigError(
                    f"{path} is for boards of {other.data.board_size}, {paths[0]} for boards of "
                    f"{first.data.board_size}; networks for different boards cannot be averaged"
                )
        archive, imported = import_games(games, first.data.board_size, say=say)
        say(imported.summary())
        unseen = reduce(
            unseen_by_both,
            [unseen_by(path, each, archive) for path, each in zip(paths, loaded, strict=True)],
        )
        test = unseen.confirming().judged
        if len(test) < 2:
            raise ConfigError(f"an ensemble needs two test games or more: {unseen}")
        return cls(
            f"{len(paths)} checkpoints",
            [str(path) for path in paths],
            [each.predictor for each in loaded],
            archive,
            first.data.stages,
            unseen.trained_on,
            unseen.judged,
            test,
        )

    def answers(self, games: Indices, say: Callable[[str], None]) -> list[Evaluation]:
        """The answers of each network on all positions of some games."""

        def answered(name: str, network: Predictor) -> Evaluation:
            return ValueHeadAnalyzer(
                network,
                self.archive,
                games,
                self.training,
                self.stages,
                say=lambda line: say(f"{name}: {line}"),
            ).evaluate()

        return list(map(answered, self.names, self.networks))


def _kept(history: StudyHistory, folder: StudyFolder, top: int | None) -> list[TrialHistory]:
    """The completed trials that have a checkpoint, best on validation games first.

    Raises:
        LedgerError, CheckpointError: there are fewer than two.
    """
    finished = [
        trial
        for trial in history.trials.values()
        if trial.status == "completed" and not trial.is_control and trial.value_loss is not None
    ]
    if len(finished) < 2:
        raise LedgerError(
            f"{folder.path}: {len(finished)} finished trials; an ensemble needs two or more"
        )
    kept = [trial for trial in finished if folder.checkpoint(trial.trial).exists()]
    if len(kept) < 2:
        raise CheckpointError(
            f"{folder.path}: {len(kept)} of {len(finished)} finished trials kept their checkpoint; "
            "an ensemble needs two or more: raise run.keep_checkpoints in the next study"
        )
    kept.sort(key=lambda trial: (trial.value_loss or 0.0, trial.number))
    return kept[:top]


def _of_trial(folder: StudyFolder, trial: TrialHistory, dataset: Dataset) -> Predictor:
    path = folder.checkpoint(trial.trial)
    loaded = load_network(path)
    if loaded.archive_hash != dataset.archive.content_hash or loaded.data != dataset.config:
        raise CheckpointError(
            f"{path}: was trained on other games than those of {folder.path}, or on another split "
            "of them; test games may be among its training games"
        )
    return loaded.predictor


def _trunks(trials: list[TrialHistory]) -> dict[str, list[int]]:
    """Name of a trunk -> indices of its heads, for trunks with several heads."""
    groups: dict[str, list[int]] = {}
    for place, trial in enumerate(trials):
        groups.setdefault(f"heads of seed {trial.replicate + 1}", []).append(place)
    return {name: places for name, places in sorted(groups.items()) if len(places) > 1}
