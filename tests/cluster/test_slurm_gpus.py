"""`cluster/slurm.sh` on nodes whose GPUs Slurm counts, while no driver and no torch know them."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexsearch.game.formats.trmph import format_trmph
from hexsearch.ledger.history import StudyHistory
from tests.cluster.slurm_cluster import ROOT, Slurm, slurm_of_two_nodes
from tests.data.games import random_games

pytestmark = pytest.mark.slow
OFFERED, ASKED, TRIALS = 3, 2, 6
# What a trial does instead of asking torch for its GPU: it writes where it was put, waits until
# there is one on each GPU of the job, and trains on the CPU.
_INSTEAD_OF_A_GPU = f"""

def device_of(gpus: float) -> torch.device:
    import json, os, time
    import ray
    folder = Path(os.environ["HEXSEARCH_TEST_PLACED"])
    place = [ray.util.get_node_ip_address(), os.environ["CUDA_VISIBLE_DEVICES"], gpus]
    (folder / f"{{os.getpid()}}.partial").write_text(json.dumps(place))
    (folder / f"{{os.getpid()}}.partial").rename(folder / f"{{os.getpid()}}.json")
    deadline = time.monotonic() + 900.0
    while len(list(folder.glob("*.json"))) < {2 * ASKED}:
        if time.monotonic() > deadline:
            raise TrialError("fewer trials than GPUs run at once")
        time.sleep(0.2)
    return torch.device("cpu")
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # sockets want a short path
    try:
        with slurm_of_two_nodes(folder, cpus=2, gpus=OFFERED) as running:
            lines = (format_trmph(game) for game in random_games(300, size=5))
            (folder / "games.trmph").write_text("\n".join(lines) + "\n", encoding="utf-8")
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def launch(slurm: Slurm, name: str, *options: str, package: Path = ROOT) -> int:
    return slurm.submit(
        *("launch", ROOT / "search_spaces" / "smoke.yaml", "--games", "games.trmph"),
        *("--no-doctor", "--trials", TRIALS, "--set", "data.board_size=5", "--name", name),
        *("--set", "run.gpus_per_trial=1"),
        options=options,
        package=package,
    )


def errors(slurm: Slurm, job: int) -> list[str]:
    """The lines of a failed job that say why, without Slurm's own."""
    assert slurm.wait(job) == "FAILED", slurm.log(job)
    lines = slurm.log(job).splitlines()
    assert "Traceback" not in slurm.log(job)
    return [line for line in lines if "error: " in line and not line.startswith("slurm")]


def test_a_study_has_one_trial_on_each_gpu_that_the_job_asked_for(
    slurm: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes have more GPUs. The job has the nodes alone, and leaves those it did not ask for."""
    package = slurm.folder / "package"
    shutil.copytree(ROOT / "hexsearch", package / "hexsearch")
    for name, instead in (
        ("trainable", _INSTEAD_OF_A_GPU),
        ("nodes", "\nimport torch\ntorch.backends.cuda.is_built = lambda: True\n"),
    ):
        with open(package / "hexsearch" / "backend" / f"{name}.py", "a") as file:
            file.write(instead)
    placed = slurm.folder / "placed"
    placed.mkdir()
    monkeypatch.setenv("HEXSEARCH_TEST_PLACED", str(placed))
    job = launch(slurm, "placed", f"--gpus-per-node={ASKED}", package=package)
    assert slurm.wait(job) == "COMPLETED", slurm.log(job)
    places = [json.loads(path.read_text()) for path in placed.glob("*.json")]
    addresses = sorted({address for address, _, _ in places})
    assert len(addresses) == 2
    # A process that has trained one trial trains the next on the same GPU, and writes it again.
    assert sorted(places) == [[address, str(gpu), 1.0] for address in addresses for gpu in (0, 1)]
    history = StudyHistory.read(slurm.folder / "results" / "placed" / "ledger.jsonl")
    assert history.state == "finished" and len(history.trials) == TRIALS
    assert not any(trial.losses for trial in history.trials.values())


@pytest.mark.parametrize("option", ["--gpus-per-node=", "--gres=gpu:", "--gpus-per-task="])
def test_torch_without_cuda_is_one_line_for_each_node_before_any_trial(
    slurm: Slurm, option: str
) -> None:
    """Each way to ask for GPUs of a node gives its Ray as many, and no more."""
    lines = errors(slurm, launch(slurm, "no_cuda", f"{option}{ASKED}"))
    assert len(lines) == 2
    for line in lines:
        assert f"has {ASKED} GPU(s), but its torch is a build without CUDA" in line
    assert not (slurm.folder / "results" / "no_cuda").exists()


def test_a_job_that_asks_for_no_gpu_counts_none(slurm: Slurm) -> None:
    (line,) = errors(slurm, launch(slurm, "none"))
    assert "a trial needs 1 CPU(s) and 1 GPU(s), but Ray has 4 and 0" in line


def test_gpus_of_the_whole_job_are_refused_since_steps_cannot_have_them(slurm: Slurm) -> None:
    (line,) = errors(slurm, launch(slurm, "whole", "--gpus=4"))
    assert line == "error: --gpus=4 counts the GPUs of the whole job; ask for --gpus-per-node=N"
