"""Checks how strong a network is, compared with chance and with a table of shortest paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.boards.exchanged import blind_to_exchange
from hexsearch.doctor.hypotheses.general.beyond import (
    beyond_a_number,
    follows_a_cell,
    follows_a_number,
    inverted_where,
)
from hexsearch.doctor.hypotheses.general.constants import constant_value, one_winner, own_chances
from hexsearch.doctor.hypotheses.noise import label_noise
from hexsearch.doctor.hypotheses.values import compression, finished_boards
from hexsearch.doctor.networks import Observed, is_young
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.refuted import TOO_SURE
from hexsearch.doctor.strength import CONSTANT, FEW, Floats, Strength, strength_of
from hexsearch.game.board import RED
from hexsearch.training.metrics import Evaluation, slice_metrics

_NARROW = 0.05  # standard deviation of answers that hardly differ
_SURE = 0.3  # standard deviation of answers from which on many are near 0 or 1
_LEAN = 0.25  # difference of the mean answer to the share of Red's wins that is reported
_ONE_SIDED = 0.97  # share of answers for one side that is reported
_NOISY = 0.08  # share of wrong labels that explains a weakness
_UPSIDE_DOWN = 0.35  # AUC below which answers are inverted
_PILE, _PILED = 0.1, 0.02  # share of answers at the end of a range that is cut off, and how near
_RANKS, _SURER, _USEFUL = 0.58, 0.8, 0.245  # AUC, factor on log odds, and value loss with it
_JUST_BEFORE = 4  # plies to the end of positions that are nearly decided
_HALF = 0.35  # distance to 0 or 1 that all answers keep if half of the range is not used


def check_strength(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the answers with chance and with the table, and look for reasons of weakness."""
    observed, examined = needed(pipeline.observed), needed(pipeline.examined)
    table = needed(pipeline.table)
    strength = strength_of(observed, table)
    if not strength.problem:
        return
    young = is_young(examined)
    certain = strength.above_quarter or strength.at_chance
    if young and not certain:
        return  # after so few positions a network may be weaker than a table
    finished = finished_boards(observed)
    yield Finding(
        "strength",
        "error" if certain else "warning",
        f"{strength.problem}; {finished}" if finished else strength.problem,
        _of_other_games(pipeline, observed)
        or _inverted_for_one_side(observed.evaluation)
        or _of_finished_boards(observed)
        or _inverted(pipeline, observed)
        or blind_to_exchange(pipeline.foreign, observed)
        or _of_one_part(observed, table)
        or _unexplained(pipeline, observed, strength, young),
        _next_step(pipeline, young),
        root="reading",
    )


def _of_other_games(pipeline: ExaminedPipeline, observed: Observed) -> str:
    """The cause if answers fit the results of neighbouring games; else empty."""
    archive, evaluation = pipeline.archive, observed.evaluation
    assert archive is not None
    own = evaluation.metrics().overall.auc
    for shift in (1, -1, 2, -2, 3, -3):
        other = archive.winners[(evaluation.game + shift) % len(archive)] == RED
        auc = slice_metrics(evaluation.win_prob_red, other.astype(float), evaluation.game).auc
        if auc > max(0.75, own + 0.15):
            place = f"{abs(shift)} place(s) {'later' if shift > 0 else 'earlier'}"
            return (
                f"answers fit the winner of the game {place} in the archive (AUC {auc:.2f}), not "
                "that of their own game: training labels were those of a neighbouring game (an "
                "index is off by one)"
            )
    return ""


def _inverted(pipeline: ExaminedPipeline, observed: Observed) -> str:
    """The cause if answers are inverted in some part of the positions; else empty.

    Answers that nearly all speak for one colour are wrong where the other one wins.
    """
    assert pipeline.archive is not None
    if _lopsided(observed.evaluation) or observed.evaluation.win_prob_red.std() < CONSTANT:
        return ""
    return inverted_where(observed.evaluation, pipeline.archive)


def _inverted_for_one_side(evaluation: Evaluation) -> str:
    """The cause if answers are inverted where one side is to move; else empty."""
    red = evaluation.ply % 2 == 1
    auc = {}
    for side, moving in (("Red", red), ("Blue", ~red)):
        rows = moving & ~evaluation.final
        auc[side] = slice_metrics(
            evaluation.win_prob_red[rows], evaluation.red_won[rows], evaluation.game[rows]
        ).auc
    bad, good = sorted(auc, key=lambda side: auc[side])
    if not (auc[bad] < _UPSIDE_DOWN and auc[good] > 1 - _UPSIDE_DOWN):
        return ""
    return (
        f"answers are inverted where {bad} is to move (AUC {auc[bad]:.2f}, and {auc[good]:.2f} "
        f"where {good} is): labels were inverted there in training (a sign by ply, or the result "
        "of the side to move taken for one colour's), or answers are at inference"
    )


