"""Everything that this project takes from Ray's private interfaces, with the version that needs it.

tests/backend/test_ray_private.py names what has changed when another version of Ray is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ray._private import ray_constants, services
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.execution import class_cache


@contextmanager
def process_groups_of_their_own() -> Iterator[None]:
    """Start Ray where signals to the driver's process group do not reach it.

    `timeout 8h python run_search.py ...` and many batch systems send SIGTERM to the whole group.
    Ray shields its processes from SIGINT alone (ray 2.60, services.start_ray_process), and a
    driver whose GCS has gone cannot drain. They still end with the driver: PR_SET_PDEATHSIG is
    set.
    """
    known = services.ConsolePopen
    services.ConsolePopen = partial(known, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = known


@contextmanager
def loopback_only() -> Iterator[None]:
    """Let Ray take this machine's loopback address for its own.

    It does so by itself on Windows and macOS, where it knows no clusters; on Linux it would turn
    127.0.0.1 into an address that others reach (ray 2.60, services.resolve_ip_for_localhost).
    """
    known = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = known


def use_started_processes() -> None:
    """Let Tune's actors run in processes that Ray on this machine has started already.

    Tune passes variables to its actors, and Ray starts a fresh process for each environment. Here
    they are inherited anyway, but for one that is meant for PyTorch Lightning (ray 2.60,
    class_cache.DEFAULT_ENV_VARS). Credentials of object storage, if there are some, are passed on
    as ever.
    """
    os.environ.pop("RAY_CHDIR_TO_TRIAL_DIR", None)
    class_cache.DEFAULT_ENV_VARS.pop("PL_DISABLE_FORK", None)


@contextmanager
def every_death_is_an_actors() -> Iterator[None]:
    """Let Tune retry a trial whatever its worker died of.

    A worker that Ray's memory monitor kills raises `OutOfMemoryError`, which is neither of the
    two errors that Tune's actor manager knows: it raises "Caught unexpected exception" and ends
    the whole run (ray 2.60, RayActorManager._actor_task_failed).
    """
    known = RayActorManager._actor_task_failed

    def failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if not isinstance(exception, (RayActorError, RayTaskError)):
            exception = RayActorError(error_msg=str(exception))
        known(self, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = known


def last_error(trial: Any) -> str:
    """What Ray noted of a Tune trial's last failure.

    Not by the trial's own `get_error`, which reads from Tune's storage: Tune copies the file there
    once an hour, or with checkpoints, which are ours (ray 2.60, Trial.error_file).
    """
    path = trial.error_file
    if not path or not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        _, _, last = file.read().rpartition("Failure # ")
    return last.partition("\n")[2]
