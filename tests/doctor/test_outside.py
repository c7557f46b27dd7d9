"""The scripts and plug-ins of the ninth set run, and their versions without a slip learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hexsearch.data.archive import GameArchive
from tests.doctor.conftest import SIZE
from tests.doctor.outside import Foreign, encoded, samples_of
from tests.doctor.outside_networks import SOUND

_LEAST_AUC = 0.7


def auc_of(script: Foreign, archive: GameArchive) -> float:
    """How often a position that Red wins has the higher answer, in games that were not trained."""
    network, encode = script.trained(archive, SIZE)
    samples = samples_of(archive, SIZE, first=1)
    with torch.no_grad():
        raw = network(encoded(samples, encode))[1]
        decode = network.win_prob_red
        p = decode(raw, samples.to_move) if "mover" in decode.__name__ else decode(raw)
    won = samples.won.numpy() > 0
    order = np.argsort(p.numpy(), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    above = ranks[won].sum() - won.sum() * (won.sum() + 1) / 2
    return float(above / (won.sum() * (~won).sum()))


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_a_script_without_a_slip_learns(name: str, archive: GameArchive) -> None:
    auc = auc_of(SOUND[name], archive)
    print(f"{name}: AUC {auc:.3f}")
    assert auc > _LEAST_AUC
