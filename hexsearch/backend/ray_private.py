"""All uses of Ray's private interfaces, with the version of Ray for which they are needed.

tests/backend/test_ray_private.py tells what has changed if another version of Ray is installed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ray._private import node, ray_constants, services, utils, worker
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.execution import class_cache

_GRACE_S = 4  # seconds after a kill in which Ray's processes may end by themselves


@contextmanager
def process_groups_of_their_own() -> Iterator[None]:
    """Start Ray in other process groups, so that signals to the driver's group do not reach it.

    `timeout 8h python run_search.py ...` and many batch systems send SIGTERM to the whole group.
    Ray protects its processes from SIGINT only (ray 2.60, services.start_ray_process), and a
    driver without its GCS cannot drain. Ray's processes still end with the driver, since
    PR_SET_PDEATHSIG is set.
    """
    known = services.ConsolePopen
    services.ConsolePopen = partial(known, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = known


@contextmanager
def guarded_agents() -> Iterator[None]:
    """End Ray's agents on this machine some seconds after this process was killed.

    An agent notices at once that its raylet has gone, but then tells a GCS that has gone, too, and
    waits a minute for its answer (ray 2.60, process_watcher). The agents are in the process group
    of the raylet. The guard learns of a kill because its standard input ends.
    """
    (raylet,) = worker.global_worker.node.all_processes[ray_constants.PROCESS_TYPE_RAYLET]
    script = f"cat > /dev/null; sleep {_GRACE_S}; kill -s KILL -- -{raylet.process.pid}"
    guard = subprocess.Popen(
        ["sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


@contextmanager
def own_signals() -> Iterator[None]:
    """Keep this process's own handler of SIGTERM while Ray starts.

    Ray would replace it by one that ends the process without a message (ray 2.60, worker.init).
    """
    known = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = known


@contextmanager
def loopback_only() -> Iterator[None]:
    """Make Ray use the loopback address of this machine.

    Ray does so on Windows and macOS. On Linux it would replace 127.0.0.1 by an address that other
    machines can reach (ray 2.60, services.resolve_ip_for_localhost).
    """
    known = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = known


@contextmanager
def fewest_processes() -> Iterator[None]:
    """Start Ray on this machine without its autoscaler, log monitor and dashboard server.

    Nothing here uses them, and Ray has no option that leaves them out (ray 2.60,
    node.start_head_processes and start_ray_processes). Importing their modules would take two
    cores 3 s before the first worker starts.
    """
    names = ("start_monitor", "start_log_monitor", "start_api_server")
    known = {name: getattr(node.Node, name) for name in names}
    for name in names:
        setattr(node.Node, name, lambda self, **options: None)
    try:
        yield
    finally:
        for name, method in known.items():
            setattr(node.Node, name, method)


@contextmanager
def start_faults() -> Iterator[None]:
    """Raise RuntimeError where Ray raises a bare Exception.

    Ray does so if its node does not start within 30 s (ray 2.60, node.py).
    """
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        why = str(error)
        if "timed out during startup" in why:
            why = "it did not start within 30 s, so this machine is probably very busy; try again"
        raise RuntimeError(why) from error


def use_started_processes() -> None:
    """Make Tune's actors use processes that Ray on this machine has started already.

    Tune passes environment variables to its actors, and Ray starts a new process for each
    environment. On this machine the variables are inherited, except one for PyTorch Lightning (ray
    2.60, class_cache.DEFAULT_ENV_VARS). Credentials of object storage are still passed on.
    """
    os.environ.pop("RAY_CHDIR_TO_TRIAL_DIR", None)
    class_cache.DEFAULT_ENV_VARS.pop("PL_DISABLE_FORK", None)


@contextmanager
def every_death_is_an_actors() -> Iterator[None]:
    """Make Tune retry a trial for every cause of its worker's death.

    If Ray's memory monitor kills a worker, the error is `OutOfMemoryError`. Tune's actor manager
    does not know it: it raises "Caught unexpected exception" and ends the whole run (ray 2.60,
    RayActorManager._actor_task_failed).
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
    """Ray's text on a Tune trial's last failure.

    The trial's own `get_error` cannot be used: it reads from Tune's storage, and Tune copies the
    file there only once an hour, or with its own checkpoints (ray 2.60, Trial.error_file).
    """
    path = trial.error_file
    if not path or not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        _, _, last = file.read().rpartition("Failure # ")
    return last.partition("\n")[2]
