"""One step: micro-batches, loss scale, clipping, compiled networks."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch

from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.training.execution import Execution, resolve_execution
from hexsearch.training.trial import Trial
from tests.training.trials import make

NORM_FREE = {"preset": "tiny", "norm": "none"}
CPU = torch.device("cpu")


def weights(trial: Trial) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trial.network.parameters()])


@pytest.mark.parametrize("micro_batch", [16, 24, 63])
def test_micro_batches_make_the_step_of_the_whole_batch(dataset: Dataset, micro_batch: int) -> None:
    sgd = {"name": "sgd", "learning_rate": 0.05, "clip": 0.5}
    curriculum = {"name": "all", "stage_weights": {"early": 0.5}}
    common: dict[str, Any] = {"trunk": NORM_FREE, "optimiser": sgd, "curriculum": curriculum}
    whole, pieces = make(dataset, **common), make(dataset, **common, micro_batch=micro_batch)
    before = weights(whole)
    for trial in (whole, pieces):
        trial.train_to(256)
    moved = float((weights(whole) - before).norm())
    assert float((weights(whole) - weights(pieces)).norm()) < 1e-4 * moved
    assert whole.report().train_policy_loss == pytest.approx(pieces.report().train_policy_loss)


def test_float16_learns_what_float32_learns(dataset: Dataset) -> None:
    sgd = {"name": "sgd", "learning_rate": 0.05}
    trials = [
        make(
            dataset,
            max_positions=96,
            batch_size=32,
            trunk=NORM_FREE,
            optimiser=sgd,
            precision=precision,
        )
        for precision in ("float32", "float16")
    ]
    before = weights(trials[0])
    for trial in trials:
        trial.train_to(96)
    moved = float((weights(trials[0]) - before).norm())
    assert float((weights(trials[0]) - weights(trials[1])).norm()) < 0.1 * moved
    norms = [trial.report().gradients.norms for trial in trials]
    # In true units: unscaled before anything looks at them or clips them.
    assert norms[1]["trunk"] == pytest.approx(norms[0]["trunk"], rel=0.05)


def test_clipping_is_in_true_units_under_a_loss_scale(dataset: Dataset) -> None:
    trial = make(
        dataset, batch_size=16, trunk=NORM_FREE, optimiser={"clip": 0.01}, precision="float16"
    )
    trial.train_to(16)
    health = trial.report().gradients
    joint = sum(norm**2 for norm in health.clipped_norms.values()) ** 0.5
    assert joint == pytest.approx(0.01, rel=1e-3)
    assert health.clip_rate == 1.0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while compiling
@pytest.mark.parametrize("auxiliary", [{}, {"moves_left": 0.1, "ownership": 0.1}], ids=str)
def test_a_compiled_network_trains_as_the_plain_one(
    dataset: Dataset, auxiliary: dict[str, float]
) -> None:
    plain = make(dataset, auxiliary=auxiliary)
    compiled = make(dataset, auxiliary=auxiliary, compile="always")
    before = weights(plain)
    for trial in (plain, compiled):
        trial.train_to(192)
    moved = float((weights(plain) - before).norm())
    assert float((weights(plain) - weights(compiled)).norm()) < 0.05 * moved
    assert list(plain.state()["network"]) == list(compiled.state()["network"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, while compiling
def test_the_compiled_network_computes_full_batches(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_, called = torch.compile, []

    def traced(network: torch.nn.Module, **options: object) -> torch.nn.Module:
        called.append(options)
        compiled: torch.nn.Module = compile_(network, backend="eager")  # type: ignore[assignment]
        return compiled

    monkeypatch.setattr(torch, "compile", traced)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    plain, compiled = make(dataset), make(dataset, compile="always")
    for trial in (plain, compiled):
        trial.train_to(192)
    assert called and torch.allclose(weights(plain), weights(compiled), atol=1e-6)


def test_a_checkpoint_carries_how_it_was_computed(dataset: Dataset) -> None:
    begun = make(dataset)
    begun.train_to(64)
    state = begun.state()
    state["execution"] = {
        "precision": "bfloat16",
        "memory_format": "contiguous",
        "compiled": False,
    }
    resumed = make(dataset)
    resumed.load_state(state)
    assert resumed.execution == Execution("bfloat16", "contiguous", False)
    resumed.train_to(128)  # the optimiser moves the weights in their new place
    assert not torch.equal(weights(resumed), weights(begun))


def test_a_checkpoint_of_an_older_version_is_refused_with_what_it_lacks(dataset: Dataset) -> None:
    state = make(dataset).state()
    del state["execution"]
    with pytest.raises(CheckpointError, match="lacks execution: it was written by hexsearch"):
        make(dataset).load_state(state)


def test_named_choices_are_kept_and_auto_is_looked_up() -> None:
    named = TrialConfig(precision="bfloat16", memory_format="contiguous", compile="never")
    assert resolve_execution(named, CPU) == Execution("bfloat16", "contiguous", False)
    looked_up = resolve_execution(TrialConfig(), CPU)
    assert looked_up == resolve_execution(TrialConfig(), CPU)
    assert looked_up.memory_format == "channels_last"


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler"):
        resolve_execution(TrialConfig(compile="always"), CPU)
