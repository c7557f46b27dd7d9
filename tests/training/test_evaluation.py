"""Answers do not depend on how many batches are built together."""

from __future__ import annotations

import numpy as np
import pytest

from hexsearch.data.dataset import Dataset
from hexsearch.training import evaluation
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
