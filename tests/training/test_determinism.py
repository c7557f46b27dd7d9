"""The same seed gives the same bits, also after an interruption at any point and a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsearch.data.dataset import Dataset
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from tests.training.trials import assert_same_state, make, without_times

MAX_POSITIONS = 320
CURRICULA: list[Any] = [
    "all",
    {"name": "last_k", "k": 6},
    {"name": "all", "stage_weights": {"early": 0.5}},
]
AUXILIARY: list[Any] = [
    {},
    {"moves_left": 0.1, "ownership": 0.1, "winning_chain": 0.1, "future_stones": {"weight": 0.1}},
]
CONFIGURATIONS = st.fixed_dictionaries(
    {
        "optimiser": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["adamw", "sgd", "muon"]),
                "schedule": st.sampled_from(["one_cycle", "cosine", "constant"]),
                "ema_half_life": st.sampled_from([0, 100]),
                "value_lr_factor": st.sampled_from([1.0, 0.3]),
            }
        ),
        "curriculum": st.sampled_from(CURRICULA),
        "micro_batch": st.sampled_from([0, 24]),
        "auxiliary": st.sampled_from(AUXILIARY),
        "precision": st.sampled_from(["float32", "bfloat16"]),
        "memory_format": st.sampled_from(["contiguous", "channels_last"]),
        "value_head": st.sampled_from(
            ["512->1", {"family": "mlp", "widths": [16], "dropout": 0.3}]
        ),
    }
)


def content_of(trial: Any, folder: Path, name: str) -> bytes:
    """The bytes of its checkpoint, times left out."""
    state = {key: value for key, value in trial.state().items() if key != "train_seconds"}
    save_checkpoint(folder / name, {"state": state})
    return (folder / name).read_bytes()


@settings(
    max_examples=10,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(configuration=CONFIGURATIONS, stop=st.integers(1, MAX_POSITIONS // 32 - 1))
def test_interrupted_at_any_step_and_resumed_equals_never_stopped(
    dataset: Dataset, tmp_path: Path, configuration: dict[str, Any], stop: int
) -> None:
    straight, first, second = (
        make(dataset, max_positions=MAX_POSITIONS, batch_size=32, **configuration) for _ in range(3)
    )
    for trial in (straight, first):
        trial.train_to(32 * stop)
    straight.train_to(MAX_POSITIONS)
    save_checkpoint(tmp_path / "c.pt", {"state": first.state()})
    torch.rand(3)  # the caller's own randomness must not matter
    second.load_state(load_checkpoint(tmp_path / "c.pt")["state"])
    second.train_to(MAX_POSITIONS)
    second._train_seconds = straight._train_seconds
    assert_same_state(straight, second)


@settings(max_examples=4, derandomize=True)
@given(configuration=CONFIGURATIONS)
def test_the_same_seed_gives_the_same_file(
    dataset: Dataset, tmp_path_factory: pytest.TempPathFactory, configuration: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("twice")
    one, other = (
        make(dataset, max_positions=MAX_POSITIONS, batch_size=32, **configuration) for _ in range(2)
    )
    for trial in (one, other):
        trial.train_to(MAX_POSITIONS)
    assert without_times(one) == without_times(other)
    assert content_of(one, folder, "a.pt") == content_of(other, folder, "b.pt")


def test_float16_with_its_loss_scale_is_resumed_bit_for_bit(dataset: Dataset) -> None:
    straight, first, second = (
        make(dataset, max_positions=64, batch_size=8, precision="float16") for _ in range(3)
    )
    straight.train_to(64)
    first.train_to(24)
    second.load_state(first.state())
    second.train_to(64)
    assert straight.state()["scaler"] == second.state()["scaler"]
    second._train_seconds = straight._train_seconds
    assert_same_state(straight, second)
