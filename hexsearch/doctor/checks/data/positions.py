"""Compares the planes of training samples with the games: stones, side to move, ring of edges."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.checks.data.history import history_findings
from hexsearch.doctor.checks.data.ring import ring_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.board_maps import described, strided
from hexsearch.doctor.hypotheses.boards.cell_maps import cell_map
from hexsearch.doctor.hypotheses.boards.channels import of_other_samples, sources, stone_values
from hexsearch.doctor.hypotheses.boards.places import place_map
from hexsearch.doctor.hypotheses.boards.rolled import rolled
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.general.relations import determined
from hexsearch.doctor.hypotheses.plane_values import VAGUE
from hexsearch.doctor.hypotheses.planes import (
    exchanged_channels,
    plane_scores,
    reordered,
)
from hexsearch.doctor.hypotheses.table import Flags, at, lag_score, named_cause
from hexsearch.doctor.hypotheses.truth import (
    SWAPS,
    Ints,
    Planes,
    in_ring,
    inside_ring,
    same,
)
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.samples import ComparedSamples

_FILL = "set the side-to-move plane to 0 where Blue is to move and to 1 where Red is"
_EXCHANGE = (
    "exchange the side to move wherever the colours are exchanged; do not derive it from stones"
)

_EXACT = 0.01  # largest residual of a formula, in standard deviations
Floats = NDArray[np.float32]
_EXPLAINED = 0.95  # share of the wrong samples
_LOOKED_AT = 200  # wrong samples whose stones are looked at one by one


def check_boards(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the planes that the network gets with the games."""
    compared = pipeline.compared
    truth, planes = compared.truth, compared.samples.planes
    wrong: Flags = ~np.any(compared.images, axis=1)
    if wrong.any():
        yield _lost_boards(compared, wrong)
        return
    if compared.mover_view:
        reflected = SWAPS[None] == truth.red_to_move[:, None]
        side = (compared.images & (truth.finished[:, None] | reflected)).any(axis=1)
        if not side.all():
            yield Finding.error(
                "boards",
                f"the perspective is wrong in {(~side).sum():,} of {len(side):,} training samples, "
                f"{compared.place(~side)}",
                "the board is encoded from the perspective of the side that is not to move",
                "reflect and recolour the board where Red is to move, and only there",
                root="boards",
            )
    else:
        yield from _mover_plane(compared)
    yield from ring_findings(pipeline, planes, truth.size)
    yield from history_findings(pipeline)


def _lost_boards(compared: ComparedSamples, wrong: Flags) -> Finding:
    """The finding for boards that are not those of the games."""
    samples, truth = compared.samples, compared.truth
    place = compared.place(wrong, among=wrong | (truth.ply > 0))  # empty boards look right
    evidence = (
        f"{wrong.sum():,} of {len(wrong):,} training samples have a board that is not the game's "
        f"under any symmetry, {place}, {compared.example(wrong)}"
    )
    if np.ptp(samples.planes, axis=0).max() == 0.0:
        return Finding.error(
            "boards",
            f"{evidence}; all {len(wrong):,} rows are equal",
            "every row shows one and the same board: a buffer that all rows share, or an index "
            "that does not advance",
            "give each row an array of its own, and copy it before the buffer is used again",
        )
    order = exchanged_channels(
        inside_ring(samples.planes, truth.size)[wrong], _expected_planes(compared, wrong)
    )
    if order is not None and sorted(order[:2]) != [0, 1]:
        return Finding.error(
            "boards",
            f"{evidence}; with the planes in the order {order} more than 95% of them are right",
            at(f"the planes are swapped: they are in the order {_inverse(order)}", place),
            "use the order of the encoder: Blue's stones, Red's stones, side to move",
        )
    ring = samples.planes.shape[-1] == truth.size + 2
    size, swapped = samples.batch_size, compared.swapped
    scores = plane_scores(compared.stones, truth, size, wrong, swapped, ring)
    some = np.flatnonzero(wrong)[:_LOOKED_AT]
    numbers = {name: each[some] for name, each in compared.numbers.items()}
    values = stone_values(compared.stones[some], truth.rows(some), numbers)
    formula = _against_right(compared, wrong, described)
    if formula:  # it says more than that something is added, or mixed in
        scores = [score for score in scores if score.hypothesis.name not in VAGUE]
    explained, cause, remedy = named_cause(
        [] if values else scores,
        values
        or strided(samples.planes[wrong], _expected_planes(compared, wrong))
        or sources(compared.stones, truth, swapped, wrong, size)
        or _moved_cells(compared, wrong)
        or _by_colour(compared, wrong)
        or _against_right(compared, wrong, reordered)
        or formula
        or _other_places(compared, wrong)
        or rolled(compared.stones[some], truth.rows(some))
        or of_other_samples(compared.stones, truth, wrong)
        or "the planes are built from other moves, in another order, or changed afterwards",
        "print the planes of one wrong sample, and compare them with its game, which "
        "`hexsearch games show PATH --game NUMBER --ply PLY` draws",
    )
    found = f"{evidence}; {explained}"
    return Finding.error("boards", found, at(cause, place), remedy, root="boards")


def _by_colour(compared: ComparedSamples, wrong: Flags) -> str:
    """In words, that each colour's plane is right by itself; empty if it is not."""
    planes = inside_ring(compared.samples.planes, compared.truth.size)[wrong]
    expected = _expected_planes(compared, wrong)
    first = np.any([same(planes[:, :1], each[:, :1]) for each in expected], axis=0)
    second = np.any([same(planes[:, 1:2], each[:, 1:2]) for each in expected], axis=0)
    if (first & second).mean() < _EXPLAINED:
        return ""
    return (
        "the plane of one colour is turned and that of the other is not: each channel goes through "
        "a symmetry of its own (half turn), as where augmentation treats planes one by one"
    )


