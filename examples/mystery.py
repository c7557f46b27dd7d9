"""The fault of the original project, as a read-out plug-in. Do not use it.

    PYTHONPATH=examples python run_search.py doctor search_spaces/quick.yaml --quick \\
        --set readout=mystery:RawMseShownBySigmoid

refuses it in the first seconds. In training with it, the loss falls and gradients are healthy, but
a perfect network is reported as 0.50 and 0.73. `doctor` on such a checkpoint reports its accuracy
with the right decoding.
"""

from __future__ import annotations

from torch import Tensor

from hexsearch.model.readout import Readout


class RawMseShownBySigmoid(Readout):
    """Trained raw against 0 and 1, read out through a sigmoid."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()
