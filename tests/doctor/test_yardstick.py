"""Slips that were written down before the hypotheses were read: how many are found and named.

A seed put half of them aside. The other half was looked at while the checks were mended; the rates
of the half put aside are what the documents claim. The simplest rival is run beside it: a short
training whose loss must fall and whose answers must beat chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive
from hexsearch.data.dataset import Dataset
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import QUICK, TRAINING
from hexsearch.errors import HexsearchError
from hexsearch.training.trial import Trial
from tests.doctor import slips_of_data, slips_of_training
from tests.doctor.conftest import SIZE, pipeline, tiny
from tests.doctor.slips import Slip, held_out, in_value_loss
from tests.doctor.slips_of_scripts import SCRIPTS, Script, sound_script, trained_by

SLIPS: dict[str, Slip] = {**slips_of_data.SLIPS, **slips_of_training.SLIPS}
HELD_OUT_SLIPS = held_out(sorted(SLIPS), seed=1126)
HELD_OUT_SCRIPTS = held_out(sorted(SCRIPTS), seed=1127)
_RIVAL_POSITIONS = 64 * 120


def findings_on(slip: Slip, archive: GameArchive) -> list[Finding]:
    """Errors and warnings; the training checks only where the quick ones are silent."""
    config, games = tiny(**slip.settings), slip.games(archive)
    with pytest.MonkeyPatch.context() as patch:
        slip.inject(patch)
        found = _told(examine(pipeline(games, config), QUICK).findings)
        return found or _told(examine(pipeline(games, config), TRAINING).findings)


def findings_on_script(script: Script, archive: GameArchive) -> list[Finding]:
    """Errors and warnings on the network that a script gives."""
    network = trained_by(script, archive, SIZE)
    return _told(examine(_foreign(network, archive)).findings)


def rival_finds(slip: Slip, archive: GameArchive) -> bool:
    """Whether a short training fails, its loss does not fall, or its AUC is near 0.5."""
    config, data = tiny(**slip.settings), DataConfig(board_size=SIZE)
    with pytest.MonkeyPatch.context() as patch:
        slip.inject(patch)
        try:
            trial = Trial.of(config, Dataset(slip.games(archive), data), _RIVAL_POSITIONS, seed=1)
            trial.train_to(1024)
            begun = trial.report()
            trial.train_to(_RIVAL_POSITIONS)
            ended = trial.report()
        except HexsearchError:
            return True
        return ended.train_value_loss >= begun.train_value_loss or _near_chance(
            ended.metrics.overall.auc
        )


def rival_finds_script(script: Script, archive: GameArchive) -> bool:
    """Whether the network's AUC is near 0.5, or its Brier score above 0.25."""
    observed = _foreign(trained_by(script, archive, SIZE), archive).observed
    assert observed is not None
    overall = observed.evaluation.metrics().overall
    return _near_chance(overall.auc) or overall.value_loss > 0.25


def _near_chance(auc: float | None) -> bool:
    return auc is None or not auc > 0.6


def _foreign(network: ForeignNetwork, archive: GameArchive) -> ExaminedPipeline:
    data = DataConfig(board_size=SIZE)
    return ExaminedPipeline("script", archive=archive, data=data, foreign=network)


def _told(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity != "info"]


LOOKED_AT = [name for name in sorted(SLIPS) if name not in HELD_OUT_SLIPS]
QUICKLY_NAMED = [
    "answers of an evaluation in another order",
    "colours exchanged in evaluation only",
    "labels cast to int after smoothing",
    "learning rate in the wrong unit",
    "positions sorted by winner",
    "relu at the end of the value head",
    "softmax at the end of the policy head",
    "step before backward",
    "value loss averaged by game",
]


@pytest.mark.parametrize("name", QUICKLY_NAMED)
def test_a_slip_is_the_first_finding_by_its_name(name: str, archive: GameArchive) -> None:
    assert name in LOOKED_AT
    found = findings_on(SLIPS[name], archive)
    assert found and SLIPS[name].is_named_in(found[0].cause), found


def test_numbers_that_are_not_finite_are_one_finding(archive: GameArchive) -> None:
    broken = Slip(in_value_loss(lambda value, batch: value * float("nan")), "loss is not finite")
    found = findings_on(broken, archive)
    assert len(found) == 1, found
    assert broken.is_named_in(found[0].cause)


@pytest.mark.slow
def test_most_slips_that_were_put_aside_are_found_and_named(archive: GameArchive) -> None:
    found = named = rival = 0
    for name in HELD_OUT_SLIPS:
        findings = findings_on(SLIPS[name], archive)
        found += bool(findings)
        named += any(SLIPS[name].is_named_in(finding.cause) for finding in findings)
        rival += rival_finds(SLIPS[name], archive)
    print(f"{len(HELD_OUT_SLIPS)} slips: {found} found, {named} named; the rival finds {rival}")
    assert found >= 0.9 * len(HELD_OUT_SLIPS)
    assert named >= 0.7 * len(HELD_OUT_SLIPS)
    assert found > rival


@pytest.mark.slow
def test_most_scripts_that_were_put_aside_are_found_and_named(archive: GameArchive) -> None:
    found = named = rival = 0
    for name in HELD_OUT_SCRIPTS:
        findings = findings_on_script(SCRIPTS[name], archive)
        found += bool(findings)
        named += any(SCRIPTS[name].is_named_in(finding.cause) for finding in findings)
        rival += rival_finds_script(SCRIPTS[name], archive)
    print(f"{len(HELD_OUT_SCRIPTS)} scripts: {found} found, {named} named; the rival {rival}")
    assert found >= 0.9 * len(HELD_OUT_SCRIPTS)
    assert named >= 0.6 * len(HELD_OUT_SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("view", ["absolute", "mover", "signed"])
def test_a_script_without_a_slip_raises_no_error(view: str, archive: GameArchive) -> None:
    found = findings_on_script(sound_script(view), archive)
    assert all(finding.severity != "error" for finding in found), found
    assert len(found) <= 1, found
