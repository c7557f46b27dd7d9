"""Checks of read-outs and value heads, and of reported answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.config.section import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import NetworkConfig
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import ComparedSamples
from hexsearch.errors import ContractError
from hexsearch.model.readout import (
    Readout,
    SmoothedReadout,
    check_readout,
    probability_at_optimum,
)
from hexsearch.model.value_heads import build_value_head, check_value_head
from hexsearch.model.whole_network import check_whole

_SHARE, _OFF = 0.3, 0.04  # share of ones, and accepted difference of its optimum
_NEAR = 0.03  # probabilities with a smaller difference are equal
_SMOOTH = 0.3  # largest label smoothing that is not reported
_SIDE = 13  # side of the board if no games are given
_ROWS = 64  # answers that are also computed one by one
_MAP_SIDE = 2  # side of the feature map that heads are tried on


@dataclass(frozen=True)
class Optimum:
    """Raw output of least loss, and the probability that the read-out reports for it."""

    raw: float
    probability: float


def optimum(readout: Readout, target: float) -> Optimum:
    """The optimum for a target in [0, 1]; raw outputs are searched in [-12, 12]."""
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
    """The probability reported at the minimum of each loss must be the target."""
    for name, readout in pipeline.readouts.items():
        inner = readout.inner if isinstance(readout, SmoothedReadout) else readout
        problems = check_readout(inner)
        if problems:
            cause, remedy = explain(inner)
            evidence = f"{name}: {'; '.join(problems)}"
            yield Finding.error("read-out", evidence, cause, remedy, root="reading")
        elif inner.control:
            zero, one = optimum(inner, 0.0), optimum(inner, 1.0)
            yield Finding(
                "read-out",
                "info",
                f"{name} is a negative control: it reports a perfect network as "
                f"{zero.probability:.2f} and {one.probability:.2f}",
                "loss and probability do not belong together, which is intended: the space has "
                "this read-out as a control",
                "remove it from the space if you do not want a control; it is never ranked",
            )
        elif not inner.proper and is_import_path(name.split(" ")[0]):
            yield from _improper(name, inner)


def _improper(name: str, readout: Readout) -> Iterator[Finding]:
    """Report a plug-in that says itself that it is not proper, and by how much it is not."""
    reached = probability_at_optimum(readout, _SHARE)
    if abs(reached - _SHARE) < _OFF:
        return
    how = "too near to one half (too cautious)" if reached > _SHARE else "too near to 0 and 1"
    yield Finding.warning(
        "read-out",
        f"{name}: where {_SHARE:.0%} of the targets are 1 the loss is least at a win_prob of "
        f"{reached:.3f}",
        f"the loss is least at another probability than the true one, so win_prob is {how} even in "
        "a perfect network (a focal loss, a margin, an absolute error): the read-out is not proper",
        "use a loss whose minimum is the true probability, or undo its bias in win_prob; "
        "calibration and Brier score are worse by it",
        root="reading",
    )


def check_heads(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Every head and network of the configurations must keep its contract."""
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
            yield Finding.error(
                "value heads",
                f"{problem}: the gradient of the value loss on the trunk is exactly 0"
                if detached
                else problem,
                "the value head is detached: its loss does not train the trunk"
                if detached
                else "the plug-in does not keep the contract of a value head",
                "remove detach() or no_grad() from its forward()"
                if detached
                else "return one raw value for each position: a head maps [B, C, H, W] to [B]",
            )


def _network(
    pipeline: ExaminedPipeline, config: TrialConfig, network: NetworkConfig
) -> Iterator[Finding]:
    """Check the contract of a user's whole network."""
    size = pipeline.data.board_size if pipeline.data is not None else _SIDE
    planes = 3 if config.encoder.perspective == "absolute" else 2
    for problem in check_whole(network, planes, size + 2 * config.encoder.edge_ring, size):
        yield Finding.error(
            "value heads",
            problem,
            "the network does not keep the contract of a whole network",
            "correct the network; docs/own-networks.md says what its contract asks",
            root="raises",
        )


def explain(readout: Readout) -> tuple[str, str]:
    """Cause and remedy for a read-out whose loss and probability do not belong together."""
    zero, one = optimum(readout, 0.0), optimum(readout, 1.0)
    sigmoid = [float(torch.tensor(best.raw).sigmoid()) for best in (zero, one)]
    reads_sigmoid = (
        abs(zero.probability - sigmoid[0]) < _NEAR and abs(one.probability - sigmoid[1]) < _NEAR
    )
    if one.probability < zero.probability - 0.1:
        return (
            "the reported probability is that of the other side: it is high where the loss is "
            "least for target 0",
            "return the probability of the outcome with target 1 from win_prob",
        )
    for low, high, scale in ((0.0, 1.0, "0 and 1"), (-1.0, 1.0, "-1 and 1")):
        if abs(zero.raw - low) < _NEAR and abs(one.raw - high) < _NEAR and reads_sigmoid:
            return (
                f"the loss compares the raw output with {scale}, and a sigmoid is applied "
                f"afterwards: a perfect network is reported as {zero.probability:.2f} and "
                f"{one.probability:.2f}",
                "apply the sigmoid inside the loss as well (readout sigmoid_mse or bce), or report "
                "the raw output itself"
                if low == 0.0
                else "report (raw + 1) / 2, or set readout to tanh_mse",
            )
    return (
        f"loss and win_prob are on different scales: the loss is least at raw {zero.raw:.2f} and "
        f"{one.raw:.2f}, which are reported as {zero.probability:.2f} and {one.probability:.2f}",
        "compute the loss from win_prob(raw), so that both use one formula",
    )


