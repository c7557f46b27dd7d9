"""An entropy of the policy that is added to its loss, read from the gradients at the logits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.doctor.own_training.outputs import Output

_REST = 1e-4  # share of the gradients that two terms may leave
_LEAST = 0.01  # factor before the entropy that counts
_ROWS = 512  # rows that are looked at


def entropy_factor(policy: Output, cell: NDArray[np.int64], known: NDArray[np.bool_]) -> float:
    """Factor of the entropy beside the cross-entropy; 0 if the gradients are of another loss.

    It is negative for the usual bonus, which keeps a policy open, and positive where an entropy is
    added to a loss that is minimised, and so is punished.
    """
    assert policy.gradient is not None
    rows = np.flatnonzero(known)[-_ROWS:]  # the last ones differ most
    if not len(rows):
        return 0.0
    logits, gradient = policy.tensor[rows].double(), policy.gradient[rows].double()
    log_p = logits.log_softmax(dim=1)
    p = log_p.exp()
    surprise = torch.where(p > 0, p * log_p, torch.zeros_like(p))
    target = torch.nn.functional.one_hot(torch.from_numpy(cell[rows]), p.shape[1])
    # The slope of the entropy H at a logit is -p (log p + H).
    slope = -(surprise - p * surprise.sum(dim=1, keepdim=True))
    columns = torch.stack([(p - target).flatten(), slope.flatten()], dim=1)
    pulls = gradient.flatten()[:, None]
    solved = torch.linalg.lstsq(columns, pulls, driver="gelsd").solution
    rest = float((columns @ solved - pulls).norm() / pulls.norm().clamp(min=1e-30))
    if rest > _REST or float(solved[0]) <= 0:
        return 0.0
    factor = float(solved[1] / solved[0])
    return factor if abs(factor) > _LEAST else 0.0
