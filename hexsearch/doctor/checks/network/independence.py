"""Checks that an answer depends on its position only: not on its batch or on earlier calls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.checks.computation.calls import call_findings
from hexsearch.doctor.checks.network.rows import (
    CLOSE,
    QUANTISED,
    Respond,
    Spread,
    by_rows,
    mixing_module,
)
from hexsearch.doctor.checks.network.symmetries import symmetry_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.chance import is_random
from hexsearch.doctor.networks import ExaminedNetwork, Observed, TrainedNetwork, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.samples import enough

_PROBED, _ALONE = 32, 8  # positions of a batch, and those that are also answered one by one
_REPEATED = 0.3  # share of boards with the value of another board that is reported
_FEW = 100  # different values of an answer that is not rounded
_ONE = 0.6  # share of these that have one and the same value


def check_trained(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Check a trained network and its encoder at inference."""
    examined, observed = needed(pipeline.examined), needed(pipeline.observed)
    rng = np.random.default_rng(SEED)
    count = min(2 * _PROBED, len(observed.positions))
    chosen = np.sort(rng.choice(len(observed.positions), count, replace=False))
    planes = examined.planes(take(observed.positions, chosen))
    yield from _encoder_findings(examined, observed.positions)
    of_calls = list(call_findings(examined, planes))
    yield from of_calls
    if of_calls:
        return
    for_mover = getattr(examined, "for_mover", False)
    findings = list(independence_findings(examined.respond, planes, for_mover))
    findings = findings or list(_shared_readout(examined, take(observed.positions, chosen), planes))
    yield from findings or _repeated_answers(observed)


def _shared_readout(
    examined: ExaminedNetwork, positions: Positions, planes: Tensor
) -> Iterator[Finding]:
    """Report answers that are not those of the same raw values asked again, or in parts."""
    raw = examined.respond(planes)[1]
    together, again = (examined.reported(raw, positions) for _ in range(2))
    drawn = float(torch.nan_to_num(together - again).abs().max())
    if drawn > CLOSE:
        yield _finding(
            f"for the same raw values win_prob_red gives answers that differ by up to {drawn:.2f} "
            "from call to call",
            "win_prob_red draws random numbers, or keeps something from one call to the next",
            "compute the probability from the raw value alone",
            root="batch",
        )
        return
    parts = np.split(np.arange(len(positions)), range(_ALONE, len(positions), _ALONE))
    alone = torch.cat([examined.reported(raw[part], take(positions, part)) for part in parts])
    apart = float(torch.nan_to_num(together - alone).abs().max())
    if apart > CLOSE:
        yield _finding(
            f"for the same raw values win_prob_red gives {len(positions)} positions answers that "
            f"differ by up to {apart:.2f} if they are asked together and in parts of {_ALONE}",
            "win_prob_red depends on the other positions of the batch: a softmax, a mean or a "
            "maximum is taken over the batch (dimension 0) and not over the outputs of a position "
            "(dimension 1), and the loss in training probably, too",
            "use softmax(raw, dim=1), or dim=-1, in the loss and in win_prob_red; then train again",
            root="batch",
        )


