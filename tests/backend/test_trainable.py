"""A worker on a node without the study's folder gets games by hash, and files through storage."""

from __future__ import annotations

import gc
import multiprocessing
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.backend.assignment import Assignment
from hexsearch.backend.file_sync import PREVIOUS
from hexsearch.backend.message import Message
from hexsearch.backend.shipping import find_games
from hexsearch.backend.storage import Storage
from hexsearch.backend.trainable import TrialWorker
from hexsearch.data.archive import build_archive, open_archive, write_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import TrialError
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.ledger.ledger import without_times
from hexsearch.search.space import with_values
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.data.games import random_games
from tests.search.simulation import study_config


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEXSEARCH_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "driver" / "games.archive"
    write_archive(path, build_archive(random_games(60, size=5)))
    return path


def sending(path: Path) -> Callable[[str], bytes]:
    """A driver that ships a file."""
    return lambda content_hash: path.read_bytes()


def never(content_hash: str) -> bytes | None:
    raise AssertionError("fetched again")


def test_games_are_fetched_once_and_mapped_by_later_workers(scratch: Path, archive: Path) -> None:
    content_hash = open_archive(archive).content_hash
    missing = archive.parent / "elsewhere.archive"
    first = find_games(missing, content_hash, sending(archive))
    again = find_games(missing, content_hash, never)
    assert first.content_hash == again.content_hash == content_hash
    assert (scratch / "games" / f"{content_hash}.archive").exists()
    assert find_games(archive, content_hash, never).content_hash == content_hash


def test_a_damaged_copy_is_fetched_anew(scratch: Path, archive: Path) -> None:
    content_hash = open_archive(archive).content_hash
    missing = archive.parent / "elsewhere.archive"
    find_games(missing, content_hash, sending(archive))
    copy = scratch / "games" / f"{content_hash}.archive"
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-64])
    assert len(find_games(missing, content_hash, sending(archive))) == 60
    assert copy.read_bytes() == whole


def test_other_games_than_the_studys_are_never_trained_on(scratch: Path, archive: Path) -> None:
    other = archive.with_name("other.archive")
    write_archive(other, build_archive(random_games(50, size=5)))
    wanted = open_archive(other).content_hash
    with pytest.raises(TrialError, match="the driver sent games"):
        find_games(archive, wanted, sending(archive))
    with pytest.raises(TrialError, match="holds other games than the study's"):
        find_games(archive, wanted, lambda content_hash: None)
    assert len(find_games(archive, wanted, sending(other))) == 50


def _fetch(arguments: tuple[str, str, str, str]) -> bool:
    scratch, archive, content_hash, log = arguments

    def fetch(content_hash: str) -> bytes:
        with open(log, "a") as file:
            file.write("fetched\n")
        return Path(archive).read_bytes()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEXSEARCH_SCRATCH", scratch)
        return len(find_games(Path("missing"), content_hash, fetch)) == 60


def test_workers_of_one_node_fetch_once_between_them(scratch: Path, archive: Path) -> None:
    log = scratch.parent / "log"
    scratch.mkdir()
    task = (str(scratch), str(archive), open_archive(archive).content_hash, str(log))
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert all(pool.map(_fetch, [task] * 6))
    assert log.read_text() == "fetched\n"


def assignment(archive: Path, storage: str | None, folder: str, **changes: Any) -> dict[str, Any]:
    """What a worker is told of a trial of its own."""
    config = study_config()
    task: dict[str, Any] = {
        "job": "t0000",
        "folder": folder,
        "trials": ("t0000",),
        "trial_folders": (folder,),
        "configs": (config.trial.model_dump(mode="json"),),
        "archive": str(archive),
        "archive_hash": open_archive(archive).content_hash,
        "data": {**config.data.model_dump(mode="json"), "board_size": 5},
        "seed": 7,
        "points": (64, 128),
        "trial_files": storage,
    }
    return Assignment(**{**task, **changes}).to_config()


def comparison(archive: Path, results: Path | str, **changes: Any) -> dict[str, Any]:
    """What a worker is told of two heads on one trunk."""
    config, names = study_config(), ("h0000", "h0001")
    heads = [
        with_values(config.trial, {"value_head": head}).model_dump(mode="json")
        for head in ("512->1", "512->32->1")
    ]
    task = {
        "job": "compare-s00",
        "trials": names,
        "trial_folders": tuple(f"{results}/trials/{name}" for name in names),
        "configs": tuple(heads),
        "mode": "joint",
    }
    return assignment(archive, None, f"{results}/trials/compare-s00", **{**task, **changes})


def heard(worker: TrialWorker) -> Message:
    """What the driver hears of a step."""
    return Message.of_result(worker.step())


def reports(worker: TrialWorker, count: int) -> list[dict[str, Any]]:
    """The reports of so many steps, by trial, without times."""
    return [plain(heard(worker)) for _ in range(count)]


def plain(message: Message) -> dict[str, Any]:
    """Its reports as JSON, without times; there nan equals nan."""
    return without_times({name: report.to_json() for name, report in message.reports.items()})


