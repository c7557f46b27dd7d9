"""A recorded training batch gives the same answers in inference."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hexsearch.analysis.loading import load_network
from hexsearch.analysis.parity import Capture, capture_next_batch, compare
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.dataset import Dataset
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model.readout import TanhMse
from hexsearch.training.trial import Trial
from tests.doctor.conftest import BUDGET, SIZE, tiny
from tests.doctor.plugins import RawMseShownBySigmoid


@pytest.fixture(scope="module")
def trial(trained: Trial, dataset: Dataset) -> Trial:
    """The trained network again, with half of its budget left."""
    copy = Trial.of(trained.config, dataset, BUDGET, seed=1)
    copy.load_state(deepcopy(trained.state()))
    return copy


@pytest.fixture(scope="module")
def capture(trial: Trial) -> Capture:
    return capture_next_batch(trial)


@pytest.fixture
def predictor(checkpoint: Path) -> Predictor:
    return load_network(checkpoint).predictor


@pytest.mark.parametrize("perspective", ["absolute", "mover"])
def test_a_sound_pipeline_has_parity(perspective: str, dataset: Dataset) -> None:
    trial = Trial.of(tiny(encoder={"perspective": perspective}), dataset, 64 * 60, seed=2)
    trial.train_to(64 * 30)
    trial.report()
    predictor = Predictor(trial.network, trial.readout, trial.encoder, trial.device)
    parity = compare(capture_next_batch(trial), predictor)
    assert parity.holds, parity
    assert parity.inputs == 0.0
    assert parity.raw_train < 1e-5
    assert parity.raw_eval > parity.raw_train  # batch norm looks at more than this batch
    assert parity.probability < 1e-6 and parity.loss < 1e-6


def test_catching_a_batch_leaves_training_as_it_was(dataset: Dataset) -> None:
    plain, watched = (Trial.of(tiny(), dataset, 64 * 6, seed=4) for _ in range(2))
    plain.train_to(64 * 4)
    watched.train_to(64 * 2)
    caught = capture_next_batch(watched)
    assert watched.positions_seen == caught.positions_seen == 64 * 2
    watched.train_to(64 * 4)
    for ours, theirs in zip(
        plain.network.state_dict().values(), watched.network.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert len(caught.raw) == len(caught.target) == len(caught.losses) == 64


def test_other_weights_are_explained_as_stale_or_never_averaged(
    capture: Capture, predictor: Predictor, dataset: Dataset
) -> None:
    fresh = Trial.of(tiny(encoder={"perspective": "absolute"}), dataset, BUDGET, seed=1).network
    parity = compare(capture, replace(predictor, network=fresh))
    assert parity.explanation.startswith("weights")
    assert "EMA" in parity.explanation and "stale" in parity.explanation


def test_halved_precision_is_explained_as_precision(capture: Capture, predictor: Predictor) -> None:
    rounded = deepcopy(predictor.network)
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.to(torch.float16))
    parity = compare(capture, replace(predictor, network=rounded))
    assert parity.explanation.startswith("precision")


def test_wrong_statistics_are_explained_as_batch_norm(
    capture: Capture, predictor: Predictor
) -> None:
    spoilt = deepcopy(predictor.network)
    generator = torch.Generator().manual_seed(0)
    for name, buffer in spoilt.named_buffers():
        if name.endswith("running_mean"):
            buffer.add_(2.0 * torch.randn(buffer.shape, generator=generator))
    parity = compare(capture, replace(predictor, network=spoilt))
    assert parity.explanation.startswith("batch-norm statistics")
    assert parity.raw_train < 1e-4 < parity.raw_eval


def test_another_decode_is_explained_as_the_read_out(
    capture: Capture, predictor: Predictor
) -> None:
    assert compare(capture, replace(predictor, readout=TanhMse())).explanation.startswith(
        "read-out"
    )
    # The same sigmoid, but another loss: only the loss can tell.
    parity = compare(capture, replace(predictor, readout=RawMseShownBySigmoid()))
    assert parity.probability < 1e-6
    assert parity.explanation.startswith("loss")


def test_another_side_to_move_is_explained_as_the_encoder(
    capture: Capture, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = PositionEncoder.encode

    def flipped(self: Any, cells: Any, plies: Any, symmetries: Any, finished: Any) -> Any:
        planes = sound(self, cells, plies, symmetries, finished)
        planes[:, 2] = 1.0 - planes[:, 2]
        return planes

    monkeypatch.setattr(PositionEncoder, "encode", flipped)
    parity = compare(capture, predictor)
    assert parity.inputs > 0.5
    assert parity.explanation.startswith("encoder")
    assert capture.planes.shape[1:] == (3, SIZE, SIZE)
