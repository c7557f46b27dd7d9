"""An answer depends on its own position alone: not on its batch, repetition or history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.predictor import Predictor
from hexsearch.doctor.checks.network.symmetries import symmetry_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import ExaminedNetwork, Observed, TrainedNetwork, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline

_PROBED, _ALONE = 32, 8
_REPEATED = 0.3  # of different boards with the value of another one
_CLOSE = 0.02  # in standard deviations of the answers
Respond = Callable[[Tensor], tuple[Tensor, Tensor]]


def check_trained(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Of the trained network, as it answers at inference."""
    examined, observed = pipeline.examined, pipeline.observed
    assert examined is not None and observed is not None
    rng = np.random.default_rng(SEED)
    count = min(2 * _PROBED, len(observed.positions))
    chosen = rng.choice(len(observed.positions), count, replace=False)
    chosen = np.sort(chosen)
    planes = examined.planes(take(observed.positions, chosen))
    yield from _encoder_findings(examined, observed.positions)
    yield from independence_findings(examined.respond, planes)
    yield from _repeated_answers(observed)


def _repeated_answers(observed: Observed) -> Iterator[Finding]:
    """Different boards with one and the same raw value, though raw values are many."""
    raw = observed.raw if observed.raw.ndim == 1 else observed.raw[:, 0]
    stones = observed.positions.stones.reshape(len(raw), -1)
    keys = np.random.default_rng(SEED).integers(1, 1 << 40, stones.shape[1])
    _, first = np.unique(stones.astype(np.int64) @ keys, return_index=True)
    values = raw[first]
    different, counts = np.unique(values, return_counts=True)
    # Saturated outputs are equal at both ends; they are another matter.
    inside = (values > values.min()) & (values < values.max())
    repeated = counts[np.searchsorted(different, values)] > 1
    share = float((repeated & inside).mean())
    if share < _REPEATED or len(values) < 2 * _PROBED:
        return
    count = (stones[first] != 0).sum(axis=1)
    by_count = np.array([len(np.unique(values[count == each])) for each in np.unique(count)])
    few = len(different) < 0.02 * len(values)
    if by_count.max() == 1:
        cause = (
            "the value depends on the number of stones alone: answers are kept (cached) under a "
            "key that holds too little of the position, or the board is not read"
        )
    elif few:
        cause = (
            "the value takes a few numbers only: it is rounded (an integer, a sign, the likeliest "
            "bin, half precision), or answers are kept in a cache whose key holds too little"
        )
    else:
        cause = (
            "answers are those of other boards: a cache whose key holds too little of the "
            "position, or a value that is rounded"
        )
    yield _finding(
        f"{share:.0%} of {len(values):,} different boards have exactly the value of another one "
        f"({len(different):,} different values)",
        cause,
        "report the value as the network puts it out, and key a cache by board and side to move",
    )


def _encoder_findings(examined: ExaminedNetwork, positions: Positions) -> Iterator[Finding]:
    """Planes must be those of the position that is asked for, whatever was asked before."""
    count = min(2 * _PROBED, len(positions))
    forwards = np.arange(count)
    planes = examined.planes(take(positions, forwards))
    backwards = examined.planes(take(positions, forwards[::-1].copy())).flip(0)
    wrong = (planes - backwards).abs().flatten(1).amax(dim=1) > 1e-6
    if wrong.any():
        yield Finding(
            "modes",
            "error",
            f"{int(wrong.sum())} of {count} positions are encoded as other planes when they are "
            "asked for in the opposite order",
            "the encoder keeps something from one call to the next: planes hold the board of an "
            "earlier call, such as the position one move behind",
            "make the planes from the arguments of the call alone",
            root="modes",
        )


def check_untrained(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Of a network after a few steps, as it is evaluated."""
    trial = pipeline.watched
    assert trial is not None and pipeline.shown is not None
    predictor = Predictor(trial.answering, trial.readout, trial.encoder, trial.device)
    planes = torch.from_numpy(pipeline.shown.planes[: 2 * _PROBED])
    yield from independence_findings(TrainedNetwork(predictor).respond, planes)


def independence_findings(respond: Respond, planes: Tensor) -> Iterator[Finding]:
    """Ask the same positions in several ways and compare."""
    half = max(len(planes) // 2, 1)
    asked, others = planes[:half], planes[half:]
    spread = _Spread(respond(asked))
    first, second = respond(asked), respond(asked)
    if len(others):
        respond(others)
    third, fourth = respond(asked), respond(asked)
    repeated = spread.gap(second, fourth)
    if repeated > _CLOSE:
        yield _finding(
            f"the same planes get different answers twice in a row (by {repeated:.3g} standard "
            "deviations)",
            "dropout or running statistics are active: the model is in train mode at inference, or "
            "its answers are random",
            "call eval() before answering, and draw nothing at random",
        )
        return
    history = max(spread.gap(third, fourth), spread.gap(first, second))
    if history > _CLOSE:
        yield _finding(
            f"an answer changes by {history:.3g} standard deviations with what was asked before",
            "the network keeps something from one call to the next: stale features, a cache, or a "
            "buffer that is overwritten",
            "compute every answer from its own planes; keep nothing on self in forward()",
        )
        return
    order = torch.randperm(half, generator=torch.Generator().manual_seed(SEED))
    shuffled = respond(asked[order])
    back = torch.argsort(order)
    permuted = spread.gap(second, (shuffled[0][back], shuffled[1][back]))
    few = asked[:_ALONE]
    singles = [respond(few[index : index + 1]) for index in range(len(few))]
    alone = torch.cat([each[0] for each in singles]), torch.cat([each[1] for each in singles])
    company = spread.gap((second[0][: len(few)], second[1][: len(few)]), alone)
    if max(permuted, company) > _CLOSE:
        yield _finding(
            f"an answer changes by up to {max(permuted, company):.2f} standard deviations with the "
            "other positions of its batch",
            "batch norm is left in train mode at inference, or something (a softmax, a mean, an "
            "attention) goes over the batch instead of the board",
            "call eval() before answering; check the dimensions of every softmax, mean and norm",
        )
        return
    yield from symmetry_findings(respond, asked, second)


class _Spread:
    """Scales of value and policy, to measure gaps in."""

    def __init__(self, answers: tuple[Tensor, Tensor]) -> None:
        policy, value = answers
        self.value = float(value.float().std()) if value.numel() > 1 else 0.0
        self.policy = float(policy.float().std()) if policy.numel() > 1 else 0.0

    def gap(self, some: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> float:
        """The larger of both gaps, each in its own standard deviations."""
        scales = (self.policy, self.value)
        return max(
            float((a.float() - b.float()).abs().max()) / max(scale, 1e-4)
            for a, b, scale in zip(some, others, scales, strict=True)
        )


def _finding(evidence: str, cause: str, remedy: str) -> Finding:
    return Finding("modes", "error", evidence, cause, remedy, root="modes")
