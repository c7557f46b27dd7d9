"""The cause of each fault that is injected into a healthy pipeline is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.registry import TRAINING
from tests.doctor import injections_of_data as data
from tests.doctor import injections_of_training as training
from tests.doctor.conftest import Detected, pipeline, quick, tiny
from tests.doctor.slips import Inject, Patch, nothing

PLUGINS = "tests.doctor.plugins"


@dataclass(frozen=True)
class Fault:
    """A fault, and the check and the words of the cause that must name it.

    Attributes:
        trains: whether only a check that trains finds it.
        settings: settings of the configuration.
    """

    inject: Inject
    check: str
    cause: str
    trains: bool
    settings: dict[str, Any]


# Faults that may spoil results, but do not make all of them untrustworthy.
WARNINGS = {"clipped_at_every_step", "dead_units", "saturated_value_head"}


def fault(inject: Inject, check: str, cause: str, **settings: Any) -> Any:
    label = settings.pop("label", inject.__name__)
    trains = settings.pop("trains", False)
    settings.setdefault("encoder", {"perspective": "absolute"})
    return pytest.param(Fault(inject, check, cause, trains, settings), id=label)


def misconfigured(label: str, check: str, cause: str, **settings: Any) -> Any:
    return fault(nothing, check, cause, label=label, **settings)


FAULTS = [
    misconfigured(
        "raw_mse_shown_by_sigmoid",
        "read-out",
        "compares the raw output with 0 and 1, and a sigmoid",
        readout=f"{PLUGINS}:RawMseShownBySigmoid",
    ),
    misconfigured(
        "signed_mse_shown_by_sigmoid",
        "read-out",
        "compares the raw output with -1 and 1, and a sigmoid",
        readout=f"{PLUGINS}:SignedMseShownBySigmoid",
    ),
    misconfigured(
        "readout_of_the_other_side",
        "read-out",
        "that of the other side",
        readout=f"{PLUGINS}:OtherSide",
    ),
    misconfigured(
        "label_smoothing_twice",
        "label smoothing",
        "applied twice",
        readout={"name": f"{PLUGINS}:SmoothsByItself", "label_smoothing": 0.08},
    ),
    misconfigured(
        "value_head_detached", "value heads", "detached", value_head=f"{PLUGINS}:DetachedHead"
    ),
    misconfigured(
        "value_learning_rate_0",
        "learning rate",
        "value_lr_factor is 0",
        optimiser={"value_lr_factor": 0.0},
    ),
    misconfigured(
        "clipped_at_every_step", "clipping", "sets the size of the steps", optimiser={"clip": 0.001}
    ),
    fault(training.blue_for_red, "perspective", "Blue is reported as that of Red"),
    fault(training.never_carried_back, "perspective", "Red's chance is shown as Blue's"),
    fault(data.label_left_behind, "training labels", "the label is not exchanged"),
    fault(data.mover_left_behind, "boards", "side-to-move plane is not exchanged"),
    fault(data.colours_without_reflection, "boards", "colours are exchanged without reflecting"),
    fault(data.reflection_without_colours, "boards", "reflected without exchanging the colours"),
    fault(data.move_left_behind, "policy target", "planes but not to the next move"),
    fault(data.move_by_another_symmetry, "policy target", "another symmetry than the stones"),
    fault(data.move_column_major, "policy target", "column-major", augment=False),
    fault(data.moves_read_column_major, "boards", "moves are read column-major"),
    fault(data.first_mover_on_the_wrong_edges, "boards", "first mover is on the wrong edges"),
    fault(
        data.moves_read_column_major,
        "boards",
        "moves are read column-major",
        label="moves_read_column_major_mover",
        encoder={"perspective": "mover"},
    ),
    fault(data.winner_on_a_plane, "boards", "something else than who is to move: the outcome"),
    fault(data.unshuffled, "batches", "not shuffled across games"),
    fault(data.four_siblings, "batches", "each position comes 4 times in its batch"),
    fault(data.finished_with_mover, "finished boards", ""),
    fault(
        data.finished_with_mover,
        "finished boards",
        "the side to move is always the loser",
        label="finals_only_with_mover",
        curriculum="final",
    ),
    fault(data.empty_targets_count, "finished boards", "read as cell 0"),
    fault(data.smoothed_unasked, "columns", "otherwise than curriculum.stage_smoothing asks"),
    fault(training.mask_ignored, "policy loss", "without a next move count"),
    fault(data.split_by_position, "split", "by position, not by game"),
    fault(data.reports_on_training_games, "split", "reports are made on the positions of training"),
    fault(training.never_stepped, "schedule", "never stepped"),
    fault(training.clipped_in_scaled_units, "clipping", "scaled units"),
    fault(training.clipping_without_effect, "clipping", "no effect", optimiser={"clip": 0.05}),
    fault(training.head_not_optimised, "parameter groups", "never reach the optimiser"),
    fault(training.trunk_frozen, "parameter groups", "frozen"),
    fault(
        training.average_never_updated,
        "averaged weights",
        "never updated",
        optimiser={"ema_half_life": 2_000},
    ),
    fault(training.group_twice, "parameter groups", "move twice"),
    fault(training.rate_stays_zero, "schedule", "is set to 0"),
    fault(training.heads_pull_apart, "policy loss", "times as large"),
    fault(training.dead_units, "dead units", "never fire again", trains=True),
    misconfigured(
        "saturated_value_head",
        "saturation",
        "the value output is saturated",
        value_head=f"{PLUGINS}:LoudHead",
        readout="sigmoid_mse",
        trains=True,
    ),
    fault(training.value_output_stuck, "gradient flow", "does not depend on the head's weights"),
    fault(
        training.evaluation_sees_the_label, "permuted labels", "the outcome reaches", trains=True
    ),
    fault(training.evaluation_sees_the_label, "evaluation", "the label itself", label="leak_seen"),
]


def _one_in_three(faults: list[Any]) -> Iterator[Any]:
    """All; the fast suite takes every third one, as neighbours ask the same check.

    It leaves out those that take a training.
    """
    for place, each in enumerate(faults):
        marks = [pytest.mark.slow] if place % 3 or each.values[0].trains else []
        yield pytest.param(*each.values, id=each.id, marks=marks)


@pytest.mark.parametrize("fault", list(_one_in_three(FAULTS)))
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
    if fault.trains:
        own = [c for c in TRAINING if c.name == fault.check]
        which = own or [c for c in TRAINING if c.name == "short training"]
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
    "smoothed by stage": {"curriculum": {"name": "all", "stage_smoothing": {"early": 0.3}}},
    "averaged": {"optimiser": {"ema_half_life": 2_000}},
    "auxiliary_heads": {
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
def test_a_healthy_configuration_gets_no_error_from_checks_that_train_either(
    name: str, archive: GameArchive
) -> None:
    diagnosis = examine(pipeline(archive, tiny(**HEALTHY[name])))
    assert not diagnosis.errors, diagnosis.errors
    assert {"overfit", "short training", "permuted labels"} <= set(diagnosis.checks)