def check_smoothing(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Label smoothing must be moderate, and be applied once."""
    for name, readout in pipeline.readouts.items():
        if not isinstance(readout, SmoothedReadout) or check_readout(readout.inner):
            continue
        smoothing = readout.smoothing
        if smoothing > _SMOOTH:
            yield Finding.warning(
                "label smoothing",
                f"{name}: the label of a win is {1 - smoothing / 2:.3g}, that of a loss "
                f"{smoothing / 2:.3g}",
                f"labels are smoothed by {smoothing:g}, far towards 0.5: answers stay between "
                f"{smoothing / 2:.2g} and {1 - smoothing / 2:.2g}, and their differences are small",
                "set readout.label_smoothing to 0.1 or less",
            )
        wanted, reached = 1.0 - smoothing / 2, optimum(readout, 1.0).probability
        if reached < wanted - 0.2 * smoothing:
            yield Finding.error(
                "label smoothing",
                f"{name}: the loss of a win is least at answer {reached:.3f}; with labels smoothed "
                f"once it is least at {wanted:.3f}",
                "label smoothing is applied twice",
                "smooth labels either in your own read-out or by readout.label_smoothing, not in "
                "both",
            )
        elif reached > wanted + 0.25 * smoothing:
            yield Finding.error(
                "label smoothing",
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
    """Evaluation must report Red's win probability, row by row."""
    trial = needed(pipeline.watched)
    compared = pipeline.compared
    batch, red_won = compared.samples.batch, compared.truth.red_won
    # A perfect network gives the raw value of least loss for the outcome of each sample.
    zero, one = optimum(trial.readout, 0.0), optimum(trial.readout, 1.0)
    if zero.probability > 0.2 or one.probability < 0.8:
        return  # check `read-out` reports this
    # Outcomes of the games; check `training labels` compares the labels of the batch with them.
    perspective = compared.samples.perspective
    outcome = torch.from_numpy(compared.truth.outcome(compared.symmetry, perspective))
    raw = torch.where(outcome, one.raw, zero.raw)
    reported = trial.evaluator.reported(raw, batch)
    few = range(min(_ROWS, len(batch)))
    alone = [trial.evaluator.reported(raw[n : n + 1], batch.rows(slice(n, n + 1))) for n in few]
    apart = (torch.cat(alone) - reported[: len(few)]).abs() > 1e-3
    if apart.any():
        yield Finding.error(
            "perspective",
            f"{float(apart.float().mean()):.0%} of {len(few)} answers are reported differently if "
            "positions are evaluated one by one",
            "evaluation reports answers of other rows of the batch, or answers depend on other "
            "rows: the order of rows is not kept",
            "compute the reported answer of row n from the raw value of row n only",
            root="perspective",
        )
        return
    called = (reported > 0.5).numpy()
    right = float((called == red_won).mean())
    if right < 0.02:
        yield Finding.error(
            "perspective",
            f"for a perfect network only {right:.1%} of the reported answers on training samples "
            "are right",
            "the chance of Blue is reported as that of Red",
            "report win_prob_red: 1 - p where the network answers for Blue, p elsewhere",
            root="perspective",
        )
    elif right < 0.98:
        yield _partly_reported(compared, reported.numpy())


def _partly_reported(compared: ComparedSamples, reported: NDArray[np.float32]) -> Finding:
    """The finding for answers that are inverted in the wrong samples."""
    called, red_won = reported > 0.5, compared.truth.red_won
    reflected = compared.symmetry >= 2
    share = float((called == red_won)[reflected].mean()) if reflected.any() else 1.0
    wrong = called != red_won
    place, same = compared.place(wrong), reported[wrong]
    return Finding.error(
        "perspective",
        f"for a perfect network {1 - wrong.mean():.1%} of the reported answers on training samples "
        f"are right, and {share:.1%} of those with colours exchanged; they are wrong {place}",
        f"{same[0]:.3g} is reported {place}, whatever the network answers"
        if np.ptp(same) < 1e-6 and 0.02 < same[0] < 0.98
        else "answers are not inverted (carried back to Red) where the network answers for Blue, "
        f"or are reported for the other colour {place}",
        "report win_prob_red: 1 - p wherever the network answers for Blue, and only there",
        root="perspective",
    )
