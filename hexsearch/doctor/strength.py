"""How good answers are, against chance and against a table of shortest paths, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.hypotheses.policies import uniform_likelihood
from hexsearch.doctor.networks import Observed
from hexsearch.training.metrics import slice_metrics

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_CONSTANT = 0.005  # spread of answers that say nothing
_FEW = 15  # games, below which a slice says nothing


@dataclass(frozen=True)
class Strength:
    """What is wrong with the answers as a whole.

    Attributes:
        problem: in words and figures; empty where nothing is.
        at_chance: no order in the answers. above_quarter: worse than answering 50%.
        policy_gain: by how much the moves played are likelier than cells drawn at random.
    """

    problem: str
    at_chance: bool
    above_quarter: bool
    policy_gain: float


def strength_of(observed: Observed, table: Floats) -> Strength:
    """Compare with 0.5, with 0.25 and with a table's answers [P] on the same positions."""
    evaluation = observed.evaluation
    p, won, game = evaluation.win_prob_red, evaluation.red_won, evaluation.game
    overall = slice_metrics(p, won, game)
    known = slice_metrics(table, won, game)
    auc_noise = 0.5 / np.sqrt(max(overall.games, 2))
    policy_gain = _policy_gain(observed)
    # Ranked by a table that knows only the two shortest paths: are these games predictable at all?
    predictable = known.auc > 0.5 + 2 * auc_noise and known.auc > 0.58
    bound = min(0.5 + auc_noise, known.auc - 0.08) if predictable else 0.5 + min(auc_noise, 0.05)
    at_chance = bool(overall.auc < bound)
    error = overall.value_loss_se if overall.value_loss_se == overall.value_loss_se else 1.0
    above_quarter = bool(overall.value_loss > 0.25)
    problems = []
    if p.std() < _CONSTANT:
        at_chance = True
        problems.append(
            f"answers on {len(p):,} positions spread by only {p.std():.4f} round {p.mean():.3f}"
        )
    elif at_chance:
        problems.append(
            f"AUC {overall.auc:.3f} on {overall.games} games is chance (0.5), where a table of "
            f"shortest paths has {known.auc:.3f}"
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
    """The slice in which a table is better by most, far beyond the noise."""
    evaluation = observed.evaluation
    worst, text = 0.0, ""
    for name, mask in slices(observed).items():
        games = len(np.unique(evaluation.game[mask]))
        if games < _FEW:
            continue
        ours = np.square(evaluation.win_prob_red - evaluation.red_won)[mask]
        theirs = np.square(table - evaluation.red_won)[mask]
        lost = ours - theirs
        noise = clustered_error(lost - lost.mean(), evaluation.game[mask])
        if lost.mean() > max(0.07, 4 * noise) and lost.mean() > worst:
            worst = float(lost.mean())
            text = (
                f"{name} ({games} games) the value loss is {ours.mean():.3f}, where a table of "
                f"shortest paths has {theirs.mean():.3f}"
            )
    return [text] if text else []


def slices(observed: Observed) -> dict[str, Flags]:
    """Positions by side to move, finished or not, and early or late in the game."""
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
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    size = observed.positions.size
    return float(log_p[np.arange(len(moving)), played].mean()) - uniform_likelihood(size)