def _repeated_answers(observed: Observed) -> Iterator[Finding]:
    """Report different boards that have exactly the same raw value."""
    stones = observed.positions.stones.reshape(len(observed.value), -1)
    keys = np.random.default_rng(SEED).integers(1, 1 << 40, stones.shape[1])
    _, first = np.unique(stones.astype(np.int64) @ keys, return_index=True)
    values = observed.value[first]
    different, counts = np.unique(values, return_counts=True)
    # Saturated outputs, which are equal at both ends of their range, do not count.
    inside = (values > values.min()) & (values < values.max())
    repeated = counts[np.searchsorted(different, values)] > 1
    share = float((repeated & inside).mean())
    if share < _REPEATED or len(values) < 2 * _PROBED:
        return
    commonest = 1 + int(counts[1:-1].argmax())  # inside
    usual, most = different[commonest], counts[commonest]
    if len(different) > _FEW and most > _ONE * (repeated & inside).sum():
        yield Finding.warning(
            "modes",
            f"{most / len(values):.0%} of {len(values):,} different boards have exactly "
            f"the raw value {usual:.4f}, and all others differ ({len(different):,} values)",
            "the value of these boards is the bias of its last layer: all units of the layer "
            "before are zero there (dead units of a ReLU, too few units, or too high a learning "
            "rate)",
            "use more units or a leaky ReLU in the value head, or a lower learning rate",
            root="repeated",
        )
        return
    count = (stones[first] != 0).sum(axis=1)
    by_count = np.array([len(np.unique(values[count == each])) for each in np.unique(count)])
    few = len(different) < 0.02 * len(values)
    if by_count.max() == 1:
        cause = (
            "the value depends on the number of stones only: answers are cached under a key that "
            "does not identify the position, or the board is not read"
        )
    elif few:
        cause = (
            "the value takes few different numbers: it is rounded (an integer, a sign, the "
            "likeliest bin, half precision), or answers are cached under a key that does not "
            "identify the position"
        )
    else:
        cause = (
            "answers are those of other boards: they are cached under a key that does not identify "
            "the position, or the value is rounded"
        )
    yield _finding(
        f"{share:.0%} of {len(values):,} different boards have exactly the value of another board "
        f"({len(different):,} different values)",
        cause,
        "report the value without rounding, and use board and side to move as the key of a cache",
        root="repeated",
    )


def _encoder_findings(examined: ExaminedNetwork, positions: Positions) -> Iterator[Finding]:
    """The planes of a position must not depend on earlier calls of the encoder."""
    count = min(2 * _PROBED, len(positions))
    forwards = np.arange(count)
    planes = examined.planes(take(positions, forwards))
    backwards = examined.planes(take(positions, forwards[::-1].copy())).flip(0)
    wrong = (planes - backwards).abs().flatten(1).amax(dim=1) > 1e-6
    if wrong.any():
        yield Finding.error(
            "modes",
            f"{int(wrong.sum())} of {count} positions get other planes if they are encoded in the "
            "opposite order",
            "the encoder keeps something from one call to the next: planes hold the board of an "
            "earlier call, such as the position one move behind",
            "compute planes from the arguments of the call only",
            root="modes",
        )


