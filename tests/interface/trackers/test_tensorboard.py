from __future__ import annotations

from pathlib import Path

import pytest

import hexsearch as hs
from tests.interface.trackers.told import tell_two_trials

pytest.importorskip("tensorboard")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_tensorboard_reads_the_curves_of_every_trial(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tell_two_trials(tmp_path / "mine", hs.TensorBoardCallback())
    folder = tmp_path / "mine" / "tensorboard"
    assert sorted(path.name for path in folder.iterdir()) == ["t0000", "t0001"]
    first, second = (EventAccumulator(str(folder / name)).Reload() for name in ("t0000", "t0001"))
    points = first.Scalars("validation/value_loss")
    assert [point.step for point in points] == [64, 192, 576, 1728]
    assert points[0].value > points[-1].value
    assert [point.step for point in second.Scalars("stages/final")] == [32]
    assert first.Scalars("value_loss")  # of the table of hyperparameters
