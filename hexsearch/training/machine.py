"""How many CPUs of this machine trials may use. It needs no torch."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus(cgroups: Path = _CGROUPS) -> int:
    """CPUs that this process may use, at least one.

    A machine may have many more: `taskset`, Slurm and `docker --cpuset-cpus` limit which CPUs a
    process runs on, and `docker --cpus` and Kubernetes how much of their time it gets.
    """
    counted = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        counted = len(os.sched_getaffinity(0))
    return max(1, min(counted, int(_share_of_time(cgroups, counted))))


def _share_of_time(cgroups: Path, unlimited: int) -> float:
    """CPUs whose time together the container may use; `unlimited` without a limit."""
    with suppress(OSError, ValueError, ZeroDivisionError):  # the second version of control groups
        quota, period = (cgroups / "cpu.max").read_text().split()
        return unlimited if quota == "max" else float(quota) / float(period)
    with suppress(OSError, ValueError, ZeroDivisionError):  # the first one; -1 is no limit
        granted = float((cgroups / "cpu/cpu.cfs_quota_us").read_text())
        period_us = float((cgroups / "cpu/cpu.cfs_period_us").read_text())
        return unlimited if granted < 0 else granted / period_us
    return unlimited
