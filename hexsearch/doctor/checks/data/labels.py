"""Compares labels with the winners of games, and policy targets with the moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.adjacency import other_winners
from hexsearch.doctor.hypotheses.boards.policy_targets import later_moves, target_scores
from hexsearch.doctor.hypotheses.general.orders import reordered_within
from hexsearch.doctor.hypotheses.general.partial_labels import (
    of_other_games,
    other_smoothing,
    partial_rule,
)
from hexsearch.doctor.hypotheses.general.regions import trend
from hexsearch.doctor.hypotheses.general.relations import determined
from hexsearch.doctor.hypotheses.labels import (
    by_game,
    drawn_share,
    label_scores,
    random_share,
)
from hexsearch.doctor.hypotheses.table import Flags, at, named_cause, wilson
from hexsearch.doctor.hypotheses.truth import SWAPS
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import ComparedSamples, compared_samples, joined_samples
from hexsearch.doctor.watching import WatchedTrial

Floats = NDArray[np.float32]
_SAME, _SOME = 1e-3, 0.01  # difference of equal targets, and share of an answer that counts
_ALIKE = 0.04  # largest difference of equal counts of moves, as a share of the samples
_NEARLY_ALL = 0.97  # share of the samples
_GAME = "the number of the game"


def check_labels(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the labels at the value loss with the winners."""
    compared = pipeline.compared
    if compared.lost > 0.5:
        return  # with wrong boards the symmetry of a sample is unknown
    stepped = sum(len(step.batch) for step in needed(pipeline.watched).steps)
    if stepped < len(compared.truth.ply) and not _wrong(compared)[stepped:].any():
        compared = compared.first(stepped)  # targets are seen at the loss of these alone
    samples, truth = compared.samples, compared.truth
    known: Flags = np.asarray(compared.images.any(axis=1))
    if compared.turned_apart:
        yield Finding.error(
            "training labels",
            f"the labels, moves and `complement` of {known.sum():,} samples fit together, but not "
            "with the symmetries under which their boards are shown",
            "boards are shown under other symmetries than their labels and moves: the symmetry of "
            "the planes is drawn again, or one is taken for the whole batch",
            "draw one symmetry for each sample, and apply it to its stones, label and next move",
        )
        return
    wrong = _wrong(compared)
    if wrong.sum() <= compared.by_chance * known.sum():
        return
    place = compared.place(wrong, among=wrong | (truth.ply > 0))  # empty boards look right
    scores = label_scores(
        samples.target, truth, compared.symmetry, samples.perspective, samples.batch_size, wrong
    )
    # If results (red_won) are wrong in the same samples, both are one fault: a wrong winner.
    results = (samples.batch.red_won.numpy() > 0.5) != truth.red_won
    root = "results" if (results == wrong)[known].mean() > 0.97 else ""
    part = partial_rule(samples, truth, compared.symmetry, wrong)
    cause, is_shuffled = _cause(pipeline, compared, wrong, place, part)
    root = "shuffled" if is_shuffled else root
    smoothed = other_smoothing(samples, truth, compared.symmetry, wrong)
    if smoothed:
        scores, cause, part = [], smoothed, smoothed
    shares = _own_answers(needed(pipeline.watched))
    if shares:
        cause = (
            f"the target of the value loss is mixed with the network's own answer (a bootstrapped "
            f"or soft target): its share is {shares[0]:.0%} in the first step and {shares[-1]:.0%} "
            f"in step {len(shares)}, so answers confirm themselves"
        )
        scores, part = [], cause
    remedy = "take every label from the game's winner, and look for code that changes it afterwards"
    evidence, cause, remedy = named_cause(scores, cause, remedy, explains=0.97)
    yield Finding.error(
        "training labels",
        f"of {known.sum():,} labels of training samples {wrong.sum():,} are wrong, {place}, "
        f"{compared.example(wrong)}; {evidence}",
        cause if np.ptp(samples.target) < 1e-6 or cause == part else at(cause, place),
        remedy,
        root=root,
    )


