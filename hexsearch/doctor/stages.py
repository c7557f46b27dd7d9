"""The stages of the path from games to reports, in order, and the first one that departs.

Each stage is computed again without the code that is examined. So where the first difference lies
tells which code to look at, also for a fault that no check can name.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from hexsearch.doctor.findings import Finding

STAGES: dict[str, tuple[str, ...]] = {
    "games": ("edges", "labels", "results", "duplicates", "split"),
    "positions drawn": ("batches", "stream"),
    "planes": ("boards", "finished boards"),
    "labels": ("training labels",),
    "moves": ("policy target",),
    "weights and other columns": ("columns", "auxiliary targets"),
    "losses": ("value loss", "policy loss"),
    "gradients": ("gradient flow", "gradients", "slopes"),
    "steps": ("parameter groups", "steps"),
    "evaluation": ("evaluation",),
    "saved state": ("saved state",),
}


def stage_of(check: str) -> str:
    """The stage that a check computes again; empty if it is none of them."""
    return next((stage for stage, checks in STAGES.items() if check in checks), "")


def with_first_stage(
    findings: Sequence[Finding], checks: Sequence[str], done: Collection[str]
) -> list[Finding]:
    """The same findings; the first error also says which stages before it agree.

    Args:
        findings: errors first.
        checks: the check that each finding is of.
        done: names of the checks that were done.
    """
    if not findings or findings[0].severity != "error" or not stage_of(checks[0]):
        return list(findings)
    departing = {stage_of(check) for check in checks}
    first = stage_of(checks[0])
    before = list(STAGES)[: list(STAGES).index(first)]
    agreeing = [
        stage
        for stage in before
        if stage not in departing and any(c in done for c in STAGES[stage])
    ]
    if not agreeing:
        return list(findings)
    text = f"{findings[0].evidence}; the stages before ({', '.join(agreeing)}) agree"
    return [replace(findings[0], evidence=text), *findings[1:]]
