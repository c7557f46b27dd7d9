"""Plan of a study without running it: `launch --dry-run`."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch.nn import functional

from hexsearch.config.phases import PHASE_TRIALS, PhaseSection
from hexsearch.config.run import RunConfig
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model.many_heads import build_many_heads
from hexsearch.model.network import build_network, count_parameters
from hexsearch.search.forecasting.outlook import Outlook
from hexsearch.search.placement import (
    Machine,
    most_trials,
    slots_on,
    with_share,
    without_measuring,
)
from hexsearch.search.proposer import MAX_LISTED, Proposer
from hexsearch.search.pruning import Pruner, RungSchedule, make_pruner
from hexsearch.search.reruns import PlannedRun
from hexsearch.search.space import Dimension, SearchSpace, Values, position_unit
from hexsearch.training.frozen_trunk import begin_with
from hexsearch.training.machine import usable_cpus
from hexsearch.training.report_points import PositionCount, reference_trial

_EXACT = 1000  # trials whose probability to continue is computed one by one
_SAMPLES = 5
_TIMED_BATCH = 32  # small, so that timing a large trunk is quick on a CPU, too
_BYTES_PER_PARAMETER = 12  # a weight and the two moments of AdamW


def plan_study(config: StudyConfig, space: SearchSpace) -> dict[str, Any]:
    """The JSON of `launch --dry-run --format json`.

    `slots` trials run at once: as many as the machine has CPUs and GPUs for, or one on each GPU
    if it will be measured how many share one, at most `most_trials_per_gpu`. `estimated_seconds`
    follows from the time of one training step on this machine. It is `None` if trials need a GPU
    and there is none. `disk_bytes` is the size of the checkpoints of the best and of the running
    trials. `sample_positions` are those on which each of the samples would be trained.

    Raises:
        CheckpointError: a sample cannot begin with the weights that it is to start from.
    """
    schedule = RungSchedule.of(config.scheduler, position_unit(space))
    arrivals = expected_arrivals(config.run.trials, make_pruner(config.scheduler, schedule))
    samples = _samples(config, space)
    trials = [space.resolve(values) for values in samples]
    for trial in trials:
        _require_start(trial, config)
    largest = max(trials, key=lambda trial: _parameters(trial, config))
    machine = Machine(usable_cpus(), torch.cuda.device_count())
    run = without_measuring(config.run, [machine])
    most = 1 if run else most_trials(config, [machine])
    run = run or with_share(config.run, [machine], 1)
    slots = slots_on(machine, run)
    levels = [0, *schedule.rungs, schedule.max_positions]
    positions = sum(
        count * (high - low) for count, low, high in zip(arrivals, levels, levels[1:], strict=False)
    )
    phases = further_phases(config, schedule.max_positions, config.run.trials - arrivals[-1])
    positions += sum(phase["positions"] for phase in phases)
    wants_gpu = run.gpus > 0
    rate = _rate(largest, config, run)
    seconds = None if rate is None else round(positions / (rate * slots), 1)
    gpu_hours = None
    if wants_gpu and seconds is not None:
        gpu_hours = round(seconds * slots * run.gpus / 3600, 2)
    kept = config.run.keep_checkpoints + slots
    return {
        "question": config.question,
        "dimensions": [_describe(dimension) for dimension in space.dimensions],
        "combinations": None if space.count == math.inf else int(space.count),
        "configurations": _distinct(space, space.count),
        "trials": config.run.trials,
        "rungs": list(schedule.rungs),
        "max_positions": schedule.max_positions,
        "equal_compute": config.scheduler.equal_compute,
        "trials_per_rung": [round(count, 1) for count in arrivals],
        "phases": phases,
        "positions": round(positions),
        "slots": slots,
        "gpus": machine.gpus if wants_gpu else 0,
        "most_trials_per_gpu": most,
        "estimated_seconds": seconds,
        "gpu_hours": gpu_hours,
        "disk_bytes": kept * _parameters(largest, config) * _BYTES_PER_PARAMETER,
        "samples": samples,
        "sample_positions": [
            _own_positions(trial, config, schedule.max_positions) for trial in trials
        ],
    }


def further_phases(config: StudyConfig, max_positions: int, pruned: float) -> list[dict[str, Any]]:
    """The largest costs of the phases besides the search, in their order.

    Args:
        pruned: number of trials that the search is expected to prune.
    """
    costs = []
    for phase in config.phases:
        if phase == "search" or phase not in PHASE_TRIALS:
            continue
        section: PhaseSection = getattr(config, phase)
        trainings = section.trainings(pruned)
        costs.append(
            {
                "phase": phase,
                "trainings": round(trainings, 1),
                "at_most": not section.is_drawn,
                "positions": round(trainings * max_positions),
            }
        )
    return costs


def _samples(config: StudyConfig, space: SearchSpace) -> list[Values]:
    """The first configurations that the study would propose before the first report."""
    schedule, trials = RungSchedule.of(config.scheduler, position_unit(space)), config.run.trials
    outlook = Outlook.of(config, space, schedule.levels, trials)
    proposer = Proposer(space, config.searcher, config.run.seed, trials, outlook)
    samples = []
    for number in range(min(_SAMPLES, trials)):
        values, origin = proposer.propose(number)
        samples.append(values)
        run = PlannedRun.of(space.resolve(values), values, 0, origin)
        suggested = run.suggested(str(number), number, seed=0)
        if outlook is not None:
            outlook.apply(suggested)
        proposer.apply(suggested)
    return samples


def _own_positions(trial: TrialConfig, config: StudyConfig, max_positions: int) -> int:
    """Positions on which a whole trial is trained."""
    counted = config.scheduler.equal_compute
    return PositionCount.of((max_positions,), trial, config.data, counted).own[0]


def _distinct(space: SearchSpace, combinations: float) -> int | None:
    """Number of configurations that differ in training. If there are many, all are counted."""
    if combinations == math.inf:
        return None
    return int(combinations) if combinations > MAX_LISTED else len(space.variants())


def expected_arrivals(trials: int, pruner: Pruner) -> list[float]:
    """Expected number of trials at each rung and at the budget, for a random order of arrival.

    Early trials continue more often than late ones, since they are compared with fewer trials.
    """
    cycle, rungs = pruner.brackets, len(pruner.rungs)
    arrivals = [0.0] * (rungs + 1)
    for bracket in set(cycle):
        arriving = trials * cycle.count(bracket) / len(cycle)
        for rung in range(rungs + 1):
            arrivals[rung] += arriving
            if rung >= bracket:
                count = max(1, round(arriving))
                # For later trials the probability hardly changes, and computing it is slow.
                exact = min(count, _EXACT)
                continuing = sum(pruner.chance(before) for before in range(exact))
                continuing += (count - exact) * pruner.chance(exact) if count > exact else 0.0
                arriving = min(arriving, continuing)
    return arrivals


def _describe(dimension: Dimension) -> dict[str, Any]:
    described: dict[str, Any] = {"name": dimension.name, "kind": dimension.kind}
    if dimension.kind == "choice":
        described["choices"] = list(dimension.choices)
    else:
        described |= {"low": dimension.low, "high": dimension.high, "log": dimension.log}
    if dimension.when:
        described["when"] = {parent: list(allowed) for parent, allowed in dimension.when}
    return described


def _encoder(trial: TrialConfig, config: StudyConfig) -> PositionEncoder:
    return PositionEncoder.of(trial.encoder, config.data.board_size)


def _parameters(trial: TrialConfig, config: StudyConfig) -> int:
    encoder = _encoder(trial, config)
    return count_parameters(build_network(trial, encoder.planes, encoder.size, seed=0))


def _require_start(trial: TrialConfig, config: StudyConfig) -> None:
    """Begin with the weights of the checkpoint that a trial starts from, if there is one."""
    if trial.start_from is not None:
        encoder = _encoder(trial, config)
        network = build_many_heads((trial,), encoder.planes, encoder.size, 0)
        begin_with(network, trial.encoder, trial.start_from)


def _rate(largest: TrialConfig, config: StudyConfig, run: RunConfig) -> float | None:
    """Positions per second of a trial; None if it needs a GPU and there is none."""
    if run.gpus and not torch.cuda.is_available():
        return None
    counted = config.scheduler.equal_compute
    timed = largest if counted is None else reference_trial(counted)
    return _positions_per_second(timed, config, run.gpus > 0, run.cpus)


def _positions_per_second(
    trial: TrialConfig, config: StudyConfig, on_gpu: bool, cpus: int
) -> float:
    """Speed of one training step of the network on random planes, after a warm-up step."""
    encoder = _encoder(trial, config)
    device = torch.device("cuda" if on_gpu else "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(cpus)
    try:
        network = build_network(trial, encoder.planes, encoder.size, seed=0)
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        planes = torch.rand(_TIMED_BATCH, encoder.planes, encoder.side, encoder.side, device=device)
        planes = planes.contiguous(memory_format=torch.channels_last)
        outcome = torch.zeros(_TIMED_BATCH, device=device)

        def step() -> float:
            started = time.perf_counter()
            output = network(planes)
            loss = functional.binary_cross_entropy_with_logits(output.value_raw, outcome)
            torch.autograd.backward(loss + output.policy_logits.square().mean())
            if on_gpu:
                torch.cuda.synchronize()
            return time.perf_counter() - started

        step()
        return _TIMED_BATCH / step()
    finally:
        torch.set_num_threads(threads)