def check_untrained(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Check a network after a few training steps, as it is evaluated."""
    trial, samples = needed(pipeline.watched), needed(pipeline.samples)
    count = 2 * enough(_PROBED, samples.planes.shape[-1])
    planes = torch.from_numpy(samples.planes[:count])
    yield from independence_findings(TrainedNetwork.of_trial(trial).respond, planes)


def independence_findings(
    respond: Respond, planes: Tensor, for_mover: bool = False
) -> Iterator[Finding]:
    """Compare the outputs for the same planes in several calls.

    Args:
        respond: the network, from planes to policy and value.
        planes: [P, C, N, N] planes of different positions.
        for_mover: whether the value belongs to the side to move.
    """
    half = max(len(planes) // 2, 1)
    asked, others = planes[:half], planes[half:]
    first, second = respond(asked), respond(asked)
    spread = Spread(first)
    rest = respond(others) if len(others) else None
    third, fourth = respond(asked), respond(asked)
    repeated = spread.gap(second, fourth)
    if repeated > CLOSE:
        yield _unsteady(respond, asked, spread, repeated)
        return
    history = max(spread.gap(third, fourth), spread.gap(first, second))
    if history > CLOSE:
        yield _finding(
            f"an answer changes by {history:.3g} standard deviations with the calls before it",
            "the network keeps something from one call to the next: stale features, a cache, or a "
            "buffer that is overwritten",
            "compute every answer from its own planes, and store nothing on self in forward()",
        )
        return
    order = torch.randperm(half, generator=torch.Generator().manual_seed(SEED))
    shuffled = respond(asked[order])
    back = torch.argsort(order)
    permuted = spread.gap(second, (shuffled[0][back], shuffled[1][back]))
    few = asked[:_ALONE]
    singles = [respond(few[index : index + 1]) for index in range(len(few))]
    alone = torch.cat([each[0] for each in singles]), torch.cat([each[1] for each in singles])
    together = spread.gap(_first(second, len(few)), alone)
    whole = 0.0
    if rest is not None:
        parts = torch.cat([second[0], rest[0]]), torch.cat([second[1], rest[1]])
        whole = spread.gap(respond(planes), parts)
    if permuted > CLOSE and len(others) >= half > _ALONE:
        mixed = respond(torch.cat([few, others[len(few) : half]]))  # the same places, other rows
        if spread.gap(_first(second, len(few)), _first(mixed, len(few))) <= CLOSE:
            yield _by_place(permuted)
            return
    if (gap := max(permuted, together, whole)) > CLOSE:
        yield _by_batch(respond, planes, spread, gap)
        return
    yield from symmetry_findings(respond, asked, second, for_mover)


def _first(answers: tuple[Tensor, Tensor], count: int) -> tuple[Tensor, Tensor]:
    return answers[0][:count], answers[1][:count]


def _by_batch(respond: Respond, planes: Tensor, spread: Spread, gap: float) -> Finding:
    """The finding for answers that depend on the other positions of their batch."""
    evidence = (
        f"an answer changes by up to {gap:.2f} standard deviations with the other positions of its "
        "batch"
    )
    half = max(len(planes) // 2, 1)
    cause = by_rows(respond, planes, spread) or mixing_module(respond, planes[:half], _ALONE)
    if cause.endswith(QUANTISED):
        remedy = "ask one position at a time, or quantise statically, where this matters"
        return Finding.warning("modes", evidence, cause, remedy, root="modes")
    return _finding(
        evidence,
        cause
        or "batch norm is in train mode at inference, or an operation (a softmax, a mean, an "
        "attention) goes over the batch instead of the board",
        "call eval() on the model before inference; check the dimension of every softmax, mean and "
        "norm",
    )


def _by_place(gap: float) -> Finding:
    """The finding for answers that depend on the place of a row in its batch alone."""
    return _finding(
        f"an answer changes by up to {gap:.2f} standard deviations with the place of its position "
        "in the batch, and not with the other positions",
        "something is added along the batch dimension, so that an answer depends on the place of "
        "the row in its batch: a positional encoding of shape (length, 1, d) that is added to "
        "(batch, cells, d), or weights that are indexed by the row",
        "add encodings along the dimension of the cells (shape (1, cells, d))",
        root="batch",
    )


def _unsteady(respond: Respond, asked: Tensor, spread: Spread, gap: float) -> Finding:
    """The finding for calls with the same planes that give different answers."""
    is_chance = is_random(
        lambda: respond(asked), lambda some, others: spread.gap(some, others) <= CLOSE
    )
    evidence = (
        f"repeated calls with the same planes give different answers (by {gap:.3g} standard "
        "deviations), "
    )
    if is_chance:
        return _finding(
            f"{evidence}and equal ones if the random generators begin at the same state",
            "answers are random: dropout is active (the model is in train mode at inference), or "
            "forward() draws random numbers",
            "call eval() on the model before inference, and use no random numbers in forward()",
        )
    return _finding(
        f"{evidence}also if the random generators begin at the same state",
        "the network keeps something from one call to the next: a state that is not reset between "
        "evaluations (of a recurrent layer, or running statistics in train mode), a cache, or a "
        "buffer that is overwritten",
        "compute every answer from its own planes: reset the state before each evaluation, call "
        "eval() on the model, and store nothing on self in forward()",
    )


def _finding(evidence: str, cause: str, remedy: str, root: str = "modes") -> Finding:
    return Finding.error("modes", evidence, cause, remedy, root=root)