@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_a_trial_moves_between_nodes_through_storage_and_equals_one_that_stayed(
    scratch: Path, archive: Path, tmp_path: Path, protocol: str
) -> None:
    place = (tmp_path / "bucket").as_uri() if protocol == "file" else f"memory://{uuid.uuid4().hex}"
    stayed = TrialWorker(assignment(archive, None, str(tmp_path / "t0000")))
    expected = reports(stayed, 2)
    task = assignment(archive, place, "study/trials/t0000")
    one = TrialWorker(task)
    assert reports(one, 1) == expected[:1]
    one.cleanup()
    assert not list((scratch / "trials").glob("*/*"))
    # Another node, told of the first report, and one whose driver never heard it.
    heard = TrialWorker({**task, "reported": 64})
    assert reports(heard, 1) == expected[1:]
    storage = Storage(place)
    assert CHECKPOINT in storage.names("study/trials/t0000")
    curve = storage.read("study/trials/t0000/curve.jsonl")
    assert curve is not None and len(curve.splitlines()) == 2
    unheard = TrialWorker({**task, "reported": 64})
    assert reports(unheard, 1) == expected[1:]
    assert storage.read("study/trials/t0000/curve.jsonl") == curve
    heard.cleanup()
    unheard.cleanup()


def test_the_kept_dataset_is_for_the_same_games_only(
    scratch: Path, archive: Path, tmp_path: Path
) -> None:
    worker = TrialWorker(assignment(archive, None, str(tmp_path / "t0000")))
    reports(worker, 1)
    kept = TrialWorker._dataset
    worker.reset_config(assignment(archive, None, str(tmp_path / "t0001")))
    reports(worker, 1)
    assert isinstance(kept, Dataset) and TrialWorker._dataset is kept
    other = archive.with_name("other.archive")
    write_archive(other, build_archive(random_games(50, size=5)))
    worker.reset_config(assignment(other, None, str(tmp_path / "t0002")))
    reports(worker, 1)
    assert TrialWorker._dataset is not kept


def test_nothing_of_a_trial_outlives_it_in_a_warm_worker(
    scratch: Path, archive: Path, tmp_path: Path
) -> None:
    gc.disable()  # not by chance
    try:
        worker = TrialWorker(assignment(archive, None, str(tmp_path / "t0000")))
        reports(worker, 1)
        assert worker._trial is not None
        network, optimiser = weakref.ref(worker._trial.network), worker._trial.optimiser
        moments = weakref.ref(next(iter(optimiser.state.values()))["exp_avg"])
        del optimiser
        worker.reset_config(assignment(archive, None, str(tmp_path / "t0001")))
        assert network() is None and moments() is None
    finally:
        gc.enable()


def test_each_assignment_sets_its_own_threads(scratch: Path, archive: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        worker = TrialWorker(assignment(archive, None, str(tmp_path / "t0000")))
        for number, threads in enumerate((2, 1)):
            folder = str(tmp_path / f"t{number}")
            worker.reset_config(assignment(archive, None, folder, threads=threads))
            worker._begin()  # two threads of a busy machine would take long to train
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("in_storage", [False, True])
@pytest.mark.parametrize("spoilt", ["newest", "both"])
def test_a_spoilt_checkpoint_costs_training_and_changes_no_later_report(
    archive: Path, scratch: Path, tmp_path: Path, spoilt: str, in_storage: bool
) -> None:
    points = (64, 128, 192)
    straight = TrialWorker(assignment(archive, None, str(tmp_path / "straight"), points=points))
    expected = reports(straight, 3)
    folder = tmp_path / "study" / "t0000"
    place = tmp_path.as_uri() if in_storage else None
    where = "study/t0000" if in_storage else str(folder)
    begun = TrialWorker(assignment(archive, place, where, points=points))
    reports(begun, 2)
    begun.cleanup()
    for name in (CHECKPOINT, PREVIOUS)[: 1 if spoilt == "newest" else 2]:
        (folder / name).write_bytes((folder / name).read_bytes()[:-100])
    worker = TrialWorker(assignment(archive, place, where, points=points, reported=128))
    message = heard(worker)
    assert len(message.warnings) == (1 if spoilt == "newest" else 2)
    assert plain(message) == expected[2]


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"report": "no JSON"},
        {"report": "{}"},
        {"report": '{"positions_seen": "x"}'},
        {"reports": "3"},
    ],
)
def test_a_checkpoint_whose_report_is_spoilt_costs_training_and_fails_no_trial(
    archive: Path, tmp_path: Path, junk: dict[str, str]
) -> None:
    task = assignment(archive, None, str(tmp_path / "t0000"))
    expected = reports(TrialWorker(task), 2)
    path = tmp_path / "t0000" / CHECKPOINT
    save_checkpoint(path, {"state": load_checkpoint(path)["state"], **junk})
    worker = TrialWorker({**task, "reported": 64})  # the driver never heard the last report
    message = heard(worker)
    assert len(message.warnings) == 1 and plain(message) == expected[1]
