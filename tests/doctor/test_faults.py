"""The fault suite: the cause of each fault that is injected into a healthy pipeline is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.registry import TRAINING
from tests.doctor import injections as faults
from tests.doctor.conftest import Detected, pipeline, quick, tiny

PLUGINS = "tests.doctor.plugins"
Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Fault:
    inject: Callable[[Patch], None]
    check: str
    cause: str
    lesson: bool
    settings: dict[str, Any]


# Found with a look at the figures, but not enough to refuse every result.
WARNINGS = {
    "clipped_at_every_step",
    "dead_units",
    "saturated_value_head",
}


def fault(inject: Callable[[Patch], None], check: str, cause: str, **settings: Any) -> Any:
    label = settings.pop("label", inject.__name__)
    lesson = settings.pop("lesson", False)
    settings.setdefault("encoder", {"perspective": "absolute"})
    return pytest.param(Fault(inject, check, cause, lesson, settings), id=label)


FAULTS = [
    fault(
        faults.nothing,
        "read-out",
        "compares the raw output with 0 and 1, and a sigmoid",
        label="raw_mse_shown_by_sigmoid",
        readout=f"{PLUGINS}:RawMseShownBySigmoid",
    ),
    fault(
        faults.nothing,
        "read-out",
        "compares the raw output with -1 and 1, and a sigmoid",
        label="signed_mse_shown_by_sigmoid",
        readout=f"{PLUGINS}:SignedMseShownBySigmoid",
    ),
    fault(
        faults.nothing,
        "read-out",
        "that of the other side",
        label="readout_of_the_other_side",
        readout=f"{PLUGINS}:OtherSide",
    ),
    fault(
        faults.nothing,
        "label smoothing",
        "applied twice",
        label="label_smoothing_twice",
        readout={"name": f"{PLUGINS}:SmoothsByItself", "label_smoothing": 0.08},
    ),
    fault(
        faults.nothing,
        "value heads",
        "detached",
        label="value_head_detached",
        value_head=f"{PLUGINS}:DetachedHead",
    ),
    fault(
        faults.nothing,
        "learning rate",
        "value_lr_factor is 0",
        label="value_learning_rate_0",
        optimiser={"value_lr_factor": 0.0},
    ),
    fault(
        faults.nothing,
        "clipping",
        "sets the size of the steps",
        label="clipped_at_every_step",
        optimiser={"clip": 0.001},
    ),
    fault(faults.blue_for_red, "perspective", "Blue is reported as that of Red"),
    fault(faults.never_carried_back, "perspective", "Red's chance is shown as Blue's"),
    fault(faults.label_left_behind, "training labels", "the label is not exchanged"),
    fault(faults.mover_left_behind, "boards", "side-to-move plane is not exchanged"),
    fault(faults.colours_without_reflection, "boards", "colours exchanged without reflecting"),
    fault(faults.reflection_without_colours, "boards", "reflected without exchanging the colours"),
    fault(faults.move_left_behind, "policy target", "planes but not to the next move"),
    fault(faults.move_by_another_symmetry, "policy target", "another symmetry than the stones"),
    fault(faults.move_column_major, "policy target", "column-major", augment=False),
    fault(faults.moves_read_column_major, "boards", "moves are read column-major"),
    fault(faults.first_mover_on_the_wrong_edges, "boards", "first mover is on the wrong edges"),
    fault(
        faults.moves_read_column_major,
        "boards",
        "moves are read column-major",
        label="moves_read_column_major_mover",
        encoder={"perspective": "mover"},
    ),
    fault(faults.winner_on_a_plane, "boards", "side-to-move plane shows the wrong side"),
    fault(faults.unshuffled, "batches", "not shuffled across games"),
    fault(faults.four_siblings, "batches", "drawn again and again"),
    fault(faults.finished_with_mover, "finished boards", ""),
    fault(
        faults.finished_with_mover,
        "finished boards",
        "the side to move is always the loser",
        label="finals_only_with_mover",
        curriculum="final",
    ),
    fault(faults.empty_targets_count, "finished boards", "read as cell 0"),
    fault(faults.mask_ignored, "policy loss", "without a next move count"),
    fault(faults.split_by_position, "split", "by position, not by game"),
    fault(faults.never_stepped, "schedule", "never stepped"),
    fault(faults.clipped_in_scaled_units, "clipping", "scaled units"),
    fault(faults.clipping_without_effect, "clipping", "no effect", optimiser={"clip": 0.05}),
    fault(faults.head_not_optimised, "parameter groups", "never reach the optimiser"),
    fault(faults.trunk_frozen, "parameter groups", "frozen"),
    fault(
        faults.average_never_updated,
        "averaged weights",
        "never updated",
        optimiser={"ema_half_life": 2_000},
    ),
    fault(faults.group_twice, "parameter groups", "move twice"),
    fault(faults.rate_stays_zero, "schedule", "is set to 0"),
    fault(faults.heads_pull_apart, "policy loss", "times as large"),
    fault(faults.dead_units, "dead units", "never fire again", lesson=True),
    fault(
        faults.nothing,
        "saturation",
        "the value output is saturated",
        label="saturated_value_head",
        value_head=f"{PLUGINS}:LoudHead",
        readout="sigmoid_mse",
        lesson=True,
    ),
    fault(faults.value_output_stuck, "gradient flow", "does not depend on the head's weights"),
    fault(faults.evaluation_sees_the_label, "permuted labels", "the outcome reaches", lesson=True),
    fault(faults.evaluation_sees_the_label, "evaluation", "the label itself", label="leak_seen"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_its_cause(
    fault: Fault,
    archive: GameArchive,
    monkeypatch: Patch,
    detected: Detected,
    request: pytest.FixtureRequest,
) -> None:
    label = request.node.callspec.id
    fault.inject(monkeypatch)
    config = tiny(**fault.settings)
    if fault.lesson:
        which = [c for c in TRAINING if c.name == fault.check] or TRAINING[1:2]
        diagnosis = examine(pipeline(archive, config), which)
    else:
        diagnosis = quick(archive, config)
    found = diagnosis.findings
    named = [f for f in found if f.check == fault.check and fault.cause in f.cause]
    assert named, [(f.check, f.cause) for f in found]
    assert any(character.isdigit() for character in named[0].evidence)
    assert named[0].severity == ("warning" if label in WARNINGS else "error")
    detected(label, diagnosis, named[0])


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
    "averaged": {"optimiser": {"ema_half_life": 2_000}},
    "taught": {
        "auxiliary": {
            "moves_left": 0.1,
            "ownership": 0.1,
            "winning_chain": 0.1,
            "future_stones": {"weight": 0.1},
        }
    },
    "unaugmented": {"augment": False, "trunk": {"preset": "tiny", "norm": "group"}},
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_configuration_gets_no_error(
    name: str, archive: GameArchive, detected: Detected
) -> None:
    diagnosis = quick(archive, tiny(**HEALTHY[name]))
    assert not diagnosis.errors, diagnosis.errors
    assert len(diagnosis.checks) >= 14
    detected(name, diagnosis, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_configuration_gets_no_error_from_lessons_either(
    name: str, archive: GameArchive
) -> None:
    diagnosis = examine(pipeline(archive, tiny(**HEALTHY[name])))
    assert not diagnosis.errors, diagnosis.errors
    assert {"overfit", "short training", "permuted labels"} <= set(diagnosis.checks)
