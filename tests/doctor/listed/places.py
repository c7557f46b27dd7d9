"""Places of a pipeline where a listed slip can be injected, beside those of tests.doctor.slips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.training import evaluation
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from tests.doctor.slips import Inject, Patch, patched

ChangeBatch = Callable[[Batch, BatchBuilder], Batch]

AVERAGED = {"optimiser": {"ema_half_life": 1000}}
HISTORY = {"encoder": {"history": True}}
SGD = {"name": "sgd", "learning_rate": 0.05}


def all_of(*parts: Inject) -> Inject:
    """Inject several things that make one mistake together."""

    def inject(patch: Patch) -> None:
        for part in parts:
            part(patch)

    return inject


def in_build(change: ChangeBatch) -> Inject:
    """Change every batch after it is built, in training and in evaluation."""

    def make(sound: Any) -> Any:
        def build(self: BatchBuilder, *given: Any, **more: Any) -> Batch:
            return change(sound(self, *given, **more), self)

        return build

    return patched(BatchBuilder, "build", make)


def in_evaluation(change: ChangeBatch) -> Inject:
    """Change the batches of evaluations only."""

    def make(sound: Any) -> Any:
        def batches(builder: BatchBuilder, *given: Any, **more: Any) -> Iterator[Batch]:
            return (change(batch, builder) for batch in sound(builder, *given, **more))

        return batches

    return patched(evaluation, "evaluation_batches", make)


def in_answers(change: Callable[[Evaluation], NDArray[Any]]) -> Inject:
    """Change the answers of whole evaluations."""

    def make(sound: Any) -> Any:
        def evaluate(self: Evaluator, *given: Any) -> Any:
            found, policy_loss = sound(self, *given)
            return tuple(replace(each, win_prob_red=change(each)) for each in found), policy_loss

        return evaluate

    return patched(Evaluator, "evaluate", make)


def occupied_cells(planes: Tensor, size: int) -> Tensor:
    """[B, N, N] whether each cell holds a stone."""
    margin = (planes.shape[-1] - size) // 2
    board = slice(margin, margin + size)
    return planes[:, :2, board, board].sum(dim=1) > 0
