"""The nineteenth set: what `doctor --train` alone says of training functions by another author."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from tests.doctor.nineteenth.common import Script
from tests.doctor.nineteenth.scripts import SCRIPTS, SOUND
from tests.doctor.test_play import random_game

SIZE = 9
CHECKED = [check for check in CHECKS if "own_training" in check.needs]


@pytest.fixture(scope="module")
def played() -> GameArchive:
    rng = np.random.default_rng(19)
    return build_archive([random_game(SIZE, rng) for _ in range(60)])


def _findings(script: Script, archive: GameArchive) -> tuple[Finding, ...]:
    foreign = ForeignNetwork(script.load(), script.encode, SIZE)
    foreign.train = script.train
    pipeline = ExaminedPipeline("own", archive=archive, foreign=foreign)
    return examine(pipeline, CHECKED).findings


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_a_sound_training_of_the_nineteenth_set_has_no_finding(
    name: str, played: GameArchive
) -> None:
    assert not _findings(SOUND[name], played)


@pytest.mark.slow
def test_the_rates_of_the_nineteenth_set(played: GameArchive) -> None:
    found = {name: _findings(script, played) for name, script in SCRIPTS.items()}
    named = [
        name
        for name, findings in found.items()
        if findings
        and re.search(
            SCRIPTS[name].named_by,
            f"{findings[0].cause} {findings[0].remedy}",
            re.IGNORECASE,
        )
    ]
    count = sum(map(bool, found.values()))
    print(f"found {count} of {len(SCRIPTS)}, named first {len(named)}: {', '.join(named)}")
    assert count >= 19
    assert len(named) >= 16
