from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.analysis.loading import load_network
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.model.network import Network, build_network
from hexsearch.training.checkpoint import save_checkpoint
from hexsearch.training.optimisation.average import AveragedNetwork
from tests.training.trials import make


def network() -> Network:
    return build_network(TrialConfig.model_validate({"trunk": "tiny"}), 2, 5, seed=0)


def weights(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_a_weights_share_halves_after_the_half_life() -> None:
    net = network()
    average = AveragedNetwork(net, half_life=100)
    before = weights(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    for seen in range(100_010, 100_110, 10):
        average.update(10, seen)
    torch.testing.assert_close(weights(average.network), before + 0.5, rtol=0, atol=1e-4)


def test_the_batch_size_does_not_matter() -> None:
    net = network()
    fine, coarse = AveragedNetwork(net, 500), AveragedNetwork(net, 500)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2.0)
    for seen in range(10_001, 10_065):
        fine.update(1, seen)
    coarse.update(64, 10_064)
    torch.testing.assert_close(weights(fine.network), weights(coarse.network), rtol=1e-4, atol=1e-5)


def test_an_early_average_has_left_the_initial_weights_behind() -> None:
    net = network()
    average = AveragedNetwork(net, half_life=1_000_000)
    initial = weights(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1.0)
    for step in range(1, 11):
        average.update(64, 64 * step)
    gone = (weights(average.network) - initial).mean()
    assert gone > 0.999


def test_training_is_the_same_with_and_without_an_average(dataset: Dataset) -> None:
    plain, averaged = make(dataset), make(dataset, optimiser={"ema_half_life": 100})
    for trial in (plain, averaged):
        trial.train_to(256)
    assert torch.equal(weights(plain.network), weights(averaged.network))
    assert not torch.equal(weights(averaged.network), weights(averaged.answering))
    assert plain.answering is plain.network


def test_reports_are_of_the_average_with_statistics_of_its_own(dataset: Dataset) -> None:
    trial = make(dataset, optimiser={"ema_half_life": 200})
    trial.train_to(256)
    own = {n: b.clone() for n, b in trial.network.named_buffers() if "running" in n}
    report = trial.report()
    assert trial.evaluate()[0].metrics().overall.value_loss == report.value_loss
    for name, buffer in trial.network.named_buffers():
        if "running" in name:
            assert torch.equal(buffer, own[name])
            assert not torch.equal(buffer, trial.answering.get_buffer(name))


@pytest.mark.parametrize("optimiser", [{}, {"ema_half_life": 200}], ids=["last", "averaged"])
def test_a_loaded_checkpoint_answers_with_the_weights_that_were_evaluated(
    dataset: Dataset, tmp_path: Path, optimiser: dict[str, Any]
) -> None:
    trial = make(dataset, optimiser=optimiser)
    trial.train_to(256)
    trial.report()
    save_checkpoint(tmp_path / "c.pt", {"state": trial.state()})
    loaded = load_network(tmp_path / "c.pt")
    planes = trial.next_batch().planes
    with torch.no_grad():
        expected = trial.answering.eval()(planes).value_raw
    torch.testing.assert_close(loaded.predictor.forward(planes).value_raw, expected)
    assert torch.equal(weights(loaded.trained.network), weights(trial.network))
