"""How many trials share a GPU, and how many cores each has: the rule, without measuring.

`run.gpus_per_trial: auto` and `run.cpus_per_trial: auto` are replaced by numbers when a study
starts. The numbers are stored in study.yaml, so a resumed study places its trials alike.

* Without a GPU, a trial has one core.
* On a GPU, the trial of the space that needs most memory is measured on one card. At most as many
  trials share a card as fit into 80% of its memory, into the memory of the machine and onto its
  cores, 16 at most, and no more than give every card a trial. Of 1, 2, 4, ... up to this number,
  the fewest trials are taken that together reach 95% of the highest measured rate.
* A trial on a GPU has two cores if there are enough, since batches are built in a second thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hexsearch.config.run import RunConfig
from hexsearch.config.study import StudyConfig

RULE = "the fewest that together reach 95% of the highest rate"
_FULL = 0.95  # share of the highest rate that is enough
_USABLE = 0.8  # share of a card's memory; the rest is for larger heads and fragmentation
_MOST = 16  # trials on one card; more measured ones would need minutes to start
_GPU_CORES = 2  # cores of a trial on a GPU: one launches kernels, one builds batches
_STEPS_OF_A_SHARE = 10_000  # Ray counts resources in steps of 0.0001


@dataclass(frozen=True)
class Machine:
    """What trials may use of one machine: cores, GPUs, and bytes of its memory."""

    cpus: int
    gpus: int
    memory: float = math.inf


@dataclass(frozen=True)
class Footprint:
    """Memory of one trial after a step and an evaluation, in bytes.

    Attributes:
        card: all that is used on its card, including the context of its process.
        card_total: memory of the card.
        host: memory of the process on its machine.
    """

    card: float
    card_total: float
    host: float


@dataclass(frozen=True)
class Measurement:
    """What was measured on one card.

    Attributes:
        rates: positions/s of all trials together, by their number.
        footprint: memory of one trial.
    """

    rates: Mapping[int, float]
    footprint: Footprint

    def to_json(self) -> dict[str, Any]:
        """Plain values for the ledger."""
        return {
            "positions_per_second": {str(n): round(rate, 1) for n, rate in self.rates.items()},
            "gpu_bytes_per_trial": round(self.footprint.card),
            "gpu_bytes": round(self.footprint.card_total),
            "host_bytes_per_trial": round(self.footprint.host),
        }


def trials_on(gpus: int, share: float) -> int:
    """Number of trials that fit on a machine's GPUs. A fraction uses one GPU, never two.

    >>> trials_on(8, 0.6), trials_on(8, 0.15), trials_on(4, 2.0)
    (8, 48, 2)
    """
    if share > 1.0:
        return gpus // round(share)
    return gpus * int(1.0 / share + 1e-9)  # ten trials with a share of 0.1 fit despite rounding


def share_of(trials: int) -> float:
    """The share of a GPU with which this many trials fit on it, rounded down as Ray counts.

    >>> [share_of(n) for n in (1, 2, 3, 16)]
    [1.0, 0.5, 0.3333, 0.0625]
    """
    return math.floor(_STEPS_OF_A_SHARE / trials) / _STEPS_OF_A_SHARE


def without_measuring(run: RunConfig, machines: Sequence[Machine]) -> RunConfig | None:
    """The settings with numbers instead of `auto`; None if trials on a GPU must be measured."""
    gpus = run.gpus_per_trial
    if gpus == "auto":
        if any(machine.gpus for machine in machines):
            return None
        gpus = 0.0
    return _with_numbers(run, gpus, machines)


def most_trials(
    config: StudyConfig, machines: Sequence[Machine], footprint: Footprint | None = None
) -> int:
    """The most trials that may share a GPU, at least one.

    Args:
        footprint: memory of a trial; None if it is not known yet.
    """
    run, with_gpus = config.run, [machine for machine in machines if machine.gpus]
    jobs = run.trials if "search" in config.phases else config.compare.seeds
    jobs = min(jobs, run.max_concurrent or jobs)
    # Ray fills one card before it uses the next, so with more places some cards would be idle.
    limits: list[float] = [_MOST, math.ceil(jobs / sum(machine.gpus for machine in with_gpus))]
    limits += [machine.cpus / (machine.gpus * run.cpus) for machine in with_gpus]
    if footprint is not None:
        limits.append(_USABLE * footprint.card_total / footprint.card)
        limits += [machine.memory / (machine.gpus * footprint.host) for machine in with_gpus]
    return max(1, math.floor(min(limits)))


def tried_numbers(most: int) -> tuple[int, ...]:
    """The numbers of trials that are measured.

    >>> tried_numbers(1), tried_numbers(6), tried_numbers(16)
    ((1,), (1, 2, 4, 6), (1, 2, 4, 8, 16))
    """
    doubled = []
    number = 1
    while number < most:
        doubled.append(number)
        number *= 2
    return (*doubled, most)


def fewest_at_full_rate(rates: Mapping[int, float]) -> int:
    """The fewest trials that together reach 95% of the highest rate.

    >>> fewest_at_full_rate({1: 7600.0, 2: 14000.0, 4: 20000.0, 8: 20500.0})
    4
    """
    enough = _FULL * max(rates.values())
    return min(number for number, rate in rates.items() if rate >= enough)


def with_share(run: RunConfig, machines: Sequence[Machine], trials: int) -> RunConfig:
    """The settings with numbers, for so many trials on each GPU."""
    return _with_numbers(run, share_of(trials), machines)


def slots_on(machine: Machine, run: RunConfig) -> int:
    """Number of trials that run at once on a machine, at least one.

    Args:
        run: settings with numbers instead of `auto`.
    """
    slots = machine.cpus // run.cpus
    if run.gpus:
        slots = min(slots, trials_on(machine.gpus, run.gpus))
    return max(1, min(slots, run.max_concurrent or slots))


def describe(run: RunConfig, machines: Sequence[Machine], measurement: Measurement) -> str:
    """The placement of a study in a sentence."""
    gpus, each = sum(machine.gpus for machine in machines), trials_on(1, run.gpus)
    rates = ", ".join(f"{number}: {rate:,.0f}" for number, rate in measurement.rates.items())
    footprint = measurement.footprint
    return (
        f"placement: {each} trial{'s' if each > 1 else ''} on each of {gpus} "
        f"GPU{'s' if gpus > 1 else ''} with {run.cpus} core{'s' if run.cpus > 1 else ''} each, "
        f"{RULE} (positions/s by number of trials: {rates}); one needs "
        f"{footprint.card / 1e9:.1f} of {footprint.card_total / 1e9:.0f} GB"
    )


def _with_numbers(run: RunConfig, gpus: float, machines: Sequence[Machine]) -> RunConfig:
    cpus: int | str = run.cpus_per_trial
    if cpus == "auto":
        room = [
            machine.cpus // trials_on(machine.gpus, gpus)
            for machine in machines
            if gpus and trials_on(machine.gpus, gpus)
        ]
        cpus = max(1, min([_GPU_CORES, *room])) if room else 1
    return run.model_copy(update={"gpus_per_trial": gpus, "cpus_per_trial": cpus})
