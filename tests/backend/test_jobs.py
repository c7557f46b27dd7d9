"""Jobs that are not ordinary trials: heads on one trunk, and a confirmation on test games."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from hexsearch.analysis.loading import load_network
from hexsearch.backend.storage import Storage
from hexsearch.backend.trainable import TrialWorker
from hexsearch.config.data import DataConfig
from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.data.archive import open_archive
from hexsearch.data.dataset import Dataset
from hexsearch.data.positions import all_positions
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.ledger.game_losses import read_game_losses
from hexsearch.training.frozen_trunk import read_frozen_trunk
from hexsearch.training.trial import Trial
from tests.backend.test_trainable import (
    archive,
    assignment,
    comparison,
    heard,
    reports,
    scratch,
)

__all__ = ["archive", "scratch"]  # fixtures
pytestmark = pytest.mark.usefixtures("scratch")


def test_every_head_of_a_trunk_is_reported_at_every_point(archive: Path, tmp_path: Path) -> None:
    first, second = reports(TrialWorker(comparison(archive, tmp_path)), 2)
    assert list(first) == list(second) == ["h0000", "h0001"]
    assert {report["positions_seen"] for report in second.values()} == {128}
    assert len({report["value_loss"] for report in second.values()}) == 2


def test_a_comparison_that_is_cut_off_goes_on_to_the_same_reports(
    archive: Path, tmp_path: Path
) -> None:
    expected = reports(TrialWorker(comparison(archive, tmp_path / "straight")), 2)
    reports(TrialWorker(comparison(archive, tmp_path / "cut")), 1)
    again = TrialWorker(comparison(archive, tmp_path / "cut"))
    assert reports(again, 2) == expected  # the driver may not have heard the first
    known = TrialWorker(comparison(archive, tmp_path / "cut", reported=64))
    assert reports(known, 1) == expected[1:]
    for name in ("h0000", "h0001"):
        one, other = (
            read_game_losses(tmp_path / kind / "trials" / name, 128) for kind in ("straight", "cut")
        )
        assert one is not None and other is not None
        assert (one.sums == other.sums).all()


def test_a_comparison_without_a_shared_disk_equals_one_with_it(
    archive: Path, tmp_path: Path
) -> None:
    expected = reports(TrialWorker(comparison(archive, tmp_path / "shared")), 2)
    place = (tmp_path / "bucket").as_uri()
    first = TrialWorker(comparison(archive, "study", trial_files=place))
    assert reports(first, 1) == expected[:1]
    first.cleanup()
    second = TrialWorker(comparison(archive, "study", trial_files=place, reported=64))
    assert reports(second, 1) == expected[1:]
    second.cleanup()
    storage = Storage(place)
    for name in ("h0000", "h0001"):
        assert {CHECKPOINT, "curve.jsonl", "games-128.npz"} <= {
            *storage.names(f"study/trials/{name}")
        }
    assert CHECKPOINT in storage.names("study/trials/compare-s00")


def test_each_head_leaves_a_checkpoint_that_answers_as_it_was_judged(
    archive: Path, tmp_path: Path
) -> None:
    _, last = reports(TrialWorker(comparison(archive, tmp_path)), 2)
    for name, report in last.items():
        loaded = load_network(tmp_path / "trials" / name / CHECKPOINT)
        assert loaded.recorded_value_loss == report["value_loss"]
        assert loaded.positions_seen == 128


def test_a_divergence_is_the_failure_of_the_whole_trunk(archive: Path, tmp_path: Path) -> None:
    worker = TrialWorker(comparison(archive, tmp_path))
    worker._begin()
    assert worker._trial is not None
    next(worker._trial.body.trunk.parameters()).data.fill_(math.nan)
    message = heard(worker)
    assert message.reports == {}
    assert message.failure is not None and message.failure.startswith("nan: training loss")


def confirmation(archive: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    points = {"points": (64, 128, 192), "judged_on": "test"}
    return assignment(archive, None, str(folder), **{**points, **changes})


def test_a_confirmation_reports_nothing_before_its_end_and_then_on_test_games_alone(
    archive: Path, tmp_path: Path
) -> None:
    task = confirmation(archive, tmp_path / "c0000")
    early, middle, last = reports(TrialWorker(task), 3)
    assert early == middle == {}
    (report,) = last.values()
    dataset = Dataset(open_archive(archive), build(DataConfig, task["data"], "data"))
    test = dataset.games("test")
    losses = read_game_losses(tmp_path / "c0000", 192)
    assert losses is not None
    assert set(losses.games.tolist()) == set(test.tolist())
    assert not set(losses.games.tolist()) & set(dataset.validation_games.tolist())
    assert report["positions"] == len(all_positions(dataset.archive, test))
    mean = float(losses.sums.sum() / losses.counts.sum())
    assert math.isclose(report["value_loss"], mean, abs_tol=1e-6)
    (config,) = task["configs"]
    straight = Trial.of(build(TrialConfig, config, "trial"), dataset, 192, seed=7)
    straight.train_to(192)
    assert math.isclose(report["validation_loss"], straight.report().value_loss, abs_tol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_confirmation_that_was_interrupted_reports_what_it_would_have(
    archive: Path, tmp_path: Path, steps: int
) -> None:
    expected = reports(TrialWorker(confirmation(archive, tmp_path / "straight")), 3)[-1]
    reports(TrialWorker(confirmation(archive, tmp_path / "cut")), steps)
    again = TrialWorker(confirmation(archive, tmp_path / "cut"))
    found: dict[str, Any] = {}
    while not found:
        (found,) = reports(again, 1)
    assert found == expected


def test_a_trunk_that_the_node_does_not_see_is_fetched_by_its_content(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports(TrialWorker(assignment(archive, None, str(tmp_path / "t0000"))), 2)
    checkpoint = tmp_path / "t0000" / CHECKPOINT
    content_hash = read_frozen_trunk(checkpoint).content_hash
    frozen = {"mode": "probe", "trunk": str(checkpoint), "trunk_hash": content_hash}
    expected = reports(TrialWorker(comparison(archive, tmp_path / "seen", **frozen)), 1)
    frozen["trunk"] = str(tmp_path / "elsewhere.pt")
    unseen = TrialWorker(comparison(archive, tmp_path / "unseen", **frozen))
    assert "the driver sends no trunk" in str(heard(unseen).failure)
    monkeypatch.setattr(TrialWorker, "_fetch", lambda self, wanted: checkpoint.read_bytes())
    assert reports(TrialWorker(comparison(archive, tmp_path / "sent", **frozen)), 1) == expected
