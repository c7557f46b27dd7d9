"""A slip in the evaluation, of the twenty-eighth set."""

from __future__ import annotations

from typing import Any

from hexsearch.training.evaluation import Evaluator
from tests.doctor.slips import Slip, patched


def _in_train_mode(sound: Any) -> Any:
    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        network.eval = network.train  # the call in the evaluation sets the wrong mode
        try:
            return sound(self, network, positions)
        finally:
            del network.eval

    return evaluate


SLIPS: dict[str, Slip] = {
    "evaluated in train mode": Slip(
        patched(Evaluator, "evaluate", _in_train_mode),
        "train mode|training mode|eval mode|eval\\(\\)|batch.?norm|statistics|dropout|rest of the "
        "batch|in a batch|alone|running",
        cause="The network is in train mode when it is evaluated: batch norms use the statistics "
        "of the evaluated batch (and move their running ones), and dropout would be on.",
    ),
}
