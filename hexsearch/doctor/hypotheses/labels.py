"""Explains why labels are not those of the game."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hexsearch.doctor.hypotheses.formulas.fades import faded_labels
from hexsearch.doctor.hypotheses.table import (
    TOGETHER,
    Flags,
    Hypothesis,
    Score,
    lag_score,
    percentages,
    share_score,
    wilson,
)
from hexsearch.doctor.hypotheses.truth import Ints, Truth

Floats = NDArray[np.float32]
_GAMES_OFF = 4  # games before and after, whose labels are tried
_PLAIN = "use labels of 0 and 1; for smoothing set readout.label_smoothing"


def label_scores(
    target: Floats, truth: Truth, symmetry: Ints, perspective: str, batch_size: int, wrong: Flags
) -> list[Score]:
    """Scores of all explanations: the share of all labels that each one gives.

    Args:
        target: [B] labels at the loss.
        symmetry: [B] symmetry under which each position is encoded.
        wrong: [B] whether the label is not that of the game.
    """
    right = truth.outcome(symmetry, perspective).astype(np.float32)
    scores = []

    def add(name: str, cause: str, remedy: str, expected: Floats) -> None:
        explained = np.abs(target - expected) < 1e-3
        scores.append(share_score(Hypothesis(name, cause, remedy), explained))

    numbers = _other_numbers(target, truth, right, wrong)
    if np.ptp(target) < 1e-6:  # one label for all rows says more than where it is wrong
        for each in numbers:
            add(*each)
    add("inverted", "every label is inverted: 1 stands for the loser", "use 1 - label", 1 - right)
    if perspective == "mover":
        add(
            "Red's win",
            "the label is whether Red won, and not whether the side to move wins, whose stones the "
            "planes show first",
            "take the label of the side that the planes show first",
            truth.red_won.astype(np.float32),
        )
    for name, mask in affected(truth, symmetry).items():
        add(
            f"inverted {name}",
            "the label is not exchanged together with the colours"
            if name == "where colours are exchanged"
            else f"the label is inverted exactly {name}",
            "exchange the winner wherever the colours are exchanged, and only there"
            if "colours" in name
            else f"look for code that treats positions {name} in another way",
            np.where(mask, 1 - right, right),
        )
    found = lag_score("the label", target[wrong], right, np.flatnonzero(wrong), batch_size)
    scores = scores if found is None else [found, *scores]
    for shift in (*range(1, _GAMES_OFF + 1), *range(-1, -_GAMES_OFF - 1, -1)):
        expected = truth.moved(games=shift).outcome(symmetry, perspective).astype(np.float32)
        name = f"game {abs(shift)} places {'later' if shift > 0 else 'earlier'}"
        name = {1: "next game", -1: "previous game"}.get(shift, name)
        cause = f"the label is that of the {name} in the archive: the winner of a neighbouring game"
        add(name, cause, TOGETHER, expected)
    remedy = "take the label from the game's winner"
    mover = (truth.red_to_move ^ (symmetry >= 2)).astype(np.float32)
    add("side to move", "the label is the side to move, not the winner", remedy, mover)
    add("side not to move", "the label is the side that has just moved", remedy, 1 - mover)
    for each in numbers:
        add(*each)
    return scores


def _other_numbers(
    target: Floats, truth: Truth, right: Floats, wrong: Flags
) -> Iterator[tuple[str, str, str, Floats]]:
    """Labels that are other numbers than 0 and 1, or a constant."""
    values = np.unique(target[wrong].round(4))
    low, high = float(values[0]), float(values[-1])
    lost = "compare the label with the winner after each operation on it, to find where it is lost"
    if np.ptp(target) < 1e-6:
        cause = f"every label is {target[0]:g}, whoever won"
        yield "constant", cause, lost, np.full_like(right, target[0])
        return
    if len(values) == 1 and right[wrong].std() > 0:
        cause = f"every one of these labels is {low:g}, whoever won"
        yield "constant", cause, lost, np.where(wrong, values[0], right)
        return
    if len(values) == 1 and 0.0 < low < 1.0:
        of = right[wrong][0]
        cause = f"labels of {of:.0f} are {low:.3g}: only one side's labels are smoothed" + (
            f", or results are multiplied by {low:.3g}" if of else f", or {low:.3g} is their floor"
        )
        yield "one-sided", cause, _PLAIN, np.where(wrong, values[0], right)
        return
    if set(values.tolist()) <= {0.0, 1.0}:
        return
    scaled = low + (high - low) * right
    how = "smoothed, or scaled" if low >= 0.0 and high <= 1.0 else "another scale"
    how = f"{low:.3g} is added" if abs(high - low - 1.0) < 1e-3 else how
    cause = f"labels are {low:.3g} and {high:.3g} instead of 0 and 1 ({how})"
    struck = wrong | np.isin(target.round(4), values)
    if len(values) == 2 and _strikes_at_random(wrong, truth):
        cause = (
            f"labels of a random part of the positions are {low:.3g} and {high:.3g}: each is mixed "
            "with the label of another position (mixup, interpolation), which is often the same"
        )
    yield "scaled", cause, _PLAIN, np.where(struck, scaled, right)
    cause = f"labels are {low:.3g} and {high:.3g} instead of 0 and 1, and inverted"
    yield "scaled and inverted", cause, _PLAIN, np.where(wrong, low + high - scaled, right)
    length = truth.archive.lengths[truth.game].astype(np.int64)
    counts = {"ply to the end": length - truth.ply, "ply from the beginning": truth.ply}
    if told := faded_labels(target, right, counts, 1e-3):
        yield "faded", f"labels are discounted: {told}", _PLAIN, target
        return
    if told := _by_column(target, truth, right, low, high):
        yield "by a column", told, _PLAIN, target
        return
    cause = (
        f"labels go from {low:.3g} to {high:.3g} instead of being 0 and 1: noise is added, or they "
        "are averages with other labels (mixup, bootstrapped values)"
    )
    yield "mixed", cause, _PLAIN, np.where(wrong, target, right)


def _by_column(target: Floats, truth: Truth, right: Floats, low: float, high: float) -> str:
    """In words, the column on which labels from `low` to `high` depend; empty if on none."""
    length = truth.archive.lengths[truth.game].astype(np.int64)
    for name, column in (
        ("moves to the end (they are discounted)", length - truth.ply),
        ("the ply (they are discounted)", truth.ply),
        ("the length of the game", length),
        ("the number of the game", truth.game),
    ):
        means = _mean_by(target, np.stack([column, right], axis=1))
        few = 2 * len(np.unique(column)) < len(column) // 3
        if few and np.abs(target - means).max() < 1e-3:
            ends = np.abs(target - 0.5)[np.argsort(column, kind="stable")]
            return (
                f"labels depend on {name}: they go from {low:.3g} to {high:.3g} instead of being 0 "
                f"and 1, and are {ends[:20].mean():.2g} away from a half where it is least and "
                f"{ends[-20:].mean():.2g} where it is greatest"
            )
    return ""


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
    share = float(wrong.mean())
    return percentages(share, *wilson(share, len(wrong)))


def drawn_share(share: float, low: float, high: float) -> str:
    """The share of labels that must be drawn at random to make a share of them wrong, in words."""
    return percentages(*(min(2 * end, 1.0) for end in (share, low, high)))


def by_game(wrong: Flags, game: Ints) -> bool:
    """Whether wrong labels come in whole games, more than chance explains."""
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


def affected(truth: Truth, symmetry: Ints | None = None) -> dict[str, Flags]:
    """[B] for each subset that a fault may be limited to, by words that can follow 'exactly'.

    Args:
        symmetry: [B] symmetry under which each position is encoded; the identity if left out.
    """
    if symmetry is None:
        symmetry = np.zeros(len(truth.game), dtype=np.int64)
    stones = (truth.boards != 0).mean(axis=(1, 2))
    lengths = truth.archive.lengths[truth.game]
    long = lengths > np.median(truth.archive.lengths)
    connected = truth.archive.finished[truth.game] == 1
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
        "in games that end without a connection (resigned)": ~connected,
        "in long games": long,
        "in short games": ~long,
        "in games of odd number": truth.game % 2 == 1,
        "in games of even number": truth.game % 2 == 0,
        "in the second half of the archive": truth.game >= len(truth.archive) // 2,
        "in the first half of the archive": truth.game < len(truth.archive) // 2,
    }