def _of_finished_boards(observed: Observed) -> str:
    """The cause if answers are right on finished boards and on no others; else empty."""
    evaluation = observed.evaluation
    p, won, final = evaluation.win_prob_red, evaluation.red_won, evaluation.final
    right = ((p > 0.5) == (won == 1)) & (p != 0.5)
    if final.sum() < FEW or right[final].mean() < 0.9 or right[~final].mean() > 0.65:
        return ""
    # A weak network that has seen all positions is nearly as good just before the end.
    near = ~final & (evaluation.to_end <= _JUST_BEFORE)
    if right[near].mean() > 0.8:
        return ""
    return (
        f"answers are right on finished boards ({right[final].mean():.0%}) and not elsewhere "
        f"({right[~final].mean():.0%}): the network was trained on finished boards or last "
        "positions only (a board that is not copied, so that every sample of a game holds its last "
        "one), or only their labels were right"
    )


def _of_one_part(observed: Observed, table: Floats) -> str:
    """The cause if answers are good in one part of the positions and at chance in another."""
    evaluation = observed.evaluation
    final, red = evaluation.final, evaluation.ply % 2 == 1
    lengths = evaluation.ply + evaluation.to_end
    pairs = {
        ("where Blue is to move", "where Red is to move"): (~final & ~red, ~final & red),
        ("in short games", "in long games"): (
            lengths < np.median(lengths),
            lengths >= np.median(lengths),
        ),
        ("late in the game", "early in the game"): (evaluation.stage == 2, evaluation.stage == 0),
    }
    for names, masks in pairs.items():
        own, known = [], []
        for mask in masks:
            won, game = evaluation.red_won[mask], evaluation.game[mask]
            own.append(slice_metrics(evaluation.win_prob_red[mask], won, game).auc)
            known.append(slice_metrics(table[mask], won, game).auc)
        for good, bad in ((0, 1), (1, 0)):
            at_chance = own[bad] < 0.56 and known[bad] > 0.68
            if at_chance and own[good] > max(0.68, known[good] - 0.12):
                return (
                    f"answers are good {names[good]} but not {names[bad]} (AUC {own[good]:.2f} and "
                    f"{own[bad]:.2f}): the network was trained on positions {names[good]} only, or "
                    f"labels or planes {names[bad]} are wrong (side to move, perspective)"
                )
    constant = evaluation.win_prob_red.std() < CONSTANT
    return "" if constant else beyond_a_number(evaluation, table)


def _unexplained(
    pipeline: ExaminedPipeline, observed: Observed, strength: Strength, young: bool
) -> str:
    """The likeliest cause of weakness if no other reading explains it."""
    excluded = (
        "other decodings, exchanged sides, turned, shifted or exchanged planes do not explain it"
    )
    evaluation = observed.evaluation
    p = evaluation.win_prob_red
    if of_a_cell := follows_a_cell(p, observed.positions.stones):
        return f"{of_a_cell}; {excluded}"
    if own_chances(observed).std() < CONSTANT:
        return constant_value(pipeline.foreign, observed)[0]
    lopsided = _lopsided(evaluation)
    if lopsided:
        return f"{lopsided}; {excluded}"
    if alone := follows_a_number(evaluation):
        return f"{alone}; {excluded}"
    if strength.above_quarter and (sure := _too_sure(observed)):
        return f"{sure}; {excluded}"
    certain = strength.at_chance or strength.above_quarter
    if strength.at_chance and own_chances(observed).std() < _NARROW:
        return (
            "answers hardly leave the mean of the labels: labels are shuffled (each belongs to "
            "another position), each answer is compared with every label of the batch (shapes "
            f"[B, 1] and [B] are broadcast), or the value was hardly trained; {excluded}"
        )
    if certain and strength.policy_gain > 0.1:
        return (
            "the policy has learnt and the value has not, so the trunk works: the value head, its "
            "labels or its loss are at fault (the head is missing in the optimiser, was not "
            "loaded, or has weights of another checkpoint; labels are random, or half of them "
            f"inverted); {excluded}"
        )
    if young:
        seen = needed(pipeline.examined).positions_seen
        return f"the network has seen only {seen:,} positions; {excluded}"
    if strength.at_chance and p.std() > _SURE:
        return (
            "the network is sure of answers that are wrong on these games: it has memorised few "
            f"games (overfitting), or was trained on games of another kind; {excluded}"
        )
    if strength.at_chance:
        return (
            "the network has learnt nothing that holds on these games: it has initial weights, or "
            f"labels did not belong to their positions; {excluded}"
        )
    if strength.above_quarter and p.std() > _SURE:
        return (
            "the network is sure of many answers that are wrong on these games: it knows the games "
            "of its training by heart (too few games or too many passes over them: overfitting), "
            f"or computes something else than in training; {excluded}"
        )
    return _read_rightly(observed, excluded)


