"""Connects to Ray on this machine or on a cluster, and counts the jobs that fit on it."""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import ray

from hexsearch.backend.local_ray import LOOPBACK, private_folder
from hexsearch.backend.ray_private import (
    fewest_processes,
    guarded_agents,
    loopback_only,
    own_signals,
    process_groups_of_their_own,
    start_faults,
    use_started_processes,
)
from hexsearch.config.run import RunConfig as Resources
from hexsearch.errors import ConfigError, HexsearchError
from hexsearch.search.placement import trials_on
from hexsearch.training.machine import usable_cpus

_ENVIRONMENT = {
    # Tune's loggers flush every row and leak memory for each trial; the ledger has all data.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # We handle signals: Tune's handler would end trials without telling the searcher.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's snapshots are not used.
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "60",
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # Trials have the priority of the command. Ray would add 15 to their niceness, so that beside
    # any other work they nearly stand still; `nice hexsearch ...` says what the user wants.
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # A node that is taken away (preempted) is not a failure of the trial.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "0",
    # Tune's new output engine prints a banner even with verbose=0.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Tune would start one worker after the other. The engine limits the number of running trials.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
}
# Modules that Ray's worker processes import before they get work.
_WARM = {
    "RAY_preload_python_modules": "ray.tune,hexsearch.backend.trainable",
    # Ray would end idle processes that need much memory, as these do with torch.
    "RAY_idle_worker_killing_memory_threshold_bytes": str(4 * 1024**3),
    "OMP_NUM_THREADS": "1",  # torch reads it when it is imported, before Ray sets it for the trial
}
_SLOTS_AGE_S = 5.0  # interval of counting slots, since a cluster may grow or shrink
_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 128 * 1024**2  # it can be small: trials share a memory map, not Ray objects


@contextmanager
def ray_cluster(address: str | None, resources: Resources) -> Iterator[float]:
    """Connect to a cluster, or start Ray on this machine. At the end, disconnect or stop it.

    Ray on this machine starts one process for each CPU at once. If each of them will run a trial,
    they import torch before the first trial is sent.

    Yields:
        The time at which Ray had started, in Unix seconds.
    Raises:
        HexsearchError: the cluster cannot be reached, or Ray cannot be started.
    """
    for name, value in environment(address, resources).items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address:
        require_listener(address)
    own = ExitStack()  # resources that exist only while Ray runs on this machine
    try:
        with own_signals():
            _connect(address, own)
    except (OSError, RuntimeError, ValueError) as error:
        own.close()
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        why = str(error).strip().partition("\n")[0]
        if address and "RAY_AUTH_MODE" not in os.environ:
            why += "; if the cluster needs a token, set RAY_AUTH_MODE=token and "
            why += "RAY_AUTH_TOKEN_PATH (or RAY_AUTH_TOKEN) here and on its nodes"
        raise HexsearchError(f"cannot reach or start {where}: {why}") from error
    except BaseException:  # a signal while Ray starts
        ray.shutdown()
        own.close()
        raise
    # Tune logs a traceback for every worker that dies. The ledger has the reason if all retries
    # have failed.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        yield round(time.time(), 3)
    finally:
        ray.shutdown()
        own.close()


def _connect(address: str | None, own: ExitStack) -> None:
    """Connect to a cluster, or start Ray in a folder that `own` removes."""
    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        # Ray needs a token by default. Our own token needs no file in the home folder, and
        # exists only in this process.
        if not os.environ.get("RAY_AUTH_TOKEN_PATH"):
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        folder = own.enter_context(private_folder())
        with process_groups_of_their_own(), loopback_only(), start_faults(), fewest_processes():
            ray.init(
                address="local",
                num_cpus=usable_cpus(),
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_OBJECT_STORE_BYTES,
                _node_ip_address=LOOPBACK,
                _temp_dir=str(folder),
            )
        own.enter_context(guarded_agents())
        use_started_processes()


def environment(address: str | None, resources: Resources) -> dict[str, str]:
    """Environment variables for Ray, unless the user has set them.

    Args:
        resources: on a machine without a GPU, `auto` has been replaced by numbers.
    """
    all_train = resources.max_concurrent is None and resources.cpus == 1
    if address is None and all_train and not resources.gpus_per_trial:
        return _ENVIRONMENT | _WARM
    return _ENVIRONMENT  # most processes would import torch without need


def require_listener(address: str) -> None:
    """Fail within seconds if nothing listens at the address; Ray itself tries for minutes.

    Raises:
        HexsearchError: nothing listens there.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return  # `auto`, or another form that Ray itself resolves
    try:
        with socket.create_connection((host, int(port)), timeout=_CONNECT_S):
            return
    except OSError as error:
        raise HexsearchError(
            f"no Ray cluster answers at {address}: {error}. Start one with 'ray start --head', or "
            "leave --address out to run on this machine"
        ) from error


def trial_slots(resources: Resources) -> Callable[[], int]:
    """A function for the number of trials that fit on the cluster, counted every few seconds.

    Raises:
        ConfigError: not even one trial fits.
    """
    asked_at, slots = -math.inf, 0

    def count() -> int:
        nonlocal asked_at, slots
        if time.monotonic() - asked_at >= _SLOTS_AGE_S:
            asked_at, slots = time.monotonic(), _count_slots(resources)
        return slots

    if count() < 1:
        require_room(resources)
    return count


def require_room(resources: Resources) -> None:
    """Check that one trial fits on the cluster.

    Raises:
        ConfigError: it does not fit; states what a trial needs and what there is.
    """
    if _count_slots(resources) < 1:
        have = ray.cluster_resources()
        raise ConfigError(
            f"a trial needs {resources.cpus} CPU(s) and {resources.gpus:g} "
            f"GPU(s), but Ray has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}; lower "
            "run.cpus_per_trial or run.gpus_per_trial, or join a larger cluster with --address; on "
            "one with an autoscaler, set run.autoscale_to"
        )


def _count_slots(resources: Resources) -> int:
    """Number of trials that fit, counted for each node, since a trial cannot use two nodes."""
    slots = 0
    for node in ray.nodes():
        if not node["Alive"]:
            continue
        room = int(node["Resources"].get("CPU", 0) // resources.cpus)
        if resources.gpus:
            gpus = int(node["Resources"].get("GPU", 0))
            room = min(room, trials_on(gpus, resources.gpus))
        slots += room
    slots = max(slots, resources.autoscale_to or 0)  # Ray's autoscaler sees only trials that wait
    return min(slots, resources.max_concurrent or slots)
