"""Checks of read-outs: does the reported probability belong to the loss that is minimised?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import NetworkConfig
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.table import where
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.samples import ComparedSamples
from hexsearch.errors import ContractError
from hexsearch.model.readout import Readout, SmoothedReadout, check_readout
from hexsearch.model.value_heads import build_value_head, check_value_head
from hexsearch.model.whole_network import check_whole

_NEAR = 0.03
_SMOOTH = 0.3  # label smoothing that leaves little to learn
_SIDE = 13  # of the board, where no games say another
_ROWS = 64  # answers that are compared with those of their batch
_MAP_SIDE = 2  # rows of the feature map that heads are tried on


@dataclass(frozen=True)
class Optimum:
    """What a perfect network would put out, and what would be reported of it."""

    raw: float
    probability: float


def optimum(readout: Readout, target: float) -> Optimum:
    """Raw output of least loss for one target in [0, 1], from a scan of [-12, 12]."""
    low, high = -12.0, 12.0
    for _ in range(3):
        grid = torch.linspace(low, high, 2401, dtype=torch.float64)
        with torch.no_grad():
            losses = readout.loss(grid, torch.full_like(grid, target))
        best = int(losses.argmin())
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, 2400)])
    raw = (low + high) / 2
    reported = readout.win_prob(torch.tensor([raw], dtype=torch.float64))
    return Optimum(raw, float(reported))


def check_contract(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Minimise each loss over the raw output alone, and read what would be reported."""
    for name, readout in pipeline.readouts.items():
        inner = readout.inner if isinstance(readout, SmoothedReadout) else readout
        problems = check_readout(inner)
        if problems:
            cause, remedy = explain(inner)
            evidence = f"{name}: {'; '.join(problems)}"
            yield Finding("read-out", "error", evidence, cause, remedy, root="reading")
        elif inner.control:
            zero, one = optimum(inner, 0.0), optimum(inner, 1.0)
            yield Finding(
                "read-out",
                "info",
                f"{name} is a negative control: a perfect network would be reported as "
                f"{zero.probability:.2f} and {one.probability:.2f}",
                "it is in this space on purpose, to show what a read-out does that does not belong "
                "to its loss",
                "leave it out where no control is wanted; it is never ranked",
            )


