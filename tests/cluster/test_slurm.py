"""`cluster/slurm.sh` under a real Slurm: a study over two nodes, and what Slurm does to jobs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.ledger import read_ledger
from tests.cluster.slurm_cluster import (
    BIN,
    ON_PATH,
    ROOT,
    Slurm,
    run,
    slurm_of_two_nodes,
    wait_until,
)
from tests.data.games import random_games

pytestmark = pytest.mark.slow
TRIALS = 6
# Without pauses: Tune gives a trial that waits for the start of its worker to a worker that becomes
# free, and where trials pause after a second, one node could train them all before the other is up.
ON_BOTH_NODES = (
    *("--set", "scheduler.name=none", "--set", "scheduler.report_every=1280"),
    *("--set", "scheduler.max_t=46080"),
)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # sockets want a short path
    try:
        with slurm_of_two_nodes(folder) as running:
            games = folder / "games.trmph"
            lines = (format_trmph(game) for game in random_games(300, size=5))
            games.write_text("\n".join(lines) + "\n", encoding="utf-8")
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def launch(slurm: Slurm, *more: str, setup: str = ON_PATH) -> int:
    """A study that takes about a minute on two nodes."""
    return slurm.submit(
        *("launch", ROOT / "search_spaces" / "smoke.yaml", "--games", "games.trmph"),
        *("--no-doctor", "--trials", TRIALS, "--set", "data.board_size=5"),
        *("--set", "scheduler.max_t=11520", "--set", "scheduler.grace_period=1280", *more),
        setup=setup,
    )


def events(ledger: Path) -> list[dict[str, object]]:
    return list(read_ledger(ledger)) if ledger.exists() else []


def count(ledger: Path, event: str) -> int:
    return sum(record["event"] == event for record in events(ledger))


def workers_seen(ledger: Path) -> int:
    """Worker processes that have reported; with one CPU a node, each is on its own node."""
    reported = [r["report"] for r in events(ledger) if r["event"] == "reported"]
    return len({report["timings"]["pid"] for report in reported})  # type: ignore[index]


def wait_for_both_nodes(slurm: Slurm, job: int, ledger: Path) -> None:
    """Wait until workers of both nodes have reported, while the job runs."""
    wait_until(lambda: workers_seen(ledger) == 2 or slurm.has_ended(job))
    assert not slurm.has_ended(job), slurm.log(job)


def require_all_done(ledger: Path) -> None:
    """Finished, the end of every trial is known, none failed, and nothing was trained twice.

    A trial that was paused at a rung and went on later ends more than once.
    """
    records = events(ledger)
    assert records[-1]["event"] == "finished"
    assert len({record["trial"] for record in records if record["event"] == "told"}) == TRIALS
    assert not [record for record in records if record["event"] == "failed"]
    reports = Counter(
        (record["trial"], record["report"]["positions_seen"])  # type: ignore[index]
        for record in records
        if record["event"] == "reported"
    )
    assert not [report for report, times in reports.items() if times > 1]


def test_a_cancelled_study_is_resumed_by_a_second_job(slurm: Slurm) -> None:
    job = launch(slurm, "--name", "cancelled", *ON_BOTH_NODES)
    study = slurm.folder / "results" / "cancelled"
    wait_for_both_nodes(slurm, job, study / "ledger.jsonl")
    run("scancel", job)
    assert slurm.wait(job) == "CANCELLED"
    told = count(study / "ledger.jsonl", "told")
    assert told < TRIALS
    again = slurm.submit("resume", "results/cancelled")
    assert slurm.wait(again) == "COMPLETED", slurm.log(again)
    require_all_done(study / "ledger.jsonl")
    assert "Traceback" not in slurm.log(job) + slurm.log(again)


def test_a_requeued_job_resumes_its_own_study(slurm: Slurm) -> None:
    job = launch(slurm)  # without a name: the job gives one
    ledger = slurm.folder / "results" / f"slurm-{job}" / "ledger.jsonl"
    wait_until(lambda: count(ledger, "reported") >= 2)
    run("scontrol", "requeue", job)
    wait_until(lambda: slurm.state(job) == "PENDING")
    # Slurm lets a job that was put back wait for two minutes.
    run("scontrol", "update", f"JobId={job}", "StartTime=now")
    assert slurm.wait(job) == "COMPLETED", slurm.log(job)
    assert f"results/slurm-{job} was started before and is resumed" in slurm.log(job)
    require_all_done(ledger)
    assert [path.name for path in ledger.parents[1].glob("slurm-*")] == [f"slurm-{job}"]


def test_a_study_goes_on_when_one_node_is_set_down(slurm: Slurm) -> None:
    job = launch(slurm, "--name", "down", "--set", "run.retries=3", *ON_BOTH_NODES)
    ledger = slurm.folder / "results" / "down" / "ledger.jsonl"
    wait_for_both_nodes(slurm, job, ledger)
    head = run("scontrol", "show", "job", job, "--oneliner").partition("BatchHost=")[2].split()[0]
    other = next(node for node in slurm.nodes if node != head)
    run("scontrol", "update", f"NodeName={other}", "State=DOWN", "Reason=test")
    try:
        assert slurm.wait(job) == "COMPLETED", slurm.log(job)
    finally:
        run("scontrol", "update", f"NodeName={other}", "State=RESUME", check=False)
    require_all_done(ledger)


def test_a_module_brings_python_and_one_that_is_missing_ends_the_job(slurm: Slurm) -> None:
    """With Debian's environment-modules, as a user of a cluster has them in a profile."""
    profile = Path("/etc/profile.d/modules.sh")
    if not profile.exists():
        pytest.skip("wants environment-modules; see scripts/test-cluster")
    modules = slurm.folder / "modules"
    modules.mkdir()
    (modules / "hexsearch").write_text(f"#%Module1.0\nprepend-path PATH {BIN}\n")
    setup = f"source {profile}; module use {modules}; module load "
    missing = launch(slurm, "--name", "missing", setup=setup + "hexsearhc")
    assert slurm.wait(missing) == "FAILED"
    assert "hexsearhc" in slurm.log(missing)
    assert not (slurm.folder / "results" / "missing").exists()
    job = launch(slurm, "--name", "module", setup=setup + "hexsearch")
    assert slurm.wait(job) == "COMPLETED", slurm.log(job)
    ledger = slurm.folder / "results" / "module" / "ledger.jsonl"
    require_all_done(ledger)


def test_what_a_killed_job_left_is_removed_by_the_next_one_and_nothing_else(slurm: Slurm) -> None:
    """The two nodes have one /tmp here."""
    ended = slurm.submit("resume", "results/none", options=("--hold",))
    run("scancel", ended)
    assert slurm.wait(ended) == "CANCELLED"
    waiting = slurm.submit("resume", "results/none", options=("--hold",))
    left, kept, others = (
        Path(f"/tmp/hexsearch-slurm-{job}") for job in (ended, waiting, ended + 100_000)
    )
    (left / "session_latest" / "logs").mkdir(parents=True)
    others.mkdir()
    os.chown(others, 65534, 65534)  # another user's
    kept.mkdir()
    try:
        again = slurm.submit("no_such_command")
        assert slurm.wait(again) == "FAILED"
        assert "no_such_command" in slurm.log(again)
        assert not left.exists() and not Path(f"/tmp/hexsearch-slurm-{again}").exists()
        assert others.exists() and kept.exists()
    finally:
        run("scancel", waiting)
        others.rmdir()
        shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(kept, ignore_errors=True)
