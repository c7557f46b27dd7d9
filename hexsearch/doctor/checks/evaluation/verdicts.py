"""Checks the verdicts of reports by figures for which the documents say which verdict applies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hexsearch.doctor.findings import Finding
from hexsearch.training.monitors import verdict as verdicts
from hexsearch.training.report import TrialReport

_SOUND: dict[str, Any] = {"answer_spread": 0.2, "prior_loss": 0.25, "progress": 0.5}


def verdict_findings(report: TrialReport) -> Iterator[Finding]:
    """Ask for the verdict on figures that are clearly on one side of each threshold.

    A step of the trunk's weights above 10%, of a head's above 50%; nine in ten units dead or values
    saturated; no gradient; from a fifth of the budget on answers that hardly differ, and from two
    fifths on a value loss that is no better than the prior's.
    """
    for wanted, told, given in _cases(report):
        found = verdicts.find_verdict(**given).name
        if found != wanted:
            yield Finding.warning(
                "figures of reports",
                f"for {told} the verdict of a report is `{found}`; by the documents it is "
                f"`{wanted}`",
                "verdicts on the health of a training are wrong: thresholds are others (shares "
                "that are compared as percent, or a comparison the wrong way round), so a broken "
                "training is called healthy, or a healthy one broken",
                "compare shares with shares: 0.1, 0.5 and 0.9, and not 10, 50 and 90",
                root="verdict",
            )
            return


def _cases(report: TrialReport) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The verdict that applies, what is wrong in words, and the figures."""
    parts = ("trunk", "value_head", "policy_head")
    gradients = replace(
        report.gradients,
        norms=dict.fromkeys(parts, 0.1),
        update_ratio=dict.fromkeys(parts, 0.01),
        looks=3,
        trunk_value_norm=0.1,
    )
    seen = {
        place: replace(each, dead=0.4, saturated=None if each.saturated is None else 0.4)
        for place, each in report.activations.items()
    }
    answers = replace(report.metrics.overall, value_loss=0.2)
    sound = {"gradients": gradients, "activations": seen, "answers": answers, **_SOUND}
    yield "healthy", "figures of a sound training", sound
    for part, ratio in (("trunk", 0.2), ("value_head", 0.8)):
        moved = replace(gradients, update_ratio={**gradients.update_ratio, part: ratio})
        told = f"a step that changes the {part.replace('_', ' ')}'s weights by {ratio:.0%}"
        yield "exploding", told, {**sound, "gradients": moved}
    if "trunk_features" in seen:
        dead = {**seen, "trunk_features": replace(seen["trunk_features"], dead=0.95)}
        yield "dead", "a trunk of which 95% is dead", {**sound, "activations": dead}
    none = replace(gradients, norms={**gradients.norms, "value_head": 0.0})
    yield "vanishing", "a value head without a gradient", {**sound, "gradients": none}
    still = replace(gradients, update_ratio=dict.fromkeys(parts, 1e-12))
    yield "not_learning", "steps that change nothing", {**sound, "gradients": still}
    constant = {**sound, "answer_spread": 0.001}
    yield "constant_output", "answers that hardly differ", {**constant, "progress": 0.3}
    yield "healthy", "the same at a tenth of the budget", {**constant, "progress": 0.1}
    weak = {**sound, "answers": replace(answers, value_loss=0.26)}
    yield "not_learning", "a value loss above the prior's", weak