def _cause(
    pipeline: ExaminedPipeline, compared: ComparedSamples, wrong: Flags, place: str, part: str
) -> tuple[str, bool]:
    """In words, what labels are that no single hypothesis gives, and whether they are shuffled.

    Args:
        wrong, place: [B] which labels are wrong, and the same in words.
        part: the rule of a part of the labels; empty if there is none.
    """
    samples, truth = compared.samples, compared.truth
    known: Flags = np.asarray(compared.images.any(axis=1))
    if apart := _apart_from_boards(compared, wrong):
        return apart, False
    group = _reordered(compared) or _reordered_ahead(pipeline)
    alone = _determined(compared, known)
    if group == "game" and alone:
        group = ""
    if group:
        how = _how_ordered(samples.target, samples.batch_size)
        return (
            f"labels are {how} within each {group}: each {group} has the right number of wins, and "
            "a label is that of another position"
        ), True
    clear: Flags = compared.images.sum(axis=1) == 1  # of the others wrong labels may look right
    in_games = by_game(wrong[clear], truth.game[clear])
    if alone and not (alone == _GAME and in_games):
        return f"the label depends on {alone} alone, and not on the winner of its own game", False
    if part:
        return part, False
    if rule := _other_rule(compared):
        return f"{rule}, which differs from the winner of the game in part of the games", False
    if in_games:
        return of_other_games(
            needed(pipeline.dataset).train_games, truth.rows(clear), wrong[clear]
        ), False
    if not place.startswith(("in a random share", "only")):
        return f"labels are inverted {place}", False
    course = trend(wrong[known], {n: c[known] for n, c in compared.numbers.items()})
    if course:
        return (
            f"label noise that is not the same everywhere: {course} of the labels are wrong"
        ), False
    rate = float(wrong.mean())
    drawn = drawn_share(rate, *wilson(rate, len(wrong)))
    return (
        f"label noise: {random_share(wrong)} of the labels are wrong at random, as if {drawn} of "
        f"them were drawn at random, or {rate:.0%} inverted"
    ), False


def _apart_from_boards(compared: ComparedSamples, wrong: Flags) -> str:
    """In words, that labels and `complement` are exchanged and boards are not; or ""."""
    clear: Flags = compared.images.sum(axis=1) == 1
    exchanged = SWAPS[compared.symmetry]
    same = (compared.swapped != exchanged) == wrong
    if not wrong[clear].any() or same[clear].mean() < _NEARLY_ALL:
        return ""
    shown = "or the other way round" if exchanged[clear].any() else "which never show them so"
    return (
        "labels and the flag `complement` agree with each other and not with the boards: colours "
        f"are exchanged (reflected) in the labels and not on the planes, {shown}"
    )


def _wrong(compared: ComparedSamples) -> Flags:
    """[B] whether a label is not that of the game under any symmetry of its board."""
    samples, truth = compared.samples, compared.truth
    allowed = np.stack([truth.outcome(s, samples.perspective) for s in range(4)], axis=1)
    fits = np.abs(samples.target[:, None] - allowed) < 1e-3
    known: Flags = np.any(compared.images, axis=1)
    right: Flags = np.any(compared.images & fits, axis=1)
    return known & ~right


def _own_answers(trial: WatchedTrial) -> list[float]:
    """Share of the network's own answer in the targets of each step; empty if there is none."""
    shares = []
    for step in trial.steps:
        right, target = step.batch.outcome, step.targets
        if target is None or target.shape != right.shape or step.raw.shape != right.shape:
            return []
        with torch.no_grad():
            own = trial.readout.win_prob(step.raw) - right
        added = target - right
        share = float((added * own).sum() / own.square().sum().clamp(min=1e-12))
        if float((added - share * own).abs().max()) > _SAME:
            return []
        shares.append(share)
    return shares if shares and max(shares) > _SOME else []


def _other_rule(compared: ComparedSamples) -> str:
    """In words, the rule of connections by which the labels are right; empty if there is none."""
    truth, is_one = compared.truth, compared.samples.target > 0.5
    right = truth.outcome(compared.symmetry, compared.samples.perspective)
    return other_winners(truth, np.where(right == truth.red_won, is_one, ~is_one))


def _how_ordered(target: Floats, batch_size: int) -> str:
    """Whether labels rise or fall from row to row."""
    steps = np.concatenate(
        [np.diff(target[start : start + batch_size]) for start in range(0, len(target), batch_size)]
    )
    changes = steps[steps != 0]
    return "sorted" if len(changes) < 2 * len(target) / batch_size else "shuffled"


