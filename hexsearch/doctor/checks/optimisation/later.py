"""Runs the checks of single steps again in the middle of a short training.

At first all losses are alike, all steps are short, and nothing has been reported. So a fault that
depends on the size of a loss, on the number of steps or on trained weights shows only later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy

from hexsearch.doctor.checks.data.cursors import cursor_findings
from hexsearch.doctor.checks.evaluation.evaluation import check_evaluation
from hexsearch.doctor.checks.evaluation.state import check_state
from hexsearch.doctor.checks.optimisation.finite import check_finite
from hexsearch.doctor.checks.optimisation.gradients import check_given
from hexsearch.doctor.checks.optimisation.outside import outside_findings
from hexsearch.doctor.checks.optimisation.schedule import schedule_findings
from hexsearch.doctor.checks.optimisation.updates import update_findings
from hexsearch.doctor.checks.training.losses import check_policy_loss, check_value_loss
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.finite import is_finite
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.errors import TrialError

Look = Callable[[ExaminedPipeline], Iterator[Finding]]


def check_later(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report what is wrong in the middle of a short training, and was right in its first steps."""
    try:
        trial = needed(pipeline.halfway)
    except TrialError:
        return  # check `short training` reports a training that diverges
    later = copy(pipeline)
    later.watched = trial
    looks: tuple[Look, ...] = (_cursors, check_value_loss, check_policy_loss, check_given, _steps)
    looks = (*looks, check_evaluation, check_state) if is_finite(trial) else (check_finite,)
    later.finite = trial
    for look in looks:
        found = list(look(later))
        known = {finding.check for finding in look(pipeline)} if found else set()
        new = [finding for finding in found if finding.check not in known]
        if new:
            first = new[0]
            yield Finding(
                "later steps",
                first.severity,
                f"after {trial.positions_seen:,} positions of training, {first.evidence}; in the "
                "first steps this was right",
                f"{first.cause} (only later in training, so it depends on losses, weights or the "
                "number of steps)",
                first.remedy,
                first.root,
            )
            return


def _cursors(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    yield from cursor_findings(needed(pipeline.watched))


def _steps(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    trial = needed(pipeline.watched)
    stepped = [step for step in trial.steps if step.after]
    found = [*schedule_findings(trial, stepped), *outside_findings(trial, stepped)]
    yield from found or update_findings(trial, stepped)
