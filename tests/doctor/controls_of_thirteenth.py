"""Sound set-ups beside the thirteenth set of slips: no error, and at most one warning each."""

from __future__ import annotations

from dataclasses import replace

from tests.doctor import mistakes_thirteenth as mistakes
from tests.doctor import networks_of_thirteenth as networks
from tests.doctor.outside import Foreign
from tests.doctor.outside_networks import ALPHAZERO
from tests.doctor.slips_thirteenth_scripts import BINNED

CONTROLS: dict[str, Foreign] = {
    "rotary positions by halves with sorted rows": replace(
        ALPHAZERO,
        network=networks.Rotary,
        after=lambda network: mistakes.turned_by_halves(network, sorted_rows=True),
    ),
    "norms folded with a margin of their own": replace(
        ALPHAZERO,
        network=networks.NormFirst,
        after=lambda network: mistakes.folded_forwards(network, exact=True),
    ),
    "soft targets as wide as a bin": replace(BINNED, loss=mistakes.in_narrow_bins),
}
