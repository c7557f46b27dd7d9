"""Slips of the twenty-eighth and twenty-ninth set that are named since they were looked at."""

from __future__ import annotations

import pytest

from hexsearch.data.archive import GameArchive
from tests.doctor.sets_of_slips import TWENTY_EIGHTH, TWENTY_NINTH
from tests.doctor.slips import Slip
from tests.doctor.test_yardstick import findings_on

NAMED = {
    "policy taught any later move": "later moves of the side to move in the same game",
    "unknown search values are 0": "without a value of the search count as 0%",
    "smoothing of the stage before": "gets the share of the stage before it",
    "slices of the read-ahead overlap": "batches overlap",
    "stones left over in a recycled buffer": "used again without being cleared",
    "split by place in a sorted archive": "sorted by length and cut by their place",
    "cross-entropy of clipped probabilities": "sigmoid(raw) cut off to 0.1..0.9",
    "Muon on the heads too": "Muon steps its matrices, too",
    "average in bfloat16": "kept in bfloat16",
    "other view not turned back": "without turning it back",
    "policy smoothing over occupied cells": "0.1 of each is spread over all cells",
    "resigned games of Blue dropped": "those that Blue won are missing",
    "hash of the opening alone": "does not cover the whole game",
    "kernels from one seed": "layers of one shape begin with the same weights",
}
_FAST = ("policy taught any later move", "Muon on the heads too", "kernels from one seed")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in _FAST else [pytest.mark.slow]) for n in NAMED]
)
def test_it_is_the_first_finding(name: str, archive: GameArchive) -> None:
    slip = {**TWENTY_EIGHTH, **TWENTY_NINTH}[name]
    assert isinstance(slip, Slip)
    found = findings_on(slip, archive)
    assert found and NAMED[name] in found[0].cause, found
