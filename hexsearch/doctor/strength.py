"""How good answers are, compared with chance and with a table of shortest paths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.hypotheses.inputs import NEAR
from hexsearch.doctor.hypotheses.policies import log_softmax, uniform_likelihood
from hexsearch.doctor.hypotheses.values import Reading, readings, simplest_of_the_best
from hexsearch.doctor.networks import Observed
from hexsearch.training.metrics import slice_metrics

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
CONSTANT = 0.005  # standard deviation below which answers count as constant
FEW = 15  # games, or finished boards, below which a figure is not used
READ_BETTER = 0.01  # gain in value loss that another reading must have
_AS_GOOD = 1.4  # times the value loss of a table of shortest paths, up to which answers are good
_ENDS = 0.6  # size that values near the end of a game reach if they were trained to be -1 and 1
_LARGE, _CERTAIN = 0.05, 8.0  # gain, also in its errors, that random weights do not have


@dataclass(frozen=True)
class Strength:
    """How good the answers of a network are.

    Attributes:
        problem: what is wrong, in words and figures; empty if nothing is.
        at_chance: the answers rank positions no better than chance, or are constant.
        above_quarter: the value loss is above 0.25, which is that of answering 50%.
        policy_gain: mean log probability of the moves played, above that of uniform cells.
    """

    problem: str
    at_chance: bool
    above_quarter: bool
    policy_gain: float


def accuracy(answers: Floats, red_won: Flags) -> float:
    """Share of right answers [P] for results [P]; an answer of exactly 0.5 counts half."""
    return float(np.where(answers == 0.5, 0.5, (answers > 0.5) == red_won).mean())


def sensible_auc(table: Floats, won: Floats) -> float:
    """The AUC that answers need to be sensible: halfway from chance to a table of shortest paths.

    Answers of random weights have some order, too, and are often a little better if inverted.
    """
    known = slice_metrics(table, won, np.arange(len(won))).auc
    return 0.5 + 0.5 * max(known - 0.5, 0.0)


def strength_of(observed: Observed, table: Floats) -> Strength:
    """Compare AUC and value loss with those of chance and with those of a table's answers [P]."""
    evaluation = observed.evaluation
    p, won, game = evaluation.win_prob_red, evaluation.red_won, evaluation.game
    overall = slice_metrics(p, won, game)
    known = slice_metrics(table, won, game)
    auc_noise = 0.5 / np.sqrt(max(overall.games, 2))
    policy_gain = _policy_gain(observed)
    # Games whose winner not even the table can predict are a weak test.
    predictable = known.auc > 0.5 + 2 * auc_noise and known.auc > 0.58
    bound = min(0.5 + auc_noise, known.auc - 0.08) if predictable else 0.5 + min(auc_noise, 0.05)
    at_chance = bool(overall.auc < bound)
    error = overall.value_loss_se if overall.value_loss_se == overall.value_loss_se else 1.0
    above_quarter = bool(overall.value_loss > 0.25)
    problems = []
    if p.std() < CONSTANT:
        at_chance = True
        problems.append(
            f"answers on {len(p):,} positions have a standard deviation of only {p.std():.4f} "
            f"around {p.mean():.3f}"
        )
    elif at_chance:
        problems.append(
            f"AUC {overall.auc:.3f} on {overall.games} games is no better than chance (0.5), while "
            f"a table of shortest paths has {known.auc:.3f}"
        )
    if above_quarter:
        problems.append(
            f"value loss {overall.value_loss:.3f} (+-{2 * error:.3f}) is worse than answering 50% "
            "(0.25)"
        )
    if not problems:
        problems += _weak_slice(observed, table)
    return Strength("; ".join(problems), at_chance, above_quarter, policy_gain)


def _weak_slice(observed: Observed, table: Floats) -> list[str]:
    """The slice in which the table is better by most, if it is far better than noise explains."""
    evaluation = observed.evaluation
    worst, text = 0.0, ""
    for name, mask in _slices(observed).items():
        games = len(np.unique(evaluation.game[mask]))
        if games < FEW:
            continue
        ours = np.square(evaluation.win_prob_red - evaluation.red_won)[mask]
        theirs = np.square(table - evaluation.red_won)[mask]
        lost = ours - theirs
        noise = clustered_error(lost - lost.mean(), evaluation.game[mask])
        if lost.mean() > max(0.07, 4 * noise) and lost.mean() > worst:
            worst = float(lost.mean())
            text = (
                f"{name} ({games} games) the value loss is {ours.mean():.3f}, while that of a "
                f"table of shortest paths is {theirs.mean():.3f}"
            )
    return [text] if text else []


def _slices(observed: Observed) -> dict[str, Flags]:
    """[P] for each slice of positions, by words that a sentence can begin with."""
    evaluation = observed.evaluation
    final, red = evaluation.final, evaluation.ply % 2 == 1
    return {
        "on all positions": np.ones(len(final), dtype=bool),
        "on finished boards": final,
        "where Blue is to move": ~final & ~red,
        "where Red is to move": ~final & red,
        "early in the game": evaluation.stage == 0,
        "late in the game": (evaluation.stage == 2) & ~final,
        "in the last six plies": (evaluation.to_end <= 6) & ~final,
    }


def _policy_gain(observed: Observed) -> float:
    moving = np.flatnonzero(observed.played >= 0)
    logits = observed.policy[moving].astype(np.float64)
    played = observed.played[moving]
    if not len(moving) or logits.shape[1] <= played.max():
        return 0.0
    log_p = log_softmax(logits)[np.arange(len(moving)), played]
    return float(log_p.mean()) - uniform_likelihood(observed.positions.size)


def is_read_otherwise(observed: Observed, table: Floats) -> bool:
    """Whether another decoding or side makes answers good: no other explanation is needed then."""
    best = simplest_of_the_best(readings(observed), READ_BETTER)
    if best is None or best.answers.std() < CONSTANT or not restores(best, observed, table):
        return False
    won = observed.evaluation.red_won
    known = float(np.square(table - won).mean())
    return float(np.square(best.answers - won).mean()) <= _AS_GOOD * known


def restores(best: Reading, observed: Observed, table: Floats) -> bool:
    """Whether a reading gives sensible answers, or is a usual decoding with an acceptable loss."""
    majority = max(observed.evaluation.red_won.mean(), 1 - observed.evaluation.red_won.mean())
    if best.decoding in ("raw", "signed") and best.value_loss < 0.26:
        # Smoothed logits are small, and (raw + 1) / 2 is near their sigmoid.
        near = observed.value[observed.evaluation.to_end <= NEAR]
        sure = float(np.quantile(np.abs(near), 0.9)) > _ENDS
        return best.decoding == "raw" or sure or bool(near.min() >= 0.0)
    won = observed.evaluation.red_won
    auc = slice_metrics(best.answers, won, observed.evaluation.game).auc
    right = best.accuracy > majority + 0.03
    sensible = auc > sensible_auc(table, won) or best.gain > max(_LARGE, _CERTAIN * best.noise)
    return best.value_loss < 0.24 and right and sensible
