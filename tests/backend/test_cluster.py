"""The start of Ray."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray._private import utils

from hexsearch.backend import cluster, local_ray
from hexsearch.backend.cluster import environment
from hexsearch.backend.local_ray import private_folder
from hexsearch.config.run import RunConfig
from hexsearch.errors import ConfigError, HexsearchError
from hexsearch.search.placement import trials_on
from hexsearch.study.signals import signals_as_ctrl_c

ON_CPU = RunConfig(cpus_per_trial=1, gpus_per_trial=0)
PRELOAD = "RAY_preload_python_modules"


def test_workers_warm_up_only_where_every_process_will_train() -> None:
    assert PRELOAD in environment(None, ON_CPU)
    assert PRELOAD not in environment("auto", ON_CPU)
    for few in ({"max_concurrent": 1}, {"cpus_per_trial": 4}, {"gpus_per_trial": 0.5}):
        assert PRELOAD not in environment(None, ON_CPU.model_copy(update=few))
    assert PRELOAD not in environment(None, RunConfig())  # GPUs will be used, or will be counted


@pytest.mark.parametrize("module", environment(None, ON_CPU)[PRELOAD].split(","))
def test_what_workers_are_to_import_exists(module: str) -> None:
    """Ray only logs what it cannot import, and the trial would pay for it later."""
    importlib.import_module(module)


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
@pytest.mark.parametrize("share", [0.1, 0.15, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0, 2.0, 3.0])
def test_trials_are_counted_as_they_can_be_placed(gpus: int, share: float) -> None:
    """Placed one by one: a fraction on the first GPU that has room, whole ones on empty GPUs."""
    room, placed = [100] * gpus, 0
    while True:
        wanted = [round(100 * share)] if share <= 1 else [100] * round(share)
        fits = [place for place, left in enumerate(room) if left >= wanted[0]]
        if len(fits) < len(wanted):
            break
        for place in fits[: len(wanted)]:
            room[place] -= wanted[0]
        placed += 1
    assert trials_on(gpus, share) == placed


def test_a_cluster_that_grows_has_room_for_the_trials_that_will_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = {"Alive": False, "Resources": {"CPU": 9.0}}
    nodes = [{"Alive": True, "Resources": {"CPU": 2.0}}, dead]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    for settings, slots in (
        ({}, 2),
        ({"autoscale_to": 5}, 5),
        ({"autoscale_to": 1}, 2),
        ({"autoscale_to": 5, "max_concurrent": 3}, 3),
    ):
        assert cluster.trial_slots(ON_CPU.model_copy(update=settings))() == slots
    nodes.clear()
    assert cluster.trial_slots(ON_CPU.model_copy(update={"autoscale_to": 5}))() == 5
    monkeypatch.setattr(ray, "cluster_resources", dict)
    with pytest.raises(ConfigError, match=r"run\.autoscale_to"):
        cluster.trial_slots(ON_CPU)


def test_a_local_ray_listens_on_the_loopback_alone_and_leaves_no_folder() -> None:
    """In a process of its own, for Ray starts once in each."""
    code = (
        "import os, subprocess, sys, pathlib, stat\n"
        "from hexsearch.backend.cluster import ray_cluster\n"
        "from hexsearch.config.run import RunConfig\n"
        "with ray_cluster(None, RunConfig(max_concurrent=1)):\n"
        "    import ray\n"
        "    folder = pathlib.Path(ray._private.worker._global_node.get_temp_dir_path())\n"
        "    ours, found = {os.getpid()}, True\n"
        "    while found:\n"
        "        found = set()\n"
        "        for file in pathlib.Path('/proc').glob('[0-9]*/stat'):\n"
        "            try: fields = file.read_text().rpartition(')')[2].split()\n"
        "            except OSError: continue\n"
        "            if int(fields[1]) in ours: found.add(int(file.parent.name))\n"
        "        found -= ours; ours |= found\n"
        "    listed = subprocess.check_output(['ss', '-Hltnp'], text=True).splitlines()\n"
        "    mine = [x.split()[3] for x in listed if any(f'pid={p},' in x for p in ours)]\n"
        "    print(oct(stat.S_IMODE(folder.parent.stat().st_mode)), *mine)\n"
        "print(folder.parent.exists())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    mode, *addresses = first.split()
    assert mode == "0o700" and last == "False"
    assert len(addresses) >= 3 and all("127.0.0.1]" in a or "127.0.0.1:" in a for a in addresses)


def test_workers_have_the_priority_of_the_command() -> None:
    """Ray's default would leave them next to nothing beside other work on the machine."""
    code = (
        "import os, ray\n"
        "from hexsearch.backend.cluster import ray_cluster\n"
        "from hexsearch.config.run import RunConfig\n"
        "os.nice(1)\n"
        "with ray_cluster(None, RunConfig(max_concurrent=1)):\n"
        "    print(os.nice(0), ray.get(ray.remote(lambda: os.nice(0)).remote()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    driver, worker = done.stdout.split()
    assert worker == driver


def test_folders_of_drivers_that_were_killed_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_ray, "_base", lambda: tmp_path)
    (tmp_path / "hexs-999999999-x").mkdir()
    (tmp_path / f"hexs-{os.getpid()}-x").mkdir()
    with private_folder() as folder:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [f"hexs-{os.getpid()}-x", folder.parent.name]
        )
    assert not folder.parent.exists()


def with_room(monkeypatch: pytest.MonkeyPatch, free: Callable[[str], int]) -> None:
    def usage(path: object) -> SimpleNamespace:
        return SimpleNamespace(free=free(str(path)))

    monkeypatch.setattr("shutil.disk_usage", usage)


def test_a_full_folder_for_temporary_files_is_passed_over_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    with_room(monkeypatch, lambda path: 0 if path == "/tmp" else 1 << 40)
    assert local_ray._base() != Path("/tmp")
    with_room(monkeypatch, lambda path: 0)
    with pytest.raises(HexsearchError, match=r"/tmp \(is full\).* set TMPDIR to a short path"):
        local_ray._base()


@pytest.mark.parametrize("place", ["/tmp/" + "x" * 100, "/data/tmp/someone", "/tmp"])
def test_rays_longest_socket_fits_a_sockets_path(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: place)
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    with_room(monkeypatch, lambda path: 1 << 40)
    session = "session_2026-11-26_02-42-00_244047_4194304"
    folder = f"{local_ray._base()}/{local_ray._PREFIX}-4194304-4ls956mw/r/{session}"
    assert len(f"{folder}/sockets/plasma_store") <= 107


def test_a_signal_while_ray_starts_is_heard_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders: list[Path] = []
    stopped: list[bool] = []

    def init(**options: Any) -> None:
        folders.append(Path(options["_temp_dir"]).parent)
        assert folders[0].is_dir()
        utils.set_sigterm_handler(lambda number, frame: sys.exit(number))  # as Ray's own does
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5.0)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: stopped.append(True))
    monkeypatch.setattr(cluster, "environment", lambda address, resources: {})
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with (
        signals_as_ctrl_c(),
        pytest.raises(KeyboardInterrupt),
        cluster.ray_cluster(None, RunConfig()),
    ):
        raise AssertionError("Ray has not started")
    assert stopped and not folders[0].exists()
