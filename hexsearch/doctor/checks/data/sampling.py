"""Checks of the positions that training draws: label leaks, repetitions, and their games."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.collection.leaks import check_curriculum
from hexsearch.doctor.checks.data.bounds import bound_findings
from hexsearch.doctor.checks.data.cursors import cursor_findings, cut_findings
from hexsearch.doctor.checks.data.mixing import augmentation_findings, mixing_findings
from hexsearch.doctor.checks.data.repeats import far_batches, keys_of, overlap, repeat_findings
from hexsearch.doctor.checks.data.rules import missing_findings, rule_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import PLIES, position_keys

_OTHER_CURRICULUM = (
    "do not judge networks by this curriculum; use curriculum last_k with an even k, or all"
)
_ALL = 0.95  # share of positions that are all of them but for chance
_NEARLY = 0.8  # share of the games that are drawn once by each part, but for the batch's ends
_PURE = 0.98  # share of equal outcomes in a group of positions from which on it is a leak
_GROUP = 0.2  # share of the positions that such a group must have


def check_leaks(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report what reveals the winner without the places of the stones.

    First the planes of the first configuration, then side to move and number of stones in every
    curriculum (see `data.collection.leaks`).
    """
    findings = list(_plane_leaks(pipeline))
    yield from findings
    dataset, curricula = needed(pipeline.dataset), [c.curriculum for c in pipeline.configs]
    done = curricula[:1] if findings else []
    for curriculum in curricula:
        if curriculum in done:
            continue
        done.append(curriculum)
        leak = check_curriculum(
            dataset.archive, dataset.train_games, curriculum, dataset.config.stages
        )
        if leak.flagged:
            yield Finding.warning(
                "label leaks",
                str(leak),
                "one ply before the end the side to move wins, and on a finished board the number "
                "of stones reveals who moved last",
                _OTHER_CURRICULUM,
            )


