"""An answer depends on its own position alone: not on its batch, repetition or history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.analysis.predictor import Predictor
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import ExaminedNetwork, TrainedNetwork, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline

_PROBED, _ALONE = 48, 16
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
    yield from _square_symmetries(respond, asked, second, spread)


def _square_symmetries(
    respond: Respond, planes: Tensor, answers: tuple[Tensor, Tensor], spread: _Spread
) -> Iterator[Finding]:
    """Turned by a quarter or flipped, a Hex board is another one; its value must change."""
    stones = planes[(planes.flatten(2).std(dim=2) > 1e-6).any(dim=1)]
    if len(stones) < 8 or spread.value < 1e-5:
        return
    value = respond(stones)[1]
    gaps = [
        float((respond(changed.contiguous())[1] - value).abs().max()) / spread.value
        for changed in (stones.flip(2), stones.flip(3), stones.rot90(1, (2, 3)))
    ]
    if max(gaps) < 1e-3:
        yield _finding(
            "the value stays the same when the board is flipped or given a quarter turn, to within "
            f"{max(gaps):.1g} standard deviations",
            "answers are averaged over the eight symmetries of a square, or the network cannot see "
            "where stones lie; Hex has the half turn and two reflections that exchange colours",
            "average over the half turn alone, or over the reflections with colours exchanged and "
            "1 - p",
        )


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
