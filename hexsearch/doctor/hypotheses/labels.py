"""Why labels and policy targets are not those of the game: explanations, tried on the samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.table import (
    Flags,
    Hypothesis,
    Score,
    lag_score,
    share_score,
    wilson,
)
from hexsearch.doctor.hypotheses.truth import Ints, Truth, truth_of

Floats = NDArray[np.float32]
_GAMES_OFF = 4  # neighbouring games whose labels are tried
_PLAIN = "give labels of 0 and 1; smoothing and scaling belong into the read-out"
_TOGETHER = "cut planes, label and move of a sample from one (game, ply), and index them alike"


def label_scores(
    target: Floats, truth: Truth, symmetry: Ints, perspective: str, batch_size: int, wrong: Flags
) -> list[Score]:
    """How many labels each explanation gets right, of all samples.

    Args:
        target: [B] labels as the loss was given them. symmetry: [B] under which each is shown.
        wrong: [B] where the label is not that of the game.
    """
    right = _outcome(truth, symmetry, perspective)
    scores = []

    def add(name: str, cause: str, remedy: str, expected: Floats) -> None:
        explained = np.abs(target - expected) < 1e-3
        scores.append(share_score(Hypothesis(name, cause, remedy), explained))

    swap = "exchange the winner exactly where the colours are exchanged"
    add("inverted", "every label is inverted: 1 stands for the loser", "use 1 - label", 1 - right)
    for name, mask in affected(truth, symmetry).items():
        add(
            f"inverted {name}",
            "the label is not exchanged together with the colours"
            if name == "where colours are exchanged"
            else f"the label is inverted exactly {name}",
            swap if "colours" in name else f"look for what treats positions {name} in another way",
            np.where(mask, 1 - right, right),
        )
    found = lag_score("the label", target[wrong], right, np.flatnonzero(wrong), batch_size)
    if found is not None:
        scores.insert(0, found)
    for shift in (*range(1, _GAMES_OFF + 1), *range(-1, -_GAMES_OFF - 1, -1)):
        neighbour = truth.moved(games=shift)
        expected = _outcome(neighbour, symmetry, perspective)
        name = f"{abs(shift)} games {'on' if shift > 0 else 'back'}"
        name = {1: "next game", -1: "previous game"}.get(shift, name)
        cause = f"the label is that of the {name} of the archive: a neighbouring game's winner"
        add(name, cause, _TOGETHER, expected)
    cause = "the label is the side to move, not the winner"
    remedy = "take the label from the game's winner"
    mover = (truth.red_to_move ^ (symmetry >= 2)).astype(np.float32)
    add("side to move", cause, remedy, mover)
    add("side not to move", "the label is the side that has just moved", remedy, 1 - mover)
    for name, cause, remedy, expected in _other_numbers(target, truth, right, wrong):
        add(name, cause, remedy, expected)
    return scores


def _other_numbers(
    target: Floats, truth: Truth, right: Floats, wrong: Flags
) -> Iterator[tuple[str, str, str, Floats]]:
    """Labels that are other numbers than 0 and 1, or the same everywhere."""
    values = np.unique(target[wrong].round(4))
    low, high = float(values[0]), float(values[-1])
    lost = "find out where the winner is lost"
    if np.ptp(target) < 1e-6:
        cause = f"every label is {target[0]:g}, whoever won"
        yield "constant", cause, lost, np.full_like(right, target[0])
        return
    if len(values) == 1 and right[wrong].std() > 0:
        cause = f"every label is {low:g} there, whoever won"
        yield "constant", cause, lost, np.where(wrong, values[0], right)
        return
    if len(values) == 1 and 0.0 < low < 1.0:
        cause = f"labels of {right[wrong][0]:.0f} are {low:.3g}: one side's labels are smoothed"
        yield "one-sided", cause, _PLAIN, np.where(wrong, values[0], right)
        return
    if set(values.tolist()) <= {0.0, 1.0}:
        return
    scaled = low + (high - low) * right
    cause = f"labels are {low:.3g} and {high:.3g} instead of 0 and 1 (smoothed, or scaled)"
    if len(values) == 2 and _strikes_at_random(wrong, truth):
        cause = (
            f"labels of a random part of the positions are {low:.3g} and {high:.3g}: each is mixed "
            "with the label of another position (mixup, interpolation), which is often the same"
        )
    yield "scaled", cause, _PLAIN, np.where(wrong, scaled, right)
    cause = f"labels are {low:.3g} and {high:.3g} instead of 0 and 1, and inverted"
    yield "scaled and inverted", cause, _PLAIN, np.where(wrong, low + high - scaled, right)
    left = truth.archive.lengths[truth.game] - truth.ply
    for name, column in (("moves to the end", left), ("the ply", truth.ply)):
        told = _mean_by(np.abs(target - 0.5), np.stack([column, right], axis=1))
        if np.abs(np.abs(target - 0.5) - told).max() < 1e-3:
            cause = (
                f"labels depend on {name} (discounted, or ramped): from {low:.3g} to {high:.3g} "
                "instead of 0 and 1"
            )
            yield "discounted", cause, _PLAIN, target
    cause = (
        f"labels are mixtures, from {low:.3g} to {high:.3g}, instead of 0 and 1: noise, or an "
        "average with other labels (mixup, bootstrapped values)"
    )
    yield "mixed", cause, _PLAIN, np.where(wrong, target, right)


def _strikes_at_random(wrong: Flags, truth: Truth) -> bool:
    """Whether a part of the samples is wrong in all games and at all stages alike."""
    if not 0.1 < wrong.mean() < 0.9 or by_game(wrong, truth.game):
        return False
    parts = (truth.red_won, truth.red_to_move, truth.ply > np.median(truth.ply))
    return all(abs(wrong[part].mean() - wrong[~part].mean()) < 0.15 for part in parts)


def _mean_by(numbers: Floats, columns: Floats) -> Floats:
    """[B] the mean of the numbers over all rows with the same columns."""
    _, index = np.unique(columns, axis=0, return_inverse=True)
    index = index.reshape(-1)
    means = np.bincount(index, numbers) / np.bincount(index)
    return means[index].astype(np.float32)


def random_share(wrong: Flags) -> str:
    """The share of wrong labels with its interval, in words."""
    low, high = wilson(float(wrong.mean()), len(wrong))
    return f"{wrong.mean():.0%} [{low:.0%}, {high:.0%}]"


def drawn_share(wrong: Flags) -> str:
    """The share of labels that must be drawn at random for as many to be wrong, in words."""
    low, high = (min(2 * end, 1.0) for end in wilson(float(wrong.mean()), len(wrong)))
    return f"{min(2 * float(wrong.mean()), 1.0):.0%} [{low:.0%}, {high:.0%}]"


def by_game(wrong: Flags, game: Ints) -> bool:
    """Whether the positions of a game share their fate, as where whole games are inverted."""
    index = np.unique(game, return_inverse=True)[1]
    count = np.bincount(index)
    several = count > 1
    if several.sum() < 10:
        return False
    share = np.bincount(index, wrong)[several] / count[several]
    mixed = float(((share > 0) & (share < 1)).mean())
    rate = float(wrong.mean())
    by_chance = float(np.mean(1 - rate ** count[several] - (1 - rate) ** count[several]))
    return mixed < 0.2 * by_chance


def affected(truth: Truth, symmetry: Ints) -> dict[str, Flags]:
    """Subsets of samples that a fault may be confined to, in words that follow 'exactly'."""
    stones = (truth.boards != 0).mean(axis=(1, 2))
    lengths = truth.archive.lengths[truth.game]
    long = lengths > np.median(truth.archive.lengths)
    return {
        "where Red is to move": truth.red_to_move & ~truth.finished,
        "where Blue is to move": ~truth.red_to_move & ~truth.finished,
        "on odd plies": truth.red_to_move,
        "on even plies": ~truth.red_to_move,
        "where colours are exchanged": symmetry >= 2,
        "where nothing is exchanged": symmetry < 2,
        "after a half turn": symmetry % 2 == 1,
        "on finished boards": truth.finished,
        "on boards that are not finished": ~truth.finished,
        "where Red wins": truth.red_won,
        "where Blue wins": ~truth.red_won,
        "early in the game": stones < 0.12,
        "late in the game": stones >= 0.24,
        "in games that no connection ended (resigned)": truth.archive.finished[truth.game] == 0,
        "in long games": long,
        "in short games": ~long,
        "in games of odd number": truth.game % 2 == 1,
        "in games of even number": truth.game % 2 == 0,
        "in the second half of the archive": truth.game >= len(truth.archive) // 2,
        "in the first half of the archive": truth.game < len(truth.archive) // 2,
    }


def target_scores(
    target: Ints, truth: Truth, symmetry: Ints, batch_size: int, wrong: Flags
) -> list[Score]:
    """How many wrong policy targets each explanation gets right."""
    rows = np.flatnonzero(wrong)
    some = target[rows]
    scores = []
    for hypothesis, expected in _target_candidates(target, truth, symmetry):
        scores.append(share_score(hypothesis, some == expected[rows]))
    found = lag_score("the policy target", some, _cells(truth, symmetry), rows, batch_size)
    return scores if found is None else [found, *scores]


def _target_candidates(
    target: Ints, truth: Truth, symmetry: Ints
) -> Iterator[tuple[Hypothesis, Ints]]:
    size, cell = truth.size, truth.next_cell
    last = size - 1
    seen = _cells(truth, symmetry)
    same = "send the move through the very symmetry that the stones went through"
    cause = "the symmetry is applied to the planes but not to the next move"
    yield Hypothesis("unmoved", cause, same), cell
    cause = "the move's cell is counted down the columns (column-major), the planes by rows"
    row, column = np.divmod(seen, size)
    yield Hypothesis("column-major", cause, "use row * N + column for both"), column * size + row
    cause = "the next move goes through another symmetry than the stones"
    for name, other in (
        ("half turn", (last - row) * size + last - column),
        ("mirrored in the short diagonal", (last - column) * size + last - row),
        ("upside down", (last - row) * size + column),
        ("left and right exchanged", row * size + last - column),
        ("quarter turn to the left", (last - column) * size + row),
        ("quarter turn to the right", column * size + last - row),
    ):
        yield Hypothesis(f"target {name}", f"{cause}: it is {name}", same), other
    yield from _same_cells(target, truth, symmetry)
    for shift in (-1, 1, -2, 2, -3, 3):
        name = f"{abs(shift)} {'ply' if abs(shift) == 1 else 'plies'} "
        name += "later" if shift > 0 else "earlier"
        moved = truth.moved(plies=shift)
        cause = f"the policy target is a move {name} than the next move: of another ply"
        # Beyond the ends of a game there is no such move, whatever stands there instead.
        beyond = ~moved.has_move | (moved.ply != truth.ply + shift)
        here = np.where(beyond, target, _cells(moved, symmetry))
        if beyond.mean() < 0.5:
            yield Hypothesis(name, cause, _TOGETHER), here
    for rows_off in (-1, 0, 1):
        for columns_off in (-1, 0, 1):
            if (rows_off, columns_off) == (0, 0):
                continue
            cause = f"the policy target is shifted by {rows_off} row(s), {columns_off} column(s)"
            moved_cell = seen + rows_off * size + columns_off
            wrapped = (row + rows_off) % size * size + (column + columns_off) % size
            clipped = np.clip(moved_cell, 0, size * size - 1)
            hypothesis = Hypothesis(
                f"shifted by ({rows_off}, {columns_off})", cause, "count cells from 0"
            )
            yield hypothesis, clipped
            yield hypothesis, wrapped
            yield hypothesis, moved_cell % (size * size)
    for other_game, name in ((1, "next game"), (-1, "previous game")):
        moved = truth.moved(games=other_game)
        cause = f"the policy target is that of the {name} of the archive"
        yield Hypothesis(name, cause, _TOGETHER), _cells(moved, symmetry)


def _same_cells(target: Ints, truth: Truth, symmetry: Ints) -> Iterator[tuple[Hypothesis, Ints]]:
    """Targets that are the same for many positions, or the right ones in other numbers."""
    seen = _cells(truth, symmetry)
    known = seen >= 0
    cause = "the policy's cells are numbered in another order: a fixed permutation of the board"
    yield (
        Hypothesis("permuted", cause, "use row * N + column for both"),
        _mapped(target, seen, known),
    )
    cell = int(np.bincount(np.maximum(target, 0)).argmax())
    cause = f"the policy target is the same cell ({cell}) everywhere: a constant"
    yield Hypothesis("constant", cause, _TOGETHER), np.full_like(target, cell)
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    for name, ply in (("first", np.zeros_like(lengths)), ("last", lengths - 1)):
        there = truth_of(truth.archive, truth.game, ply)
        cause = f"the policy target is the {name} move of the game, whatever the position"
        yield Hypothesis(f"{name} move", cause, _TOGETHER), _cells(there, symmetry)


def _mapped(target: Ints, seen: Ints, known: Flags) -> Ints:
    """[B] the commonest target of each cell that should be the target."""
    found = np.full_like(target, -1)
    for cell in np.unique(seen[known]):
        here = known & (seen == cell)
        counts = np.bincount(np.maximum(target[here], 0))
        # A cell that comes once has a commonest target whatever it is.
        found[here] = counts.argmax() if here.sum() > 2 else -1
    return found


def _cells(truth: Truth, symmetry: Ints) -> Ints:
    each = np.stack([truth.next_cells(s) for s in range(4)])
    cells: Ints = np.where(truth.has_move, each[symmetry, np.arange(len(symmetry))], -1)
    return cells


def _outcome(truth: Truth, symmetry: Ints, perspective: str) -> Floats:
    shown = truth.red_won ^ (symmetry >= 2)
    return (~shown if perspective == "mover" else shown).astype(np.float32)
