"""What is examined: games, a pipeline ready to train, a trained network, as far as given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.loading import LoadedCheckpoint
from hexsearch.config.data import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import TRUNK_PRESETS, TrunkConfig
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
from hexsearch.doctor.networks import ExaminedNetwork, Observed, TrainedNetwork, observe
from hexsearch.doctor.samples import (
    ComparedSamples,
    ShownSamples,
    compared_samples,
    shown_samples,
)
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import CheckpointError, ContractError, HexsearchError
from hexsearch.model.readout import Readout, build_readout
from hexsearch.training.stored_trial import answering_weights
from hexsearch.training.trial import Trial

SEED = 20_251
_WATCHED_STEPS = 4
_COMPARED_GAMES = 50_000  # games whose symmetric forms are compared
_ENOUGH_GAMES = 50  # that a table can be fitted on
_JUDGED_GAMES = 250  # validation games that a few seconds can be afforded for
_LARGEST_TRUNK = 400_000  # trunk weights that a few hundred steps can be afforded with


@dataclass
class ExaminedPipeline:
    """Parts that are absent are None, and the checks that need them are left out.

    Attributes:
        label: what it is called in the report.
        paths: game files as given; archive, imported: what was read from them.
        games_problem: why there is no archive.
        configs: configurations to train, the first one in full, the others as far as they differ
            in read-out and value head.
        loaded: a checkpoint. foreign: a user's own model.
    """

    label: str
    paths: Sequence[str] = ()
    archive: GameArchive | None = None
    imported: ImportReport | None = None
    games_problem: str = ""
    data: DataConfig | None = None
    configs: Sequence[TrialConfig] = ()
    loaded: LoadedCheckpoint | None = None
    foreign: ForeignNetwork | None = None

    @property
    def config(self) -> TrialConfig | None:
        """The configuration that is trained for a moment."""
        return self.configs[0] if self.configs else None

    @cached_property
    def dataset(self) -> Dataset | None:
        """The games, split; None without games, or with too few."""
        if self.archive is None or self.data is None:
            return None
        try:
            return Dataset(self.archive, self.data)
        except HexsearchError as error:
            self.games_problem = str(error)
            return None

    @cached_property
    def brief_dataset(self) -> Dataset | None:
        """The same games and training split with few validation games, for quick reports."""
        if self.dataset is None:
            return None
        wanted = self.dataset.config.validation_games or _JUDGED_GAMES
        few = {"validation_games": min(wanted, _JUDGED_GAMES)}
        return Dataset(self.dataset.archive, self.dataset.config.model_copy(update=few))

    @cached_property
    def forms(self) -> dict[int, tuple[bytes, int]]:
        """Symmetry-invariant form of each game, of the first ones where there are very many."""
        count = 0 if self.archive is None else min(len(self.archive), _COMPARED_GAMES)
        if self.archive is None:
            return {}
        return game_forms(self.archive, np.arange(count, dtype=np.int64))

    @cached_property
    def readouts(self) -> dict[str, Readout]:
        """Every read-out that the configurations name, sound or not, by name."""
        found: dict[str, Readout] = {}
        if self.foreign is not None and self.foreign.readout is not None:
            found["the model's own"] = self.foreign.readout
        for config in self.configs:
            name = config.readout.name
            if config.readout.label_smoothing:
                name += f" (label_smoothing {config.readout.label_smoothing:g})"
            if name not in found:
                found[name] = build_readout(config.readout, checked=False)
        return found

    @cached_property
    def trial_config(self) -> TrialConfig | None:
        """The first configuration on a trunk that is affordable here."""
        if self.config is None:
            return None
        if self.config.network is not None:
            return self.config
        trunk = self.config.trunk
        weights = sum(
            blocks * 18 * channels * channels
            for blocks, channels in zip(trunk.blocks, trunk.channels, strict=True)
        )
        if weights <= _LARGEST_TRUNK:
            return self.config
        small = TrunkConfig.model_validate(
            {
                **TRUNK_PRESETS["small"],
                "preset": "small",
                "features": trunk.features,
                "norm": trunk.norm,
                "activation": trunk.activation,
            }
        )
        return self.config.model_copy(update={"trunk": small})

    def new_trial(self, max_positions: int) -> Trial | None:
        """A fresh trial of the first configuration; a broken read-out is passed in all the same.

        Raises:
            ContractError: a component cannot be built at all.
        """
        config, dataset = self.trial_config, self.brief_dataset
        if config is None or dataset is None:
            return None
        readout = build_readout(config.readout, checked=False)
        return Trial.of(_plainly_computed(config), dataset, max_positions, SEED, readout=readout)

    @cached_property
    def untrained(self) -> WatchedTrial | None:
        """A fresh trial of the first configuration that will record its steps.

        Raises:
            ContractError: a component cannot be built at all.
        """
        config, dataset = self.trial_config, self.brief_dataset
        if config is None or dataset is None:
            return None
        return WatchedTrial.of(
            _plainly_computed(config),
            dataset,
            config.batch_size * (_WATCHED_STEPS + 1),
            SEED,
            readout=build_readout(config.readout, checked=False),
        )

    @cached_property
    def watched(self) -> WatchedTrial | None:
        """The same after a few real training steps, recorded."""
        if self.untrained is not None:
            self.untrained.watch(_WATCHED_STEPS)
        return self.untrained

    @cached_property
    def finite(self) -> WatchedTrial | None:
        """The watched trial, if all that it showed can be compared."""
        return self.watched if self.watched is not None and is_finite(self.watched) else None

    @cached_property
    def shown(self) -> ShownSamples | None:
        """Training positions as the network is shown them."""
        return None if self.watched is None else shown_samples(self.watched)

    @cached_property
    def compared(self) -> ComparedSamples:
        """The same positions beside what the games say of them; only where there are some."""
        assert self.shown is not None and self.archive is not None
        return compared_samples(self.shown, self.archive)

    @cached_property
    def restored(self) -> Trial | None:
        """The checkpoint's trial, ready to go on; None if these are not its games."""
        dataset = self.brief_dataset
        if self.loaded is None or dataset is None or not self.has_finite_weights:
            return None
        state = self.loaded.state
        config = self.loaded.config
        trial = Trial.of(
            config,
            dataset,
            state["max_positions"],
            state["seed"],
            readout=build_readout(config.readout, checked=False),
        )
        try:
            trial.load_state(state)
        except CheckpointError:
            return None
        return trial

    @cached_property
    def has_finite_weights(self) -> bool:
        """Whether there is a checkpoint that can be asked anything."""
        return self.loaded is not None and all(
            bool(torch.isfinite(tensor.float()).all())
            for tensor in answering_weights(self.loaded.state).values()
        )

    @cached_property
    def examined(self) -> ExaminedNetwork | None:
        """The trained network, whosever it is."""
        if self.foreign is not None:
            return self.foreign
        if self.loaded is not None and self.has_finite_weights:
            return TrainedNetwork(self.loaded.predictor, self.loaded.positions_seen)
        return None

    @cached_property
    def observed(self) -> Observed | None:
        """The network's answers on a sample of held-out games."""
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
        """[P] what a table of shortest paths answers on the observed positions."""
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
        shown = config.encoder
        encoder = PositionEncoder(dataset.config.board_size, shown.perspective, shown.edge_ring)
        return TrainingStream(
            BatchBuilder(dataset.archive, encoder, dataset.config.stages, torch.device("cpu")),
            dataset.training(config.curriculum),
            config.curriculum,
            config.augment,
            SEED,
        )

    @cached_property
    def component_problem(self) -> str:
        """Why no network can be built at all; empty where one can, or where there are no games."""
        try:
            _ = self.untrained
        except ContractError as error:
            return str(error)
        return ""


def _plainly_computed(config: TrialConfig) -> TrialConfig:
    """In float32 and uncompiled, so that what is computed can be computed again."""
    return config.model_copy(update={"precision": "float32", "compile": "never"})
