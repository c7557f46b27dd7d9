"""The fault suite: what is injected into a healthy pipeline is named with its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.analysis.doctor import examine as rounds
from hexsearch.analysis.doctor.findings import Diagnosis
from hexsearch.analysis.doctor.patient import Patient
from hexsearch.config.study import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data import dataset as datasets
from hexsearch.data import position_set
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batches import Batch, BatchBuilder, TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.data.importing import ImportReport
from hexsearch.data.positions import all_positions
from hexsearch.game.board import RED
from hexsearch.game.symmetry import SWAPS_COLOURS, symmetry_cells
from hexsearch.model.network import Network
from hexsearch.training import step as steps
from hexsearch.training import trial as trials
from tests.analysis.conftest import SIZE, tiny

PLUGINS = "tests.analysis.plugins"
Patch = pytest.MonkeyPatch


def patient(archive: GameArchive, config: TrialConfig, **parts: Any) -> Patient:
    data = DataConfig(board_size=SIZE)
    imported = ImportReport(files=["lopsided"], read=len(archive))
    return Patient(
        "suite", archive=archive, imported=imported, data=data, configs=[config], **parts
    )


def quick(archive: GameArchive, config: TrialConfig) -> Diagnosis:
    return rounds.examine(patient(archive, config), rounds.QUICK)


# --- faults, each a function that breaks one thing ------------------------------------------


def nothing(patch: Patch) -> None:
    """The fault lies in the configuration."""


def blue_for_red(patch: Patch) -> None:
    sound = trials.win_prob_red  # type: ignore[attr-defined]
    patch.setattr(trials, "win_prob_red", lambda *arguments: 1.0 - sound(*arguments))


def never_carried_back(patch: Patch) -> None:
    patch.setattr(
        PositionEncoder, "complement", lambda self, symmetries: np.zeros(len(symmetries), bool)
    )


def label_left_behind(patch: Patch) -> None:
    sound = PositionEncoder.outcome
    patch.setattr(
        PositionEncoder,
        "outcome",
        lambda self, red_won, symmetries: sound(self, red_won, np.zeros_like(symmetries)),
    )


def mover_left_behind(patch: Patch) -> None:
    _after_encoding(
        patch,
        lambda planes, s: _put(
            planes,
            2,
            np.where(
                (SWAPS_COLOURS[s])[:, None, None] & (planes[:, 2] != 0.5),
                1 - planes[:, 2],
                planes[:, 2],
            ),
        ),
    )


def colours_without_reflection(patch: Patch) -> None:
    sound = PositionEncoder.encode

    def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        planes = sound(self, cells, plies, symmetries % 2, finished)
        swapped = SWAPS_COLOURS[symmetries]
        planes[swapped, :2] = planes[swapped, 1::-1]
        return planes

    patch.setattr(PositionEncoder, "encode", encode)


def reflection_without_colours(patch: Patch) -> None:
    _after_encoding(
        patch,
        lambda planes, s: np.where(
            SWAPS_COLOURS[s][:, None, None, None], planes[:, [1, 0, 2]], planes
        ),
    )


def move_left_behind(patch: Patch) -> None:
    _change_target(patch, lambda moved, original, size: original)


def move_by_another_symmetry(patch: Patch) -> None:
    _change_target(patch, lambda moved, original, size: symmetry_cells(size)[1][moved])


def move_column_major(patch: Patch) -> None:
    _change_target(patch, lambda moved, original, size: moved % size * size + moved // size)


def unshuffled(patch: Patch) -> None:
    patch.setattr(
        position_set,
        "without_replacement",
        lambda n, seed, cursor, count: (cursor + np.arange(count)) % n,
    )


def four_siblings(patch: Patch) -> None:
    sound = position_set.without_replacement  # type: ignore[attr-defined]
    patch.setattr(
        position_set,
        "without_replacement",
        lambda n, seed, cursor, count: np.repeat(sound(n, seed, cursor // 4, -(-count // 4)), 4)[
            :count
        ],
    )


def finished_with_mover(patch: Patch) -> None:
    sound = PositionEncoder.encode
    patch.setattr(
        PositionEncoder,
        "encode",
        lambda self, cells, plies, s, finished: sound(
            self, cells, plies, s, np.zeros_like(finished)
        ),
    )


def empty_targets_count(patch: Patch) -> None:
    sound = BatchBuilder.build

    def build(self: Any, *arguments: Any) -> Batch:
        batch = sound(self, *arguments)
        return replace(batch, has_move=torch.ones_like(batch.has_move))

    patch.setattr(BatchBuilder, "build", build)


def mask_ignored(patch: Patch) -> None:
    patch.setattr(
        trials,
        "policy_loss",
        lambda logits, target, mask: torch.nn.functional.cross_entropy(logits, target),
    )


def split_by_position(patch: Patch) -> None:
    validation = property(lambda self: all_positions(self.archive, self.train_games[:50]))
    patch.setattr(Dataset, "validation", validation)


def copies_across_split(patch: Patch) -> None:
    def by_row(archive: GameArchive, split: str, *shares: object) -> Any:
        rows = np.arange(len(archive))
        return rows[
            {"train": rows % 10 < 8, "validation": rows % 10 == 8, "test": rows % 10 == 9}[split]
        ]

    patch.setattr(datasets, "split_games", by_row)


def never_stepped(patch: Patch) -> None:
    patch.setattr(steps, "set_learning_rate", lambda *arguments: None)


def clipped_in_scaled_units(patch: Patch) -> None:
    def clip(network: Any, limit: float) -> Any:
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), limit / 65536)
        return norm

    patch.setattr(steps, "clip_gradients", clip)


def clipping_without_effect(patch: Patch) -> None:
    patch.setattr(
        steps,
        "clip_gradients",
        lambda network, limit: torch.nn.utils.get_total_norm(
            [p.grad for p in network.parameters()]
        ),
    )


def head_not_optimised(patch: Patch) -> None:
    sound = steps.build_optimiser  # type: ignore[attr-defined]

    def build(network: Any, *rest: Any) -> Any:
        optimiser = sound(network, *rest)
        optimiser.param_groups = [
            group for group in optimiser.param_groups if group["owner"] != "value_head"
        ]
        return optimiser

    patch.setattr(steps, "build_optimiser", build)


def trunk_frozen(patch: Patch) -> None:
    sound = trials.build_network  # type: ignore[attr-defined]

    def build(*arguments: Any) -> Network:
        network: Network = sound(*arguments)
        for parameter in network.trunk.parameters():
            parameter.requires_grad = False
        return network

    patch.setattr(trials, "build_network", build)


@dataclass(frozen=True)
class Fault:
    inject: Callable[[Patch], None]
    check: str
    cause: str
    settings: dict[str, Any]


def fault(inject: Callable[[Patch], None], check: str, cause: str, **settings: Any) -> Any:
    label = settings.pop("label", inject.__name__)
    settings.setdefault("encoder", {"perspective": "absolute"})
    return pytest.param(Fault(inject, check, cause, settings), id=label)


FAULTS = [
    fault(
        nothing,
        "read-out",
        "compares the raw output with 0 and 1, and a sigmoid",
        label="raw_mse_shown_by_sigmoid",
        readout=f"{PLUGINS}:RawMseShownBySigmoid",
    ),
    fault(
        nothing,
        "read-out",
        "compares the raw output with -1 and 1, and a sigmoid",
        label="signed_mse_shown_by_sigmoid",
        readout=f"{PLUGINS}:SignedMseShownBySigmoid",
    ),
    fault(
        nothing,
        "read-out",
        "that of the other side",
        label="readout_of_the_other_side",
        readout=f"{PLUGINS}:OtherSide",
    ),
    fault(
        nothing,
        "label smoothing",
        "applied twice",
        label="label_smoothing_twice",
        readout={"name": f"{PLUGINS}:SmoothsByItself", "label_smoothing": 0.08},
    ),
    fault(
        nothing,
        "value heads",
        "detached",
        label="value_head_detached",
        value_head=f"{PLUGINS}:DetachedHead",
    ),
    fault(
        nothing,
        "learning rate",
        "value_lr_factor is 0",
        label="value_learning_rate_0",
        optimiser={"value_lr_factor": 0.0},
    ),
    fault(
        nothing,
        "clipping",
        "sets the size of the steps",
        label="clipped_at_every_step",
        optimiser={"clip": 0.001},
    ),
    fault(blue_for_red, "perspective", "Blue is reported as that of Red"),
    fault(never_carried_back, "boards", "Red's chance is shown as Blue's"),
    fault(label_left_behind, "boards", "the label is not exchanged"),
    fault(mover_left_behind, "boards", "side-to-move plane is not exchanged"),
    fault(colours_without_reflection, "boards", "colours exchanged without reflecting"),
    fault(reflection_without_colours, "boards", "reflected without exchanging the colours"),
    fault(move_left_behind, "boards", "planes but not to the next move"),
    fault(move_by_another_symmetry, "boards", "another symmetry than the stones"),
    fault(move_column_major, "boards", "column-major", augment=False),
    fault(unshuffled, "batches", "not shuffled across games"),
    fault(four_siblings, "batches", "not shuffled across games"),
    fault(finished_with_mover, "finished boards", ""),
    fault(
        finished_with_mover,
        "label leaks",
        "the mover is the loser",
        label="finals_only_with_mover",
        curriculum="final",
    ),
    fault(empty_targets_count, "finished boards", "read as cell 0"),
    fault(mask_ignored, "finished boards", "read as cell 0"),
    fault(split_by_position, "split", "by position, not by game"),
    fault(never_stepped, "schedule", "never stepped"),
    fault(clipped_in_scaled_units, "clipping", "scaled units"),
    fault(clipping_without_effect, "clipping", "no effect", optimiser={"clip": 0.05}),
    fault(head_not_optimised, "parameter groups", "never reach the optimiser"),
    fault(trunk_frozen, "parameter groups", "frozen"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_its_cause(
    fault: Fault, archive: GameArchive, monkeypatch: Patch
) -> None:
    fault.inject(monkeypatch)
    found = quick(archive, tiny(**fault.settings)).findings
    named = [f for f in found if f.check == fault.check and fault.cause in f.cause]
    assert named, [(f.check, f.cause) for f in found]
    assert any(character.isdigit() for character in named[0].evidence)
    expected = "warning" if fault.cause == "sets the size of the steps" else "error"
    assert named[0].severity == expected


HEALTHY: dict[str, dict[str, Any]] = {
    "default": {},
    "absolute": {"encoder": {"perspective": "absolute"}},
    "deep_head": {"value_head": "512->128->64->1"},
    "reduced_head": {"value_head": "reduced 512->64->1", "readout": "tanh_mse"},
    "smoothed": {"readout": {"name": "bce", "label_smoothing": 0.1}},
    "improper": {"readout": {"name": "tanh_logcosh", "label_smoothing": 0.05}},
    "sgd": {"optimiser": {"name": "sgd", "learning_rate": 0.05, "schedule": "cosine"}},
    "last_k": {"curriculum": {"name": "last_k", "k": 6}, "optimiser": {"schedule": "constant"}},
    "finals": {"curriculum": "final", "encoder": {"perspective": "absolute"}},
    "easy": {"curriculum": "penultimate_and_final", "policy_head": {"weight": 0.0}},
    "plugins": {"value_head": f"{PLUGINS}:MaxHead", "readout": f"{PLUGINS}:SoundReadout"},
    "edge_ring": {"encoder": {"perspective": "absolute", "edge_ring": True}},
    "edge_ring_mover": {"encoder": {"perspective": "mover", "edge_ring": True}},
    "weighted": {"curriculum": {"name": "all", "stage_weights": {"early": 0.5}}},
    "unaugmented": {"augment": False, "trunk": {"preset": "tiny", "norm": "group"}},
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_configuration_gets_no_error(name: str, archive: GameArchive) -> None:
    diagnosis = quick(archive, tiny(**HEALTHY[name]))
    assert not diagnosis.errors, diagnosis.errors
    assert len(diagnosis.checks) >= 14


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_configuration_gets_no_error_from_lessons_either(
    name: str, archive: GameArchive
) -> None:
    diagnosis = rounds.examine(patient(archive, tiny(**HEALTHY[name])))
    assert not diagnosis.errors, diagnosis.errors
    assert {"overfit", "lesson", "permuted labels"} <= set(diagnosis.checks)


# --- faults in the games ---------------------------------------------------------------------


def test_winners_inverted_in_half_of_the_files_are_named_by_file(archive: GameArchive) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    half = [
        replace(game, source="b.trmph", winner=-game.winner) if index % 2 else game
        for index, game in enumerate(games)
    ]
    (finding,) = [f for f in quick(build_archive(half), tiny()).errors if f.check == "labels"]
    assert "b.trmph: 300 of 300" in finding.evidence
    assert "other way round" in finding.cause


def test_mirrored_copies_across_the_split_are_counted(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    half_turn = symmetry_cells(SIZE)[1]
    mirrored = [
        replace(game, moves=tuple(int(half_turn[cell]) for cell in game.moves)) for game in games
    ]
    copies_across_split(monkeypatch)
    both = build_archive([*games, *mirrored[5:]])  # shifted: copies leave their split's residue
    diagnosis = quick(both, tiny())
    errors = {finding.check: finding for finding in diagnosis.errors}
    assert "copies of one game fall on both sides" in errors["split"].cause
    assert any(f.check == "duplicates" and f.severity == "warning" for f in diagnosis.findings)


def test_a_game_that_two_sources_judge_differently_is_named(archive: GameArchive) -> None:
    games = [archive.game(index) for index in range(len(archive))]
    resigned = replace(games[0], moves=games[0].moves[:5], finished=False, winner=RED)
    claimed = [resigned, replace(resigned, winner=-RED, line=9_000)]
    found = quick(build_archive([*games, *claimed]), tiny()).errors
    assert any(f.check == "duplicates" and "different winners" in f.evidence for f in found)


def test_the_suite_holds_at_least_twenty_faults() -> None:
    assert len(FAULTS) + 3 >= 20
    assert len(HEALTHY) >= 10


def _put(planes: Any, channel: int, values: Any) -> Any:
    planes[:, channel] = values
    return planes


def _after_encoding(patch: Patch, change: Callable[[Any, Any], Any]) -> None:
    sound = PositionEncoder.encode

    def encode(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        planes = change(sound(self, cells, plies, symmetries, finished), symmetries)
        return np.ascontiguousarray(planes, dtype=np.float32)

    patch.setattr(PositionEncoder, "encode", encode)


def _change_target(patch: Patch, change: Callable[[Any, Any, int], Any]) -> None:
    sound = TrainingStream.batch

    def batch(self: Any, cursor: int, size: int) -> Batch:
        made = sound(self, cursor, size)
        archive = self.builder.archive
        at = archive.offsets[made.game.numpy()].astype(np.int64) + made.ply.numpy()
        at = np.where(made.has_move.numpy(), at, 0)
        original = archive.moves[at].astype(np.int64)
        target = change(made.policy_target.numpy(), original, self.builder.encoder.size)
        return replace(made, policy_target=torch.from_numpy(np.asarray(target)))

    patch.setattr(TrainingStream, "batch", batch)


def test_a_head_that_cannot_learn_32_positions_is_named(
    archive: GameArchive, monkeypatch: Patch
) -> None:
    forward = Network.forward

    def constant(self: Network, planes: torch.Tensor) -> Any:
        output = forward(self, planes)
        return output._replace(value_raw=output.value_raw * 0.0 - 30.0)

    monkeypatch.setattr(Network, "forward", constant)
    diagnosis = rounds.examine(patient(archive, tiny()), rounds.LESSONS[:1])
    (finding,) = diagnosis.errors
    assert finding.check == "overfit" and "cannot learn" in finding.cause
