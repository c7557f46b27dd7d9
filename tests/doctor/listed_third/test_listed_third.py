"""The doctor's first finding on each slip that was listed a third time names it."""

from __future__ import annotations

import pytest

from hexsearch.data.archive import GameArchive
from tests.doctor.listed.test_listed import require_named_first
from tests.doctor.listed_third import draws, losses, network, reports, steps, targets

MODULES = (draws, targets, network, losses, steps, reports)
QUICK = {name: slip for module in MODULES for name, slip in module.SLIPS.items()}
SLOW = {**network.SLOW, **steps.SLOW, **reports.SLOW}


@pytest.mark.parametrize("name", QUICK)
def test_the_first_finding_on_a_slip_names_it(name: str, archive: GameArchive) -> None:
    require_named_first(QUICK[name], archive)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_the_first_finding_on_a_slip_that_takes_longer_names_it(
    name: str, archive: GameArchive
) -> None:
    require_named_first(SLOW[name], archive)
