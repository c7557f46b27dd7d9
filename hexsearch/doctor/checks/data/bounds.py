"""Checks whether training draws from all games, or from those below or above some number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.truth import Ints
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_BY_CHANCE = 1e-6  # probability of the same in sound draws
_NARROW = 4  # spread of a bound that random draws leave, in mean distances of the games drawn


def bound_findings(pipeline: ExaminedPipeline, game: Ints) -> Iterator[Finding]:
    """Report positions that all come from one end of the training games.

    Args:
        game: [B] games that were drawn.
    """
    stream = needed(pipeline.stream)
    games, counts = [], []
    phase = stream.positions.phase_at(0)
    for positions in phase.sets:
        games.append(np.asarray(positions.games))
        counts.append(np.asarray(positions.counts, dtype=np.float64))
    wanted, mass = np.concatenate(games), np.concatenate(counts)
    for side, missed in (("first", wanted > game.max()), ("last", wanted < game.min())):
        share = float(mass[missed].sum() / mass.sum())
        if len(game) * np.log1p(-min(share, 1 - 1e-9)) > np.log(_BY_CHANCE):
            continue
        end = _rounded(game, side)
        bits = int(end).bit_length() - 1
        power = side == "first" and end == 2**bits and bits >= 4
        below = f"below {end}" if side == "first" else f"from {end} on"
        yield Finding.error(
            "batches",
            f"{len(game):,} training positions come from games {game.min()} to {game.max()}, and "
            f"none from the {int(missed.sum()):,} training games beyond, which hold {share:.0%} of "
            "the training positions",
            f"training draws from the {side} games only: those whose number is {below}"
            + (
                f" = 2**{bits}, as of a number that is kept in {bits} bits (an overflow, a modulo)"
                if power
                else " (a slice, a buffer of fixed size, or a number that overflows)"
            ),
            "draw from all games of the training split; look at the types of indices and at slices "
            "of the list of games",
            root="bound",
        )
        return


def _rounded(game: Ints, side: str) -> int:
    """The bound that the games drawn imply; a round number if one is within their gaps."""
    drawn = np.unique(game)
    gap = max(int(_NARROW * np.ptp(drawn) / max(len(drawn), 1)), 1)
    if side == "last":
        return int(drawn[0])
    low, high = int(drawn[-1]) + 1, int(drawn[-1]) + 1 + gap
    power = 1 << (high.bit_length() - 1)
    return power if low <= power else low