def _reordered(compared: ComparedSamples) -> str:
    """The group of samples within which labels are exchanged; empty if there is none."""
    numbers = compared.numbers
    batch = numbers["number of the batch"]
    groups = {"batch": batch, "game": numbers["number of the game"]}
    # Several batches are built together, so an order may be lost in all of them at once.
    groups |= {f"group of {count} batches": batch // count for count in (2, 4, 8)}
    return next(filter(None, (reordered_within(*each, groups) for each in _views(compared))), "")


def _views(compared: ComparedSamples) -> list[tuple[Floats, Floats]]:
    """Labels and right labels, as the network sees them and as those of Red."""
    samples = compared.samples
    right = compared.truth.outcome(compared.symmetry, samples.perspective).astype(np.float32)
    mirrored = compared.swapped ^ compared.mover_view
    both = samples.target, right
    label, wanted = (np.where(mirrored, 1 - each, each) for each in both)
    return [both, (label, wanted)]


def _reordered_ahead(pipeline: ExaminedPipeline) -> str:
    """The same for the group of batches that are built ahead together, as long as the samples.

    Each of two groups must have as many wins as it should, which is seldom so by chance.
    """
    compared, trial = pipeline.compared, needed(pipeline.watched)
    samples, count = compared.samples, len(compared.samples.target)
    following = joined_samples(
        [trial.stream.batch(count, count)], samples.batch_size, samples.perspective
    )
    both = compared, compared_samples(following, compared.truth.archive)
    views = zip(*map(_views, both), strict=True)
    if not any(all(_has_its_wins(*each) for each in view) for view in views):
        return ""
    return f"group of {count // samples.batch_size} batches (built ahead together)"


def _has_its_wins(label: Floats, right: Floats) -> bool:
    return bool(np.array_equal(np.sort(label), np.sort(right)))


def _determined(compared: ComparedSamples, known: Flags) -> str:
    """In words, the column that determines the label, in the network's view or in Red's."""
    samples, truth = compared.samples, compared.truth
    right = truth.outcome(compared.symmetry, samples.perspective)
    for mirrored in (compared.swapped ^ compared.mover_view, np.zeros(len(known), dtype=bool)):
        label = np.where(mirrored, 1 - samples.target, samples.target)[known]
        wanted = (right ^ mirrored)[known].astype(np.float32)
        alone = determined(label, wanted, {n: key[known] for n, key in compared.keys.items()})
        if alone:
            return alone
    return ""


def check_targets(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare policy targets with the moves that were played."""
    compared = pipeline.compared
    samples, truth = compared.samples, compared.truth
    target = samples.batch.policy_target.numpy()
    # Check `columns` reports moves that are masked.
    known = compared.images.any(axis=1) & truth.has_move & samples.batch.has_move.numpy()
    if not known.any() or compared.lost > 0.5 or compared.turned_apart:
        return
    cells = np.stack([truth.next_cells(s) for s in range(4)], axis=1)
    wrong = known & ~(compared.images & (cells == target[:, None])).any(axis=1)
    if wrong.sum() <= compared.by_chance * known.sum():
        return
    place = compared.place(wrong, among=known)
    shown, size = compared.symmetry, samples.batch_size
    scores = target_scores(target, truth, shown, size, wrong, is_augmented=True)
    random = len(np.unique(target[wrong])) > 1 and "random" in place
    right, batch = np.maximum(truth.cells_under(shown), 0), compared.numbers["number of the batch"]
    groups = {"batch": batch} | {f"group of {n} batches": batch // n for n in (2, 4, 8)}
    group = reordered_within(target, right, groups)
    counts = [np.bincount(each, minlength=truth.size**2) for each in (target, right)]
    if not group and np.abs(counts[0] - counts[1]).sum() < _ALIKE * len(target):
        group = "group of batches that are built together"
    evidence, cause, remedy = named_cause(
        scores,
        f"policy targets are shuffled within each {group}: each is the next move of another "
        "position"
        if group
        else later
        if (later := later_moves(truth.rows(wrong), compared.images[wrong], target[wrong]))
        else f"policy targets are drawn at random {place}"
        if random or place == "everywhere"
        else f"policy targets are other cells than that of the next move {place}",
        "take the target from the next move of the game, under the symmetry of the stones",
    )
    yield Finding.error(
        "policy target",
        f"in {known.sum():,} samples {wrong.sum():,} policy targets are wrong, {place}, "
        f"{compared.example(wrong)}; {evidence}",
        at(cause, place),
        remedy,
        root="policy targets",
    )
