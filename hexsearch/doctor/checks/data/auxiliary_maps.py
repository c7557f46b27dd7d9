"""Computes the maps that auxiliary heads predict again, cell by cell, without the code of the data.

0 is nobody, 1 and 2 are the colours of the first and second plane, and -1 is ignored.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.baselines import stones_at
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.adjacency import HEX, SQUARE, Steps, reached
from hexsearch.doctor.hypotheses.truth import Flags, Ints, Truth, image, stone_planes
from hexsearch.game.board import BLUE, RED, Stones

_WRONG, _FITS = 0.02, 0.97  # share of rows that may differ, and that an explanation must give
_NEIGHBOURS: dict[str, Steps] = {
    "along the other diagonal, too": (*HEX, (1, 1), (-1, -1)),
    "along the other diagonal": (*SQUARE, (1, 1), (-1, -1)),
    "along the sides of squares alone": SQUARE,
    "along the other diagonal in one direction": (*SQUARE, (1, -1), (-1, -1)),
    "along the other diagonal in the other direction": (*SQUARE, (-1, 1), (1, 1)),
    "along one diagonal in one direction only": (*SQUARE, (-1, 1)),
    "along one diagonal in the other direction only": (*SQUARE, (1, -1)),
}


def map_findings(
    name: str, target: Ints, truth: Truth, symmetry: Ints, plies: int
) -> Iterator[Finding]:
    """Compare the targets of a head with its map, and describe those that differ.

    Args:
        target: [B, N*N] targets of head `name`.
        symmetry: [B] symmetry under which each position is encoded.
        plies: number of plies that future_stones looks ahead.
    """
    right = exact_map(name, truth, symmetry, plies)
    wrong: Flags = (target != right).any(axis=1)
    if wrong.mean() <= _WRONG:
        return
    fits = {
        words: float((target == other).all(axis=1).mean())
        for words, other in _others(name, truth, symmetry, plies)
    }
    best = max(fits, key=lambda words: fits[words])
    told = best if fits[best] > _FITS else _difference(target, right)
    yield Finding.error(
        "auxiliary targets",
        f"the targets of auxiliary head {name} differ from those of the game in {wrong.mean():.0%} "
        f"of {len(wrong)} samples, in {(target != right).sum(axis=1)[wrong].mean():.1f} cells each",
        f"auxiliary head {name}: {told}",
        "build the targets from the moves of the game, under the symmetry of the planes",
        root="auxiliary",
    )


def exact_map(
    name: str,
    truth: Truth,
    symmetry: Ints,
    plies: int,
    last: int = 0,
    first: int = 0,
    neighbours: Steps = HEX,
) -> Ints:
    """[B, N*N] the targets of a head.

    Args:
        last: plies by which the board that is to be predicted lies later.
        first: plies by which the stones that are ignored lie later.
        neighbours: steps from a cell to those that it touches.
    """
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    finished = truth.archive.finished[truth.game] == 1
    if name == "winning_chain":
        chains = _chains(truth, neighbours)
        return _classes(chains, symmetry, np.zeros_like(chains, dtype=bool), ~finished)
    until = lengths if name == "ownership" else np.minimum(truth.ply + plies, lengths)
    boards = stones_at(truth.archive, truth.game, np.clip(until + last, 0, lengths))
    present = stones_at(truth.archive, truth.game, np.clip(truth.ply + first, 0, lengths)) != 0
    ignored = ~finished
    if name == "future_stones":
        unknown = ~finished & (truth.ply + plies > lengths)
        ignored = unknown | (truth.ply == lengths)
    return _classes(boards, symmetry, present, ignored)


def _others(name: str, truth: Truth, symmetry: Ints, plies: int) -> Iterator[tuple[str, Ints]]:
    """Targets by another rule, with what is done in words."""
    if name == "winning_chain":
        for words, steps in _NEIGHBOURS.items():
            made = exact_map(name, truth, symmetry, plies, neighbours=steps)
            yield f"the cells of the chain are joined by wrong neighbours, {words}", made
        finished = truth.archive.finished[truth.game] == 1
        won = np.where(truth.red_won, RED, BLUE)[:, None, None]
        ends = truth.at_the_end().boards
        every = np.where(ends == won, ends, 0)
        nobody = np.zeros_like(every, dtype=bool)
        yield (
            "its targets are all stones of the winner, not those of the chain alone",
            _classes(every, symmetry, nobody, ~finished),
        )
        chains = _chains(truth, HEX)
        turned = np.where(truth.red_won[:, None, None], chains.transpose(0, 2, 1), chains)
        yield (
            "the chains of games that Red won are mirrored at the diagonal (turned for the search "
            "of the chain, and not turned back)",
            _classes(turned, symmetry, nobody, ~finished),
        )
        return
    whose = "the end of the game" if name == "ownership" else f"the next {plies} plies"
    for number in (-1, 1, -2, 2):
        what = f"{abs(number)} {'ply' if abs(number) == 1 else 'plies'} "
        what += "too early" if number < 0 else "too late"
        yield (
            f"its targets show the board {what}, not at {whose} (off by one: the last stone is "
            "missing, or one more is there)",
            exact_map(name, truth, symmetry, plies, last=number),
        )
        yield (
            f"the stones that are ignored are those {what}: "
            + (
                "the next move itself is not to be predicted"
                if number > 0
                else "the last stone on the board is to be predicted"
            ),
            exact_map(name, truth, symmetry, plies, first=number),
        )


def _difference(target: Ints, right: Ints) -> str:
    """In words, in which way targets differ from the right ones."""
    pairs = [
        ("stones are missing in its targets", (target == 0) & (right > 0)),
        ("its targets have stones where none will be", (target > 0) & (right == 0)),
        ("the colours of its targets are exchanged", (target > 0) & (right > 0)),
        ("entries that are to be ignored (-1) count in its targets", (target >= 0) & (right < 0)),
        ("entries that count are ignored (-1) in its targets", (target < 0) & (right >= 0)),
    ]
    counts = [int(((target != right) & where).sum()) for _, where in pairs]
    total = max(sum(counts), 1)
    most = int(np.argmax(counts))
    if counts[most] > 0.9 * total:
        return pairs[most][0]
    return "its targets are those of other cells, games or symmetries"


def _classes(boards: Stones, symmetry: Ints, present: NDArray[np.bool_], ignored: Flags) -> Ints:
    """[B, N*N] classes of stones as encoded; -1 on some cells and in some rows."""
    rows = np.arange(len(boards))
    views = np.stack([stone_planes(image(boards, number)) for number in range(4)])
    planes = views[symmetry, rows].astype(np.int64)
    hidden = np.stack([image(present.astype(np.int8), number) for number in range(4)])
    found = np.where(hidden[symmetry, rows] != 0, -1, planes[:, 0] + 2 * planes[:, 1])
    found = found.reshape(len(boards), -1)
    found[ignored] = -1
    return found


def _chains(truth: Truth, neighbours: Steps) -> Stones:
    """[B, N, N] the stones that join the winner's edges at the end of each game."""
    boards = truth.at_the_end().boards
    sides = np.where(truth.red_won, RED, BLUE).astype(np.int8)[:, None, None]
    red = truth.red_won[:, None, None]
    # Mirrored where Red won, so that every winner connects top to bottom.
    stones = np.where(red, (boards == sides).transpose(0, 2, 1), boards == sides)
    top, bottom = np.zeros_like(stones), np.zeros_like(stones)
    top[:, 0], bottom[:, -1] = stones[:, 0], stones[:, -1]
    joined = reached(top, stones, neighbours) & reached(bottom, stones, neighbours)
    joined = np.where(red, joined.transpose(0, 2, 1), joined)
    return np.where(joined, sides, 0).astype(np.int8)
