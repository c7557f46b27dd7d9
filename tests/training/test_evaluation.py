"""Answers do not depend on how many batches are built together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hexsearch.data.dataset import Dataset
from hexsearch.training import evaluation
from hexsearch.training.trial import Trial
from tests.training.trials import make


@pytest.mark.parametrize("built", [96, 128, 10_000])
@pytest.mark.parametrize("perspective", ["mover", "absolute"])
def test_planes_that_are_built_together_give_the_same_bits(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, built: int, perspective: str
) -> None:
    trial = make(dataset, encoder={"perspective": perspective})
    trial.train_to(128)
    monkeypatch.setattr(evaluation, "_BATCH", {"cpu": 32})
    monkeypatch.setattr(evaluation, "_BUILT", {"cpu": 32})
    alone, policy_loss = trial.evaluate()
    monkeypatch.setattr(evaluation, "_BUILT", {"cpu": built})
    together, same = trial.evaluate()
    assert policy_loss == same
    for name in ("win_prob_red", "red_won", "stage", "to_end", "final", "game", "ply"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))


TAUGHT = {"moves_left": 0.1, "ownership": 0.1, "future_stones": {"weight": 0.1}}


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Operations whose result the host must know, for which it waits on a GPU."""

    ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []
        copy = torch.Tensor.cpu

        def counted(tensor: torch.Tensor) -> torch.Tensor:
            self.found.append("cpu")
            return copy(tensor)

        monkeypatch.setattr(torch.Tensor, "cpu", counted)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = function.overloadpacket.__name__
        by_mask = name in ("index", "index_put", "index_put_") and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        if by_mask or name.removeprefix("_unique") != name or name in self.ASKING:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def as_on_a_gpu(trial: Trial) -> Trial:
    """Its batches are built by the code of a GPU."""
    builder = replace(trial.stream.builder, backend="torch")
    trial.stream = replace(trial.stream, builder=builder)
    trial.evaluator = replace(trial.evaluator, stream=trial.stream)
    return trial


@pytest.mark.parametrize("settings", [{}, {"auxiliary": TAUGHT}])
def test_a_step_asks_for_nothing_and_an_evaluation_once_for_everything(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    searched: dict[str, Any] = {"curriculum": {"name": "all", "search_value": 0.5}}
    values = np.full(len(dataset.archive.moves), 60, np.uint8)
    known = Dataset(replace(dataset.archive, search_values=values), dataset.config)
    trial = as_on_a_gpu(make(known, max_positions=10_000, **searched, **settings))
    trial.train_to(64)  # the monitors look at the first step
    trial.network.train()
    with Waits(monkeypatch) as waits:
        for _ in range(3):
            trial.train_on(trial.next_batch())
        assert waits.found == []
        monkeypatch.setattr(evaluation, "_BATCH", {"cpu": 32})
        monkeypatch.setattr(evaluation, "_BUILT", {"cpu": 64})
        trial.evaluate()
        assert waits.found == ["cpu"]


def test_columns_that_are_copied_together_keep_their_values() -> None:
    rng = np.random.default_rng(0)
    columns = [
        torch.from_numpy(rng.random(7, np.float32)),
        torch.tensor([True, False]),
        torch.tensor([2**31 + 1, -1, 2**52 + 1]),
        torch.from_numpy(rng.integers(0, 3, 5).astype(np.int8)),
    ]
    for column, read in zip(columns, evaluation.on_host(columns), strict=True):
        np.testing.assert_array_equal(read.astype(column.numpy().dtype), column.numpy())


def test_figures_that_are_computed_with_the_answers_are_those_of_the_answers(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make(dataset)
    later, _ = trial.evaluate()
    monkeypatch.setattr(evaluation, "_REDUCED_THERE", {"cpu"})
    at_once, _ = trial.evaluate()
    assert later.reduced is None and at_once.reduced is not None
    assert at_once.metrics().to_json() == later.metrics().to_json()
    one, other = at_once.game_losses(), later.game_losses()
    for name in ("games", "sums", "counts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    changed = replace(at_once, win_prob_red=np.full_like(at_once.win_prob_red, 0.5))
    assert changed.metrics().overall.value_loss == 0.25


def test_computing_figures_there_waits_no_more_often_with_more_batches(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "_REDUCED_THERE", {"cpu"})
    trial = as_on_a_gpu(make(dataset))
    asked = []
    with Waits(monkeypatch) as waits:
        for size in (32, 128):
            monkeypatch.setattr(evaluation, "_BATCH", {"cpu": size})
            monkeypatch.setattr(evaluation, "_BUILT", {"cpu": size})
            trial.evaluate()
            asked.append([*waits.found])
            waits.found.clear()
    assert asked[0] == asked[1]
    assert asked[0].count("cpu") == 1
    assert len(asked[0]) < 20  # distinct games and answers, and steps of the calibration slope
