"""Unusual but sound pipelines beside the sets of slips, and sound scripts, raise no error."""

from __future__ import annotations

import pytest

from hexsearch.data.archive import GameArchive
from tests.doctor.scripts import sound_script
from tests.doctor.sets_of_slips import CONTROLS
from tests.doctor.test_yardstick import findings_of, findings_on_script


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_of_the_slips_raises_no_error(name: str, archive: GameArchive) -> None:
    found = findings_of(CONTROLS[name], archive)
    assert all(finding.severity != "error" for finding in found), found
    assert len(found) <= 1, found


@pytest.mark.slow
@pytest.mark.parametrize("view", ["absolute", "mover", "signed"])
def test_a_script_without_a_slip_raises_no_error(view: str, archive: GameArchive) -> None:
    found = findings_on_script(sound_script(view), archive)
    assert all(finding.severity != "error" for finding in found), found
    assert len(found) <= 1, found
