"""Finds the number that answers follow, or beyond which they are much worse than a table's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
_WORSE, _AS_GOOD = 0.08, 0.04  # value loss beyond a table's that is much worse, or as good
_FEW = 20  # games on each side
_FOLLOWS = 0.6  # share of the variance of the answers that a number explains
_LEARNT = 0.65  # AUC from which on a value has learnt something


def beyond_a_number(evaluation: Evaluation, table: Floats) -> str:
    """The cause if answers are as good as a table's up to some number, and much worse beyond."""
    won = evaluation.red_won
    if not evaluation.metrics().overall.auc > _LEARNT:
        return ""
    lost = np.square(evaluation.win_prob_red - won) - np.square(table - won)
    clearest, text = _WORSE, ""
    for name, column in (
        ("number of stones", evaluation.ply),
        ("number of plies to the end", evaluation.to_end),
        ("length of the game", evaluation.ply + evaluation.to_end),
    ):
        for bound in np.unique(np.quantile(column, np.linspace(0.05, 0.97, 19)).astype(int)):
            low, high = column < bound, column >= bound
            if min(len(np.unique(evaluation.game[mask])) for mask in (low, high)) < _FEW:
                continue
            for good, bad, where in ((low, high, "at least"), (high, low, "below")):
                # It must be much worse than the table, not only than where it beats the table.
                gap = float(lost[bad].mean() - max(lost[good].mean(), 0.0))
                noise = clustered_error(lost[bad] - lost[bad].mean(), evaluation.game[bad])
                if lost[good].mean() < _AS_GOOD and gap > max(clearest, 3 * noise):
                    clearest = gap
                    text = (
                        f"answers are as good as a table's except where the {name} is {where} "
                        f"{bound}, where the value loss is {float(lost[bad].mean()):.2f} higher: "
                        "the network was not trained on such positions (only on the others, such "
                        "as openings or endings), or its labels or planes were wrong there"
                    )
    return text


def follows_a_number(evaluation: Evaluation) -> str:
    """In words, the number of a position that explains most of its answer; empty if none does."""
    p = evaluation.win_prob_red
    for name, column in (
        ("number of stones on the board", evaluation.ply),
        ("number of plies to the end", evaluation.to_end),
        ("length of the game", evaluation.ply + evaluation.to_end),
    ):
        _, group = np.unique(column, return_inverse=True)
        count = np.bincount(group)
        means, wins = (np.bincount(group, each) / count for each in (p, evaluation.red_won))
        explained = float(means[group].var()) / max(float(p.var()), 1e-12)
        if explained > _FOLLOWS and float(wins[group].std()) < float(means[group].std()) / 2:
            ends = float(p[column <= np.quantile(column, 0.2)].mean())
            other = float(p[column >= np.quantile(column, 0.8)].mean())
            return (
                f"answers follow the {name}, which explains {explained:.0%} of their variance and "
                f"not the results: they are {ends:.2f} where it is low and {other:.2f} where it is "
                "high; the network was taught that number or the stage of the game in place of the "
                "result (another column as the label)"
            )
    return ""