def _plane_leaks(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report planes without stones that reveal the winner."""
    config = needed(pipeline.config)
    compared = pipeline.compared
    batch = compared.samples.batch
    outcome = batch.outcome.numpy() > 0.5
    flat = torch.from_numpy(compared.samples.planes).flatten(2)
    constant = (flat.std(dim=2) < 1e-6).all(dim=0).numpy()
    values = flat.mean(dim=2).numpy()[:, constant].round(2)
    # In the mover's perspective there is no such plane, but the side to move may always win.
    values = np.column_stack([values, compared.truth.finished])
    _, group = np.unique(values, axis=0, return_inverse=True)
    sizes = np.bincount(group)
    ones = np.bincount(group, outcome)
    purity = np.maximum(ones, sizes - ones) / sizes
    pure = (purity > _PURE) & (sizes >= max(30, _GROUP * len(outcome)))
    if not pure.any():
        return
    inside = pure[group]
    finished = compared.truth.finished[inside].mean()
    if (batch.to_end.numpy()[inside] > 1).mean() > 0.2:
        yield Finding.error(
            "label leaks",
            f"in {inside.mean():.0%} of the training positions of curriculum "
            f"'{config.curriculum.name}' the planes without stones reveal the winner "
            f"({purity[pure].max():.1%} right)",
            "a plane other than those of the stones holds the winner",
            "encode only the stones and the side to move, and nothing that depends on the result",
        )
        return
    yield Finding(
        "label leaks",
        "error" if finished > 0.5 else "warning",
        f"in {inside.mean():.0%} of the training positions of curriculum "
        f"'{config.curriculum.name}' the side to move alone reveals the winner "
        f"({purity[pure].max():.1%} right without a stone)",
        (
            "on a finished board the side to move is the loser"
            if finished > 0.5
            else "one ply before the end the side to move is always the winner"
        )
        + (
            ", and training sees no other positions (a curriculum, or a filter, of final ones only)"
            if inside.mean() > _ALL
            else ""
        ),
        _OTHER_CURRICULUM,
    )


def check_batches(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Batches must come from the training games, not repeat positions, and mix games well."""
    samples, dataset = needed(pipeline.samples), needed(pipeline.dataset)
    game, ply = samples.batch.game.numpy(), samples.batch.ply.numpy()
    keys = position_keys(game, ply)
    overlapping = bool(overlap(keys, samples.batch_size))  # few positions are from few games, too
    bounded = [] if overlapping else list(bound_findings(pipeline, game))
    if bounded:  # batches that are not shuffled begin with the first games, and go on to the others
        _, far = far_batches(pipeline, len(keys), len(needed(pipeline.stream).positions))
        games = np.concatenate([game, *(each // PLIES for each in far)])
        grows = games.max() > 1.05 * game.max() or games.min() < game.min()
        bounded = [] if grows else list(bound_findings(pipeline, games))
    if bounded:
        yield from bounded
        return
    ruled = list(cut_findings(needed(pipeline.watched))) or list(rule_findings(pipeline))
    if ruled:
        yield from ruled
        return
    strange = ~np.isin(game, dataset.train_games)
    if strange.any():
        yield Finding.error(
            "batches",
            f"{strange.mean():.0%} of {len(game):,} training positions come from games that are "
            "not in the training split",
            "the network is trained on validation or test games, so figures on them show what it "
            "memorises",
            "draw training positions only from the games of the training split",
            root="trained on others",
        )
    findings = list(cursor_findings(needed(pipeline.watched)))
    findings = findings or list(_same_batches(keys, samples.batch_size))
    if not findings:
        repeated, dense = list(repeat_findings(pipeline, keys)), list(_density(pipeline))
        # Few positions also come from few games: then the repetition is the cause. Otherwise a
        # wrong mixture says more than a repetition.
        few = bool(repeated and dense and _mixed(game, samples.batch_size))
        findings = repeated if few or overlapping else dense
        mild = all(finding.severity == "warning" for finding in findings)
        if mild and not strange.any():
            findings = list(mixing_findings(pipeline, game, ply, samples.batch_size)) or findings
        findings = findings or repeated
    yield from findings
    if not findings and not strange.any():
        yield from missing_findings(pipeline)
        yield from augmentation_findings(pipeline)


def _mixed(game: Ints, batch_size: int) -> bool:
    """Whether batches mix the games of all samples, few as they may be, as random draws do."""
    batches = [game[start : start + batch_size] for start in range(0, len(game), batch_size)]
    shares = np.unique(game, return_counts=True)[1] / len(game)
    expected = float((1 - (1 - shares) ** batch_size).sum())
    return bool(np.mean([len(np.unique(batch)) for batch in batches]) > 0.7 * expected)


def _same_batches(keys: Ints, batch_size: int) -> Iterator[Finding]:
    """Report consecutive batches with the same positions."""
    batches = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
    equal = [np.array_equal(a, b) for a, b in pairwise(batches)]
    if any(equal):
        yield Finding.error(
            "batches",
            f"{sum(equal)} of {len(equal)} batches have exactly the positions of the batch before",
            "each batch comes twice, one after the other (two workers that draw one stream, for "
            "instance), so as many positions are never seen"
            if equal == [number % 2 == equal.index(True) % 2 for number in range(len(equal))]
            else "the cursor does not advance: training gets one batch again and again",
            "choose each batch by the number of positions seen so far",
        )


def _density(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report batches that come from too few games."""
    samples, stream = needed(pipeline.samples), needed(pipeline.stream)
    size = samples.batch_size
    batches = list(samples.batch.parts(size))
    # Positions that come twice in a batch are another fault.
    distinct = float(np.mean([len(np.unique(keys_of(batch))) for batch in batches]))
    phase = stream.positions.phase_at(0)
    missed = np.ones(len(stream.builder.archive))  # probability that a game is not drawn
    for positions, part in zip(phase.sets, phase.shares, strict=True):
        each = positions.counts if positions.slots is None else positions.slots
        draws = min(part * distinct, len(positions))
        missed[positions.games] *= (1 - each / len(positions)) ** draws
    expected = float((1 - missed).sum())
    games = np.mean([len(np.unique(batch.game.numpy())) for batch in batches])
    if games < 0.7 * expected:
        yield Finding.error(
            "batches",
            f"a batch of {size} positions comes from {games:.0f} games; in random draws it comes "
            f"from {expected:.0f}",
            _parts_alike(batches, len(phase.sets))
            or "positions are not shuffled across games: positions of one game share a label, so "
            "the network memorises games instead of judging positions",
            "shuffle all training positions before they are divided into batches",
        )


def _parts_alike(batches: list[Batch], parts: int) -> str:
    """In words, that each part of a mixture draws the same games in the same order; else empty."""
    if parts < 2:
        return ""
    counts = [np.unique(batch.game.numpy(), return_counts=True)[1] for batch in batches]
    each = np.concatenate(counts)
    if (each == parts).mean() < _NEARLY:
        return ""
    return (
        f"the {parts} parts of the mixture draw the same games in the same order (one seed for all "
        f"of them), so each game is {parts} times in a batch, and positions of one game share a "
        "label"
    )
