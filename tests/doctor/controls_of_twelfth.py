"""Sound set-ups beside the twelfth set of slips: no error, and at most one warning each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from tests.doctor import mistakes_twelfth as mistakes
from tests.doctor.games_files import GamesFile
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO, POOLED
from tests.doctor.slips import Slip, nothing
from tests.doctor.slips_twelfth_data import with_growing_certainty


def _there_and_back(network: Any) -> nn.Module:
    """Gates brought into the order of Keras, and back into that of torch."""
    return mistakes.with_updates_first(mistakes.with_updates_first(network))


CONTROLS: dict[str, Slip | Foreign | GamesFile] = {
    "recurrent layer with its gates in order": replace(
        ALPHAZERO, network=mistakes.Recurrent, after=_there_and_back
    ),
    "mask put into the kernels of an export": replace(
        POOLED,
        network=mistakes.HexPooled,
        after=lambda network: mistakes.as_plain_convolutions(network, masked=True),
    ),
    "weights in eight bits, clamped": replace(
        POOLED, after=lambda network: mistakes.wrapped_round(network, clamped=True)
    ),
    "value read from a class token": replace(ALPHAZERO, network=mistakes.Attending),
    "search values whose certainty grows": Slip(
        nothing,
        "",
        {"curriculum": {"name": "all", "search_value": 0.5}},
        games=with_growing_certainty,
    ),
}
