"""Finds the number beyond which answers are much worse than those of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
_WORSE, _AS_GOOD = 0.08, 0.04  # value loss beyond a table's that is much worse, or as good
_FEW = 20  # games on each side
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
                gap = float(lost[bad].mean() - lost[good].mean())
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
