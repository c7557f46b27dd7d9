"""What numbers are that should be others: another sample's, a column's, or a formula of the right.

No fault is listed here. A stage is computed again from the games, and what it delivered is compared
with the same numbers of other positions, rows, games and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.hypotheses.general.functions import function_of
from hexsearch.doctor.hypotheses.table import Flags, lag_score
from hexsearch.doctor.hypotheses.truth import Ints, Truth, truth_of

Numbers = NDArray[Any]
_CLOSE = 1e-3
_FITS = 0.95  # share of the wrong samples that another position must explain
_DETERMINES = 0.97  # share of the samples that have the usual number of their group
_OTHERWISE = 0.9  # the same of the right numbers, which the column must not determine, too
_FEW = 30  # samples in groups of at least three that a dependence needs
_EXACT = 0.01  # largest residual of a formula, in standard deviations


def relation(
    found: Numbers,
    right: Numbers,
    truth: Truth,
    of: Callable[[Truth], Numbers],
    columns: Mapping[str, Numbers],
    batch_size: int,
) -> str:
    """In words, what wrong numbers are; empty if nothing fits.

    Args:
        found, right: [B] numbers of each sample, as they are and as they should be.
        truth: the samples' positions.
        of: the right numbers [B] of other positions in the places of the samples.
        columns: [B] numbers and flags of each sample, by their names.
        batch_size: samples in each batch.
    """
    wrong: Flags = np.abs(found - right) > _CLOSE
    for words, other in other_positions(truth):
        if (np.abs(found - of(other)) <= _CLOSE)[wrong].mean() > _FITS:
            return f"it is that of {words}"
    rows = np.flatnonzero(wrong)
    lag = lag_score("it", found[rows].round(3), right.round(3), rows, batch_size)
    if lag is not None and len(np.unique(right.round(3))) > 2:
        return lag.hypothesis.cause
    keys = {name: column for name, column in columns.items() if column.ndim == 1}
    same = determined(found, right, keys)
    if same:
        form = _form(found, keys.get(same.removeprefix("the ")))
        return f"it depends on {same} alone{form}"
    terms = {"the right one": right, "1": np.ones(len(right)), **_as_terms(columns)}
    fit = short_sum(found, terms)
    if fit.left < _EXACT and fit.terms:
        return f"it is {fit}"
    function = function_of(found, right)
    return f"it is {function}" if function else ""


def _as_terms(columns: Mapping[str, Numbers]) -> dict[str, Numbers]:
    return {
        f"(1 {name})" if column.dtype == np.bool_ else f"the {name}": column
        for name, column in columns.items()
    }


def other_positions(truth: Truth) -> Iterator[tuple[str, Truth]]:
    """Other positions in the places of the samples, by what they are."""
    for plies in (1, -1, 2, -2, 3, -3):
        number = {1: "one ply", 2: "two plies", 3: "three plies"}[abs(plies)]
        which = "later" if plies > 0 else "earlier"
        yield f"the position {number} {which} in the game", truth.moved(plies=plies)
    for games in (1, -1, 2, -2, 3, -3):
        which = "later" if games > 0 else "earlier"
        yield f"the game {abs(games)} place(s) {which} in the archive", truth.moved(games=games)
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    for words, ply in (
        ("the ply counted from the end of the game", lengths - truth.ply),
        ("the beginning of the game", np.zeros_like(lengths)),
        ("the end of the game", lengths),
        ("half as many plies", truth.ply // 2),
        ("twice as many plies", np.minimum(2 * truth.ply, lengths)),
    ):
        yield words, truth_of(truth.archive, truth.game, ply)


def determined(found: Numbers, right: Numbers, keys: Mapping[str, Numbers]) -> str:
    """In words, the column that determines the numbers but should not; empty if there is none.

    Of several columns it is that with the fewest values.

    Args:
        keys: [B] for each column.
    """
    if np.ptp(found) < _CLOSE:
        return ""
    sizes = {}
    for name, key in keys.items():
        _, group = np.unique(key, return_inverse=True)
        count = np.bincount(group)
        several = count[group] >= 3
        if several.sum() < max(_FEW, len(found) // 4) or len(count) < 2:
            continue
        agrees = _usual(found, group)[several]
        # Right numbers that are all alike depend on nothing.
        also_right = np.ptp(right) > _CLOSE and _usual(right, group)[several].mean() > _OTHERWISE
        if agrees.mean() < _DETERMINES or also_right:
            continue
        sizes[name] = len(count)
    return f"the {min(sizes, key=lambda name: sizes[name])}" if sizes else ""


def _form(found: Numbers, key: Numbers | None) -> str:
    """In words, how numbers depend on a column: its multiples, or falling or rising with it."""
    if key is None or key.dtype == np.bool_ or (key <= 0).any():
        return ""
    for words, power in (
        (": proportional to it", 1.0),
        (": proportional to 1 / it", -1.0),
        (": proportional to its root", 0.5),
        (": proportional to 1 / its root", -0.5),
    ):
        ratio = found / key.astype(np.float64) ** power
        if np.ptp(ratio) < _CLOSE * abs(float(ratio.mean())):
            return words
    steps = np.diff(found[np.argsort(key, kind="stable")])
    if (steps >= -1e-9).all() or (steps <= 1e-9).all():
        return f", and {'rises' if steps.sum() > 0 else 'falls'} with it"
    return ""


def _usual(numbers: Numbers, group: Ints) -> Flags:
    """[B] whether each number is the median of its group."""
    order = np.lexsort((numbers, group))
    starts = np.searchsorted(group[order], np.arange(int(group.max()) + 1))
    ends = np.append(starts[1:], len(group))
    medians = numbers[order][(starts + ends - 1) // 2]
    agrees: Flags = np.abs(numbers - medians[group]) <= _CLOSE
    return agrees
