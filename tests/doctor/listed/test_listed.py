"""The doctor's first finding on each listed slip names it."""

from __future__ import annotations

import pytest

from hexsearch.data.archive import GameArchive
from tests.doctor.listed import (
    auxiliary,
    draws,
    labels,
    losses,
    network,
    planes,
    reports,
    states,
    steps,
)
from tests.doctor.slips import Slip
from tests.doctor.test_yardstick import findings_on

MODULES = (planes, labels, draws, losses, auxiliary, steps, network, reports, states)
QUICK = {name: slip for module in MODULES for name, slip in module.SLIPS.items()}
SLOW = {**reports.SLOW, **states.SLOW}


def require_named_first(slip: Slip, archive: GameArchive) -> None:
    found = findings_on(slip, archive)
    assert found and slip.is_named_in(found[0].cause), found


@pytest.mark.parametrize("name", QUICK)
def test_a_listed_slip_is_the_first_finding_by_its_name(name: str, archive: GameArchive) -> None:
    require_named_first(QUICK[name], archive)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_a_listed_slip_that_takes_longer_is_named_first(name: str, archive: GameArchive) -> None:
    require_named_first(SLOW[name], archive)
