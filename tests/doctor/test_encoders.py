"""Encoders of users: arrays that are returned twice, and boards that are made alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hexsearch.doctor.checks.network.encoders import check_encoder
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.healthy_networks import ENCODERS, Encode

_SHARED = np.zeros((3, 5, 5), dtype=np.float32)


def _into_one_array(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    _SHARED[:] = ENCODERS["absolute"](stones, to_move)
    return _SHARED


def _times_player(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return np.stack([stones * to_move == 1, stones * to_move == -1]).astype(np.float32)


def _both_colours(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return np.abs(stones)[None].astype(np.float32)


def _causes(encode: Encode) -> list[str]:
    model = torch.nn.Flatten()
    pipeline = ExaminedPipeline("own", foreign=ForeignNetwork(model, encode, 5))
    return [finding.cause for finding in check_encoder(pipeline)]


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (_into_one_array, "same array"),
        (_times_player, "without being reflected"),
        (_both_colours, "both colours alike"),
    ],
)
def test_an_encoder_that_loses_the_position_is_named(encode: Encode, words: str) -> None:
    causes = _causes(encode)
    assert len(causes) == 1 and words in causes[0], causes


@pytest.mark.parametrize("view", sorted(ENCODERS))
def test_a_sound_encoder_raises_nothing(view: str) -> None:
    assert _causes(ENCODERS[view]) == []
