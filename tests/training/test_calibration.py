from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from hexsearch.data.batch import Batch
from hexsearch.training.calibration import calibrate_norms


def test_statistics_become_plain_averages_over_the_batches() -> None:
    norm = nn.BatchNorm2d(1)
    norm.running_mean.fill_(50.0)  # type: ignore[union-attr]
    values = [torch.full((2, 1, 1, 1), 3.0), torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1)]
    calibrate_norms(norm, cast(Any, values), cast(Any, norm))
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.running_mean.item() == (3.0 + 0.5) / 2
    assert norm.running_var.item() == (0.0 + 0.5) / 2
    assert norm.momentum == 0.1
    assert not norm.training


def test_dropout_stays_off_while_statistics_are_taken() -> None:
    network = nn.Sequential(nn.Dropout(0.9), nn.BatchNorm1d(1)).train()
    calibrate_norms(network, cast(Any, [torch.ones(8, 1)]), network)
    norm = network[1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    assert norm.running_mean.item() == 1.0


def test_a_network_without_batch_norm_computes_nothing() -> None:
    computed: list[Batch] = []
    network = nn.Linear(1, 1).train()
    calibrate_norms(network, cast(Any, [torch.ones(1, 1)]), computed.append)
    assert computed == []
    assert not network.training
