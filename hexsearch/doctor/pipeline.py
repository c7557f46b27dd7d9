"""What is examined: games, configurations and a trained network, as far as they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.loading import LoadedCheckpoint
from hexsearch.config.data import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.batches import BatchBuilder, TrainingStream
from hexsearch.data.collection.importing import ImportReport
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.positions import all_positions
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.game_forms import game_forms
from hexsearch.doctor.hypotheses.finite import is_finite
from hexsearch.doctor.networks import (
    ExaminedNetwork,
    Observed,
    TrainedNetwork,
    observe,
    restored_trial,
)
from hexsearch.doctor.own_training.watch import watch
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.doctor.samples import (
    ComparedSamples,
    TrainingSamples,
    compared_samples,
    training_samples,
)
from hexsearch.doctor.trial_size import with_small_trunk
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import ContractError, HexsearchError
from hexsearch.model.readout import Readout, build_readout
from hexsearch.training.stored_trial import answering_weights
from hexsearch.training.trial import Trial

SEED = 20_251
Part = TypeVar("Part")
Tried = TypeVar("Tried", bound=Trial)
_WATCHED_STEPS = 4
_LATER_STEPS = 2  # steps after them in which checks look at modes, and at a restored trial
SHORT_STEPS = 150  # of a short training
_HALFWAY, _LATE_STEPS = 0.6, 10  # share of it after which steps are recorded, and their number
_COMPARED_GAMES = 50_000  # games whose symmetric forms are compared
_ENOUGH_GAMES = 50  # games that a table can be fitted on
_JUDGED_GAMES = 250  # validation games that are evaluated, so that a report takes seconds


@dataclass
class ExaminedPipeline:
    """What the checks examine. Parts that are missing are None; checks that need them are left out.

    Attributes:
        label: name in the report.
        archive: the games.
        imported: report of their import, which lists the refused games.
        games_problem: why the games cannot be used; empty if they can.
        data: settings of the data.
        configs: configurations to train. The first one is trained for some steps; of the others
            only read-outs, value heads and curricula are examined.
        loaded: a checkpoint.
        foreign: a user's own model.
    """

    label: str
    archive: GameArchive | None = None
    imported: ImportReport | None = None
    games_problem: str = ""
    data: DataConfig | None = None
    configs: Sequence[TrialConfig] = ()
    loaded: LoadedCheckpoint | None = None
    foreign: ForeignNetwork | None = None

    @cached_property
    def own_training(self) -> OwnTraining | None:
        """The user's training function after some steps. Its errors are raised as PluginError."""
        if self.foreign is None or self.foreign.train is None or self.archive is None:
            return None
        return watch(self.foreign, self.archive)

    @property
    def config(self) -> TrialConfig | None:
        """The first configuration, which is trained for some steps."""
        return self.configs[0] if self.configs else None

    @cached_property
    def dataset(self) -> Dataset | None:
        """The games with their split; None if there are no games, or too few to split."""
        if self.archive is None or self.data is None:
            return None
        try:
            return Dataset(self.archive, self.data)
        except HexsearchError as error:
            self.games_problem = str(error)
            return None

    @cached_property
    def brief_dataset(self) -> Dataset | None:
        """The same data set with fewer validation games, so that reports are quick."""
        if self.dataset is None:
            return None
        wanted = self.dataset.config.validation_games or _JUDGED_GAMES
        few = {"validation_games": min(wanted, _JUDGED_GAMES)}
        return Dataset(self.dataset.archive, self.dataset.config.model_copy(update=few))

    @cached_property
    def forms(self) -> dict[int, tuple[bytes, int]]:
        """Symmetry-invariant forms of the first _COMPARED_GAMES games, as game_forms gives them."""
        if self.archive is None:
            return {}
        count = min(len(self.archive), _COMPARED_GAMES)
        return game_forms(self.archive, np.arange(count, dtype=np.int64))

    @cached_property
    def readouts(self) -> dict[str, Readout]:
        """The read-outs of the configurations by name, without a check of their contract."""
        found: dict[str, Readout] = {}
        own = None if self.foreign is None else self.foreign.readout
        if own is not None:
            found["the model's own" + (" (of -raw)" if own.sign < 0 else "")] = own
        for config in self.configs:
            name = config.readout.name
            if config.readout.label_smoothing:
                name += f" (label_smoothing {config.readout.label_smoothing:g})"
            if name not in found:
                found[name] = build_readout(config.readout, checked=False)
        return found

    @cached_property
    def trial_config(self) -> TrialConfig | None:
        """The first configuration; a large trunk is replaced by a small one of the same kind."""
        return None if self.config is None else with_small_trunk(self.config)

    def new_trial(self, max_positions: int, **settings: Any) -> Trial | None:
        """A new trial with other settings, or `seed`; a ContractError if it cannot be built."""
        return self._new(Trial, max_positions, **settings)

    @property
    def _batch_size(self) -> int:
        return self.trial_config.batch_size if self.trial_config else 0

    def _new(self, kind: type[Tried], most: int, seed: int = SEED, **more: Any) -> Tried | None:
        # In float32 and uncompiled, so that its figures can be recomputed.
        if (config := self.trial_config) is None or (dataset := self.brief_dataset) is None:
            return None
        plain = config.model_copy(update={"precision": "float32", "compile": "never", **more})
        readout = build_readout(config.readout, checked=False)
        return kind.of(plain, dataset, most, seed, readout=readout)

    @cached_property
    def untrained(self) -> WatchedTrial | None:
        """A new trial of the first configuration, which records its steps.

        Raises:
            ContractError: a component cannot be built at all.
        """
        return self._new(WatchedTrial, self._batch_size * (_WATCHED_STEPS + _LATER_STEPS))

    @cached_property
    def watched(self) -> WatchedTrial | None:
        """The same trial after _WATCHED_STEPS training steps."""
        if self.untrained is not None:
            self.untrained.watch(_WATCHED_STEPS, gradients=_WATCHED_STEPS - 1)
        return self.untrained

    @property
    def watched_again(self) -> WatchedTrial | None:
        """One more, for a check that takes a few steps and makes reports."""
        return self._new(WatchedTrial, self._batch_size * SHORT_STEPS)

    @cached_property
    def finite(self) -> WatchedTrial | None:
        """The watched trial, if all numbers that it recorded are finite."""
        return self.watched if self.watched is not None and is_finite(self.watched) else None

    @cached_property
    def halfway(self) -> WatchedTrial | None:
        """A short training after _HALFWAY of its steps, of which the last few are recorded.

        Raises:
            TrialError: it diverges before.
        """
        size, trial = self._batch_size, self.watched_again
        if trial is not None:
            trial.recording = False
            trial.train_to(round(_HALFWAY * SHORT_STEPS) * size)
            trial.recording = True
            trial.watch(_LATE_STEPS)
            trial.recording = False
        return trial

    @cached_property
    def samples(self) -> TrainingSamples | None:
        """Training samples as the network and the loss get them."""
        return None if self.watched is None else training_samples(self.watched)

    @cached_property
    def compared(self) -> ComparedSamples:
        """The same samples, compared with the games. Only for checks that need `samples`."""
        assert self.samples is not None and self.archive is not None
        return compared_samples(self.samples, self.archive)

    @cached_property
    def restored(self) -> Trial | None:
        """The trial of the checkpoint, ready to continue; None if it has seen other games."""
        dataset = self.brief_dataset
        if self.loaded is None or dataset is None or not self.has_finite_weights:
            return None
        return restored_trial(self.loaded, dataset)

    @cached_property
    def has_finite_weights(self) -> bool:
        """Whether there is a checkpoint, and all weights that answer are finite."""
        return self.loaded is not None and all(
            bool(torch.isfinite(tensor.float()).all())
            for tensor in answering_weights(self.loaded.state).values()
        )

    @cached_property
    def examined(self) -> ExaminedNetwork | None:
        """The trained network: the user's own model, or that of the checkpoint."""
        if self.foreign is not None:
            return self.foreign
        if self.loaded is not None and self.has_finite_weights:
            return TrainedNetwork(self.loaded.predictor, self.loaded.positions_seen)
        return None

    @cached_property
    def observed(self) -> Observed | None:
        """Answers on a sample of games: validation games of a checkpoint, any games otherwise."""
        if self.examined is None or self.archive is None:
            return None
        if self.loaded is not None:
            if self.dataset is None:
                return None
            games = self.dataset.validation_games
            stages = self.loaded.data.stages
        else:
            games = np.arange(len(self.archive))
            stages = self.data.stages if self.data else DataConfig().stages
        return observe(self.examined, self.archive, games, stages, SEED)

    @cached_property
    def table(self) -> NDArray[np.float64] | None:
        """[P] answers of a table of shortest paths on the observed positions.

        The table is fitted on the games that were not observed, or on all if these are too few.
        """
        if self.observed is None or self.archive is None:
            return None
        games = np.unique(self.observed.evaluation.game)
        others = np.setdiff1d(np.arange(len(self.archive)), games)
        fitted_on = others if len(others) >= _ENOUGH_GAMES else np.arange(len(self.archive))
        positions = all_positions(self.archive, games)
        return baseline_predictions(self.archive, fitted_on, positions)["shortest-path table"]

    @cached_property
    def stream(self) -> TrainingStream | None:
        """The training stream of the first configuration."""
        config, dataset = self.config, self.dataset
        if config is None or dataset is None:
            return None
        encoder = PositionEncoder.of(config.encoder, dataset.config.board_size)
        return TrainingStream(
            BatchBuilder(dataset.archive, encoder, dataset.config.stages, torch.device("cpu")),
            dataset.training(config.curriculum),
            config.curriculum,
            config.augment,
            SEED,
        )

    @cached_property
    def component_problem(self) -> str:
        """Why no network can be built; empty if one can, or if there are no games."""
        try:
            _ = self.untrained
        except ContractError as error:
            return str(error)
        return ""


def needed(part: Part | None) -> Part:
    """A part that a check needs. `examine` runs a check only if all of them are there."""
    assert part is not None
    return part
