from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from hexsearch.search.pruners import asha, base, hyperband
from hexsearch.search.pruners.base import rung_levels


@pytest.mark.parametrize("module", [asha, base, hyperband])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


def test_rungs_of_powers_of_three_are_not_lost_to_rounding() -> None:
    assert rung_levels(1, 244, 3) == (1, 3, 9, 27, 81, 243)