def check_heads(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Shape, finiteness and gradient of every head or network that the configurations name."""
    for config in {config.head_name: config for config in pipeline.configs}.values():
        if config.network is not None:
            yield from _network(pipeline, config, config.network)
            continue
        try:
            head = build_value_head(config.value_head, _MAP_SIDE)
        except ContractError as error:
            problems = [str(error)]
        else:
            problems = check_value_head(
                head, config.value_head.inputs, _MAP_SIDE, config.value_head.name
            )
        for problem in problems:
            detached = "gradient" in problem
            yield Finding(
                "value heads",
                "error",
                f"{problem}: the trunk's gradient from the value loss is exactly 0"
                if detached
                else problem,
                "the value head is detached: its loss teaches the trunk nothing"
                if detached
                else "the plug-in does not keep the contract of a value head",
                "remove detach() or no_grad() from its forward()"
                if detached
                else "a head is a module from [B, C, H, W] to [B]",
            )


def _network(
    pipeline: ExaminedPipeline, config: TrialConfig, network: NetworkConfig
) -> Iterator[Finding]:
    """A whole network of the user's own, held to its contract."""
    size = pipeline.data.board_size if pipeline.data is not None else _SIDE
    planes = 3 if config.encoder.perspective == "absolute" else 2
    for problem in check_whole(network, planes, size + 2 * config.encoder.edge_ring, size):
        yield Finding(
            "value heads",
            "error",
            problem,
            "the network does not keep the contract of a whole network",
            "mend it; 'Own networks' in the documents lists what is asked of one",
            root="raises",
        )


def explain(readout: Readout) -> tuple[str, str]:
    """Which decode the loss would want, in words."""
    zero, one = optimum(readout, 0.0), optimum(readout, 1.0)
    sigmoid = [float(torch.tensor(found.raw).sigmoid()) for found in (zero, one)]
    reads_sigmoid = (
        abs(zero.probability - sigmoid[0]) < _NEAR and abs(one.probability - sigmoid[1]) < _NEAR
    )
    if one.probability < zero.probability - 0.1:
        return (
            "the probability reported is that of the other side: it falls where the loss wants it "
            "to rise",
            "report win_prob of the outcome that target 1 stands for",
        )
    for low, high, scale in ((0.0, 1.0, "0 and 1"), (-1.0, 1.0, "-1 and 1")):
        if abs(zero.raw - low) < _NEAR and abs(one.raw - high) < _NEAR and reads_sigmoid:
            return (
                f"the loss compares the raw output with {scale}, and a sigmoid is applied "
                f"afterwards: a perfect network is reported as {zero.probability:.2f} and "
                f"{one.probability:.2f}",
                "apply the sigmoid inside the loss as well (read-out sigmoid_mse or bce), or "
                "report the raw output itself"
                if low == 0.0
                else "report (raw + 1) / 2, or use read-out tanh_mse",
            )
    return (
        f"loss and win_prob are on different scales: the loss is least at raw {zero.raw:.2f} and "
        f"{one.raw:.2f}, which are reported as {zero.probability:.2f} and {one.probability:.2f}",
        "make one formula of both: the loss must be a function of win_prob(raw)",
    )


def check_smoothing(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether targets are moved towards 0.5 once, as configured."""
    for name, readout in pipeline.readouts.items():
        if not isinstance(readout, SmoothedReadout) or check_readout(readout.inner):
            continue
        smoothing = readout.smoothing
        if smoothing > _SMOOTH:
            yield Finding(
                "label smoothing",
                "warning",
                f"{name}: a certain win has the label {1 - smoothing / 2:.3g}, a certain loss "
                f"{smoothing / 2:.3g}",
                f"labels are smoothed by {smoothing:g}, far towards 0.5: answers stay between "
                f"{smoothing / 2:.2g} and {1 - smoothing / 2:.2g}, and differences nearly vanish",
                "set readout.label_smoothing to 0.1 or less",
            )
        wanted, reached = 1.0 - smoothing / 2, optimum(readout, 1.0).probability
        if reached < wanted - 0.2 * smoothing:
            yield Finding(
                "label smoothing",
                "error",
                f"{name}: the loss of a certain win is least at {reached:.3f}; smoothed once it "
                f"would be {wanted:.3f}",
                "label smoothing is applied twice",
                "smooth either in a read-out of your own or by readout.label_smoothing, not both",
            )
        elif reached > wanted + 0.25 * smoothing:
            yield Finding(
                "label smoothing",
                "error",
                f"{name}: the loss of a certain win is least at {reached:.3f}; smoothed by "
                f"{smoothing:g} it would be {wanted:.3f}",
                _not_smoothed(readout),
                "let the target be t (1 - s) + s / 2, between 0 and 1",
            )


def _not_smoothed(readout: SmoothedReadout) -> str:
    """Why answers are not kept from 0 and 1."""
    raw = torch.linspace(-4.0, 4.0, 9)
    s, target = readout.smoothing, torch.ones(9)
    with torch.no_grad():
        found = readout.loss(raw, target)
        beyond = readout.inner.loss(raw, target * (1.0 + s) - 0.5 * s)
    if torch.allclose(found, beyond, 1e-4, 1e-5):
        return (
            "label smoothing has the wrong sign: targets are pushed beyond 0 and 1 "
            f"({-s / 2:g} and {1 + s / 2:g}), and sure answers are rewarded without bound"
        )
    return "label smoothing is configured and has no effect on the loss"


def check_reported(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """What evaluation reports must be the read-out's answer, carried back to Red."""
    trial = pipeline.watched
    assert trial is not None
    compared = pipeline.compared
    batch, red_won = compared.samples.batch, compared.truth.red_won
    # A network that knows: the raw output of least loss for the outcome of each sample.
    zero, one = optimum(trial.readout, 0.0), optimum(trial.readout, 1.0)
    if zero.probability > 0.2 or one.probability < 0.8:
        return  # the read-out contract says more about that
    # As the games say; whether the batch's own labels are right is another check's question.
    shown = torch.from_numpy(red_won ^ (compared.symmetry >= 2))
    outcome = ~shown if compared.mover_view else shown
    raw = torch.where(outcome, one.raw, zero.raw)
    reported = trial.evaluator.reported(raw, batch)
    few = range(min(_ROWS, len(batch)))
    alone = [trial.evaluator.reported(raw[n : n + 1], batch.rows(slice(n, n + 1))) for n in few]
    apart = (torch.cat(alone) - reported[: len(few)]).abs() > 1e-3
    if apart.any():
        yield Finding(
            "perspective",
            "error",
            f"{float(apart.float().mean()):.0%} of {len(few)} answers are reported as something "
            "else when their batch is evaluated than each of them alone",
            "evaluation gives answers to other rows of the batch, or lets them depend on each "
            "other: the order of rows is not kept",
            "report the answer of row n for position n, from its own raw value alone",
            root="perspective",
        )
        return
    called = (reported > 0.5).numpy()
    right = float((called == red_won).mean())
    if right < 0.02:
        yield Finding(
            "perspective",
            "error",
            f"a network that knows every outcome would be reported as right in {right:.1%} of the "
            "training samples",
            "the chance of Blue is reported as that of Red",
            "report win_prob_red: 1 - p where the network answers for Blue, p elsewhere",
            root="perspective",
        )
    elif right < 0.98:
        yield _partly_reported(compared, reported.numpy())


def _partly_reported(compared: ComparedSamples, reported: NDArray[np.float32]) -> Finding:
    """Answers that are carried back in a part of the samples only."""
    called, red_won = reported > 0.5, compared.truth.red_won
    reflected = compared.symmetry >= 2
    share = float((called == red_won)[reflected].mean()) if reflected.any() else 1.0
    wrong = called != red_won
    place = where(wrong, affected(compared.truth, compared.symmetry))
    same = reported[wrong]
    return Finding(
        "perspective",
        "error",
        f"a network that knows every outcome would be reported as right in {1 - wrong.mean():.1%} "
        f"of the training samples, {share:.1%} of those shown with colours exchanged; it is wrong "
        f"{place}",
        f"{same[0]:.3g} is reported {place}, whatever the network answers"
        if np.ptp(same) < 1e-6 and 0.02 < same[0] < 0.98
        else "answers are not carried back wherever the position was shown reflected, or are "
        f"reported for the other colour {place}",
        "report win_prob_red: 1 - p exactly where the network answers for Blue",
        root="perspective",
    )
