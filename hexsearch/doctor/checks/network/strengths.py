"""Checks how strong a network is, compared with chance and with a table of shortest paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.beyond import (
    beyond_a_number,
    follows_a_cell,
    follows_a_number,
    inverted_where,
)
from hexsearch.doctor.hypotheses.noise import label_noise
from hexsearch.doctor.hypotheses.values import compression, finished_boards
from hexsearch.doctor.networks import ExaminedNetwork, Observed, is_young
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.strength import CONSTANT, FEW, Floats, Strength, strength_of
from hexsearch.game.board import RED
from hexsearch.training.metrics import Evaluation, slice_metrics

_SURE = 0.3  # standard deviation of answers from which on many are near 0 or 1
_LEAN = 0.25  # difference of the mean answer to the share of Red's wins that is reported
_ONE_SIDED = 0.97  # share of answers for one side that is reported
_CONSTANT_HALF, _LIKE_PRIOR = 0.002, 0.08  # a constant that is no 0.5, and near Red's share
_FAR_OUT = 6.0  # size of a raw value beyond which a sigmoid is flat
_NEAR_END = 0.02  # distance from 0 or 1 of the output of a sigmoid that is at its end
_NOISY = 0.08  # share of wrong labels that explains a weakness
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
        or _of_finished_boards(observed)
        or _inverted(pipeline, observed)
        or _of_one_part(observed, table)
        or _unexplained(examined, observed, strength, young),
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


def _of_finished_boards(observed: Observed) -> str:
    """The cause if answers are right on finished boards and on no others; else empty."""
    evaluation = observed.evaluation
    p, won, final = evaluation.win_prob_red, evaluation.red_won, evaluation.final
    right = ((p > 0.5) == (won == 1)) & (p != 0.5)
    if final.sum() < FEW or right[final].mean() < 0.9 or right[~final].mean() > 0.65:
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
    examined: ExaminedNetwork, observed: Observed, strength: Strength, young: bool
) -> str:
    """The likeliest cause of weakness if no other reading explains it."""
    excluded = (
        "other decodings, exchanged sides, turned, shifted or exchanged planes do not explain it"
    )
    evaluation = observed.evaluation
    p = evaluation.win_prob_red
    if of_a_cell := follows_a_cell(p, observed.positions.stones):
        return f"{of_a_cell}; {excluded}"
    lopsided = _lopsided(evaluation)
    if lopsided:
        return f"{lopsided}; {excluded}"
    if p.std() < CONSTANT:
        return _constant(observed)
    if alone := follows_a_number(evaluation):
        return f"{alone}; {excluded}"
    certain = strength.at_chance or strength.above_quarter
    if certain and strength.policy_gain > 0.1:
        return (
            "the policy has learnt and the value has not, so the trunk works: the value head, its "
            "labels or its loss are at fault (the head is missing in the optimiser, was not "
            "loaded, or has weights of another checkpoint; labels are random, or half of them "
            f"inverted); {excluded}"
        )
    if young:
        return f"the network has seen only {examined.positions_seen:,} positions; {excluded}"
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
        return (
            f"nearly every answer says that {'Red' if lean > 0 else 'Blue'} wins: nearly all "
            "training labels were the same (only games of one winner, or labels that became a "
            "constant)"
        )
    low, high = (float(np.quantile(p, share)) for share in (0.01, 0.99))
    if (low > _HALF and high > 0.8) or (high < 1 - _HALF and low < 0.2):
        end, loser = (f"below {low:.2f}", "Red") if low > _HALF else (f"above {high:.2f}", "Blue")
        return (
            f"answers never go {end}, although {loser} loses often: half of the range is not used, "
            "for example because losses are trained or read as draws, or because a relu cuts an "
            "output off at 0"
        )
    return ""


def _constant(observed: Observed) -> str:
    """The likeliest cause of a value that is the same everywhere."""
    if raws := _saturated(observed) or _squashed(observed):
        return raws
    mean = float(observed.evaluation.win_prob_red.mean())
    wins = float(observed.evaluation.red_won.mean())
    if abs(mean - 0.5) > _CONSTANT_HALF and abs(mean - wins) < _LIKE_PRIOR:
        return (
            f"the value is constant and about Red's share of wins ({mean:.3f}): the network "
            "has learnt the mean of the labels. Labels do not belong to their positions (they "
            "are shuffled), each answer is compared with every label (shapes [B, 1] and [B] "
            "are broadcast), or it has a dead value head, which sees nothing of the board"
        )
    return (
        "the value is constant: it has initial weights, a dead value head, weights that "
        "decayed to 0, or an average of weights that is never updated"
    )


def _squashed(observed: Observed) -> str:
    """The cause if raw outputs are those of a sigmoid that was driven to one end; else empty."""
    raw = observed.raw
    if raw.ndim != 1 or len(np.unique(raw)) < len(raw) // 10:
        return ""  # those of a dead unit are all the same
    low, high = float(raw.min()), float(raw.max())
    if not (0.0 < low <= high < _NEAR_END) and not (1.0 - _NEAR_END < low <= high < 1.0):
        return ""
    return (
        f"the output lies in 0..1 and is at one end everywhere ({low:.2g} to {high:.2g}), so the "
        "answers are the same: the network ends in a sigmoid, and a loss of logits, which applies "
        "one itself, drove it there; two sigmoids stand one behind the other"
    )


def _saturated(observed: Observed) -> str:
    """The cause if all raw outputs lie far out on one side; else empty."""
    raw = observed.raw
    if raw.ndim != 1 or not (raw.min() > _FAR_OUT or raw.max() < -_FAR_OUT):
        return ""
    side = f"above {raw.min():.3g}" if raw.min() > 0 else f"below {raw.max():.3g}"
    return (
        f"the output is saturated: all raw values lie {side}, where a sigmoid or tanh is flat, so "
        "the value is constant: a loss without a minimum has driven them there, as if its labels "
        "lie outside the range that the output can reach (-1 and 1 for a sigmoid), or a learning "
        "rate that is far too high"
    )


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
