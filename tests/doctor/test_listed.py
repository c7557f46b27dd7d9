"""The doctor's first finding on each slip of the three lists names it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from hexsearch.data.archive import GameArchive
from tests.doctor import listed, listed_again, listed_third
from tests.doctor.conftest import every_tenth
from tests.doctor.slips import Slip
from tests.doctor.test_yardstick import findings_on


def of_all(attribute: str) -> dict[str, Slip]:
    """The slips that the modules of all lists hold under a name, by list, module and slip."""
    found: dict[str, Slip] = {}
    for package in (listed, listed_again, listed_third):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            slips = vars(import_module(module.name)).get(attribute, {})
            place = module.name.removeprefix("tests.doctor.")
            found |= {f"{place}: {name}": slip for name, slip in slips.items()}
    return found


QUICK, SLOW = of_all("SLIPS"), of_all("SLOW")


@pytest.mark.parametrize("name", every_tenth(QUICK))
def test_the_first_finding_on_a_slip_names_it(name: str, archive: GameArchive) -> None:
    found = findings_on(QUICK[name], archive)
    assert found and QUICK[name].is_named_in(found[0].cause), found


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_the_first_finding_on_a_slip_that_takes_longer_names_it(
    name: str, archive: GameArchive
) -> None:
    found = findings_on(SLOW[name], archive)
    assert found and SLOW[name].is_named_in(found[0].cause), found