def _against_right(
    compared: ComparedSamples, wrong: Flags, explain: Callable[[Planes, Planes], str]
) -> str:
    """What a comparison of wrong planes with the right ones says; empty if it says nothing."""
    rows, symmetry = _known_symmetry(compared, wrong)
    if not rows.any():
        return ""
    planes = inside_ring(compared.samples.planes, compared.truth.size)[rows]
    return explain(planes, _right_planes(compared, rows, symmetry))


def _moved_cells(compared: ComparedSamples, wrong: Flags) -> str:
    """In words, by which fixed map of cells stones are moved; empty if by none."""
    rows, symmetry = _known_symmetry(compared, wrong)
    if not rows.any():
        return ""
    right = compared.truth.rows(rows).planes_under(symmetry)
    return cell_map(compared.stones[rows], right, symmetry)


def _other_places(compared: ComparedSamples, wrong: Flags) -> str:
    """In words, by which fixed map of places on all planes numbers are moved; empty if by none."""
    rows, symmetry = _known_symmetry(compared, wrong)
    planes = compared.samples.planes[rows]
    if not len(planes):
        return ""
    right = _right_planes(compared, rows, symmetry)
    if planes.shape[-1] == right.shape[-1] + 2:
        ring = np.repeat(right[:, :, :1, :1], planes.shape[-1], axis=2).repeat(planes.shape[-1], 3)
        ring[:, :2] = in_ring(right[:, :2])
        right = ring
    return place_map(planes, right)


def _known_symmetry(compared: ComparedSamples, wrong: Flags) -> tuple[Flags, Ints]:
    """Wrong samples whose policy target tells their symmetry, and that symmetry."""
    truth, batch = compared.truth, compared.samples.batch
    moves = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    swaps = SWAPS[None] == compared.swapped[:, None]
    fits = (moves == batch.policy_target.numpy()[:, None]) & swaps
    rows = wrong & truth.has_move & (fits.sum(axis=1) == 1)
    return rows, fits[rows].argmax(axis=1)


def _right_planes(compared: ComparedSamples, rows: Flags, symmetry: Ints) -> Planes:
    """[R, C, N, N] the right planes of some samples, each under its symmetry."""
    planes: Planes = np.stack(_expected_planes(compared, rows))[symmetry, np.arange(len(symmetry))]
    return planes


def _expected_planes(compared: ComparedSamples, chosen: Flags) -> list[Planes]:
    """[S, C, N, N] for each symmetry: the right planes of the chosen samples, without ring."""
    truth = compared.truth.rows(chosen)
    expected = []
    for s in range(4):
        planes = truth.stone_planes(s)
        if not compared.mover_view:
            mover = np.ones_like(planes[:, :1]) * truth.mover_plane(s)[:, None, None, None]
            planes = np.concatenate([planes, mover], axis=1)
        expected.append(planes)
    return expected


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(order.index(channel) for channel in range(len(order)))


def _mover_plane(compared: ComparedSamples) -> Iterator[Finding]:
    """Compare the side-to-move plane with the games; finished boards are checked elsewhere."""
    truth, planes = compared.truth, compared.samples.planes
    entries = inside_ring(planes, truth.size)[:, 2].reshape(len(planes), -1)
    expected = np.stack([truth.mover_plane(s) for s in range(4)], axis=1)
    going = ~truth.finished
    wrong = compared.wrong_mover
    if not wrong.any():
        return
    right = expected[np.arange(len(planes)), compared.symmetry]
    value = entries.mean(axis=1)
    place = compared.place(wrong, among=going)
    remedy = _FILL
    if float(value[going].std()) < 1e-6:
        cause = f"the side-to-move plane is {value[going][0]:.3g} in every position"
    elif np.abs(value - (1 - right))[going].max() < 1e-3:
        cause = "the side-to-move plane is inverted: it shows who has just moved"
    elif "colours are exchanged" in place:
        cause = "the side-to-move plane is not exchanged together with the colours"
        remedy = _EXCHANGE
    elif np.corrcoef(value[going], right[going])[0, 1] > 0.999:
        cause = f"the side-to-move plane is scaled to {value.min():.3g} and {value.max():.3g}"
    elif formula := _mover_relation(compared, value, right, going):
        cause = f"the side-to-move plane holds something else than who is to move: {formula}"
    else:
        cause = f"the side-to-move plane shows the wrong side {place}"
        remedy = _EXCHANGE
    yield Finding.error(
        "boards",
        f"the side to move is wrong in {wrong.sum():,} of {going.sum():,} training samples, "
        f"{place}, {compared.example(wrong)}",
        cause,
        remedy,
        root="boards",
    )


def _mover_relation(compared: ComparedSamples, value: Floats, right: Floats, going: Flags) -> str:
    """In words, what the plane holds on boards that are not finished; empty if it is unknown."""
    terms = {
        "the right value": right,
        "1": np.ones_like(right),
        "the outcome": compared.samples.target,
        **{f"the {name}": number for name, number in compared.numbers.items()},
    }
    fit = short_sum(value[going], {name: term[going] for name, term in terms.items()})
    if fit.left < _EXACT and fit.terms:
        return str(fit)
    keys = {name: key[going] for name, key in compared.keys.items()}
    alone = determined(value[going], right[going], keys)
    if alone:
        return f"its value depends on {alone} alone (the same for all of these samples)"
    rows = np.flatnonzero(going & (np.abs(value - right) > 1e-3))
    lag = lag_score("it", value[rows], right, rows, compared.samples.batch_size)
    return lag.hypothesis.cause if lag else ""