def _too_sure(observed: Observed) -> str:
    """The cause if answers rank positions, and are right once they are less sure; else empty."""
    figures = observed.evaluation.metrics().overall
    pressed = compression(observed)
    loss = figures.value_loss - pressed.temperature_gain
    if not (figures.auc or 0.5) > _RANKS or pressed.temperature > _SURER or loss > _USEFUL:
        return ""
    return (
        f"{TOO_SURE}: with its log odds times {pressed.temperature:.2f} the value loss is "
        f"{loss:.3f}, and positions are ranked with an AUC of {figures.auc:.2f} (too many passes "
        "over too few games: overfitting, or a factor on the output)"
    )


def _read_rightly(observed: Observed, excluded: str) -> str:
    """The likeliest cause of weakness if the answers are better than chance."""
    noise = label_noise(observed)
    if noise is not None and noise.low > _NOISY:
        return (
            f"label noise: about {noise.drawn} of the training labels were drawn at random, or "
            f"{noise.share:.0%} inverted (winners that are wrong, or signs, in a part of the "
            f"games): on finished boards the loser gets {noise.share:.0%} on average, though "
            f"{noise.right:.0%} of the answers are right; {excluded}"
        )
    pressed = compression(observed)
    if pressed.noise_share > 0.1 and pressed.noise_gain > 2 * pressed.error:
        return (
            f"answers are too near to 0.5, as after training with {pressed.noise_share:.0%} of the "
            f"labels drawn at random (label noise), or with smoothed labels; {excluded}"
        )
    return (
        "the network is weak, but its outputs are read rightly: label noise, too short a training, "
        f"or too small a network; {excluded}"
    )


def _lopsided(evaluation: Evaluation) -> str:
    """The cause if nearly all answers are on one side, or use half of the range; else empty."""
    p, won = evaluation.win_prob_red, evaluation.red_won
    lean, for_red = float(p.mean() - won.mean()), float((p > 0.5).mean())
    if abs(lean) > _LEAN and max(for_red, 1 - for_red) > _ONE_SIDED:
        return one_winner(red=lean > 0)
    low, high = (float(np.quantile(p, share)) for share in (0.01, 0.99))
    if (low > _HALF and high > 0.8) or (high < 1 - _HALF and low < 0.2):
        end, loser = (f"below {low:.2f}", "Red") if low > _HALF else (f"above {high:.2f}", "Blue")
        near = np.abs(p - (low if low > _HALF else high)) < _PILED
        if near.mean() < _PILE:
            winner = "Red" if loser == "Blue" else "Blue"
            return (
                f"answers lean to one colour and never go {end}, although {loser} loses often, and "
                "they do not pile up there: the last steps of training saw few or no games that "
                f"{winner} won (samples in the order of the games, not shuffled), or one outcome "
                "weighs far more in the loss"
            )
        return (
            f"answers never go {end}, although {loser} loses often: half of the range is not used, "
            "for example because losses are trained or read as draws, or because a relu cuts an "
            "output off at 0"
        )
    return ""


def _next_step(pipeline: ExaminedPipeline, young: bool) -> str:
    """The remedy."""
    if pipeline.foreign is not None:
        return (
            "check that load() returns the trained weights, and that these games are of the kind "
            "that the network was trained on; then compare encode() with the planes of training"
        )
    if young:
        return "train longer by `hexsearch train SPACE.yaml`, then run doctor again"
    return (
        "run `hexsearch doctor SPACE.yaml --games PATH` with the same configuration and games: it "
        "examines batches, losses and steps one by one"
    )
