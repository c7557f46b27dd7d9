"""The processes of a study and of a cluster on this machine, which `chaos.py` kills."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# `with_resources` wraps the trainable in a class of Ray's, which titles its process.
_WORKER = (b"ray::TrialWorker", b"ray::ResourceTrainable")
_PATIENCE_S = 900.0  # time limit of a start and of a report, on a busy machine
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 1024**2}


@contextmanager
def three_nodes() -> Iterator[Any]:
    """A head node without CPUs and two nodes that train, on this machine, with a token."""
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    from ray.cluster_utils import Cluster

    head = {**NODE, "num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()


def raylet(node: Any) -> int:
    """Process id of a node's raylet."""
    (info,) = node.all_processes["raylet"]
    return int(info.process.pid)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a study, and check that it has succeeded."""
    status = process.wait()
    if status:
        raise SystemExit(f"the study ended with status {status}")


def wait_for(
    condition: Callable[[], Any], driver: subprocess.Popen[bytes], every_s: float = 0.05
) -> Any:
    """The first result of a condition that is not None; None if the driver has ended."""
    deadline = time.monotonic() + _PATIENCE_S
    while driver.poll() is None:
        found = condition()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            driver.kill()
            raise SystemExit(f"nothing to kill within {_PATIENCE_S:g} s")
        time.sleep(every_s)
    return None


def descendant(ancestor: int) -> int | None:
    """The worker of a trial among the descendants of a process, from /proc."""
    parents: dict[int, int] = {}
    workers = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            if (entry / "cmdline").read_bytes().startswith(_WORKER):
                workers.append(int(entry.name))
    for worker in workers:
        process = worker
        while process > 1:
            process = parents.get(process, 0)
            if process == ancestor:
                return worker
    return None
