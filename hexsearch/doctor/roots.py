"""Keeps one finding for each fault: those that follow from another one are left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hexsearch.doctor.findings import Check, Finding

ORDER = {"error": 0, "warning": 1, "info": 2}
# Roots that follow from another one: the earliest part that departs explains the later ones.
_LAST = "continued"  # whatever is wrong before may also make a restored trial go on differently
_CALLS = ("modes", "repeated")  # answers that depend on more than their position
# What is wrong for certain: where answers are wrong, a warning of it is the error.
_CERTAIN = ("zeros",)
_AT_INFERENCE = (*_CALLS, "batch", "encoder", "random encoder", "raises", "state", "read-out")
_FOLLOWS = {
    "unread": ("repeated", "weights", "strength", "reading", "norms", "untrained", "begun"),
    "unloaded": (
        *("untrained", "weights", "computation", "norms", "reading", "reads the mover", "unread"),
        *("wrapping", "policy cells", "levels", "dead", "strength", "equal units", *_CALLS),
    ),
    "detached value": ("unread", "movement", "slopes", "configured"),
    "detached policy": ("unread", "movement", "slopes", "configured"),
    "slopes": ("unread",),
    "modes": ("configured", "state", "wrapping"),
    "repeated": ("configured", "wrapping"),
    "features": ("configured",),
    "configured": ("movement", "slopes", "unread"),
    "encoder": ("reading",),
    "read-out": ("reading",),
    "reads the mover": _CALLS,
    "norms": ("reads the mover", "configured"),
    "initial statistics": (
        *("computation", "norms", "reads the mover", "reading", "policy cells", *_CALLS),
    ),
    "shown later": ("reads the mover", "reading", "policy cells", "positions", "norms"),
    "equal units": (
        *("weights", "levels", "reading", "norms", "reads the mover", "configured", *_CALLS),
    ),
    "cut": ("computation", "reading"),
    "zeros": ("computation", "planes", "reading", "policy cells", "norms", "strength"),
    "planes": (
        "reading",
        "policy cells",
        "policy targets",
        "unbounded",
        "stages",
        "reads the mover",
        "norms",
    ),
    "squashed": ("reading", "policy cells"),
    "alike": ("play",),
    "rate": ("movement", "schedule"),
    "steps rate": ("untrained", "reading", "norms", "policy cells", "weights", "dead", "unread"),
    "decay": ("unread", "features", "detached value", "reading"),
    "begun": ("reading", "norms", "positions", "policy cells"),
    "dead": ("untrained", "unread", "reading", "norms", "reads the mover", "computation"),
    "batch": ("reads the mover", "reading", "wrapping", *_CALLS),
    "computation": ("norms", "reads the mover", "reading", "positions"),
    "wrapping": ("norms", "reads the mover", "reading", "positions"),
    "weights": (
        "dead",
        "levels",
        "computation",
        "norms",
        "reads the mover",
        "reading",
        *_CALLS,
        "policy cells",
    ),
    "training value": ("reading", "reads the mover", "norms", "positions"),
    "no chance": ("reading",),
    "policy targets": ("policy cells",),
    "random encoder": (*_CALLS, "reading", "policy cells"),
    "kept": ("perspective",),
    "setting": ("strength", "configured"),
    "memory": ("reading",),
    "monitors": ("clipping",),
    "loss weights": ("clipping",),
    "recorded": ("contradiction",),
    "split": ("trained on others", "evaluated on others"),
    "shuffled": ("policy mask", "policy targets"),
    "structure": (
        "reading",
        *_CALLS,
        "norms",
        "state",
        "unread",
        "perspective",
        "slopes",
        "parameter groups",
        "configured",
    ),
    "parameter groups": ("movement", "state", "planes"),
    "positions": ("reads the mover", "reading"),
    "unbounded": (*_CALLS, "reading", "policy cells"),
    "untrained": ("reading", "norms", "reads the mover"),
    "frozen": ("untrained", "unread", "reading", "norms", "policy cells"),
    "blank planes": ("norms",),
    "plane scales": ("reading", "norms", "unread"),
    "steps half": ("unread",),
    "train mode": ("slopes", *_CALLS, "state", "perspective", "configured"),
}


def merged(found: list[tuple[Check | None, Finding]]) -> list[tuple[Check | None, Finding]]:
    """One finding for each root, or for each pair of check and cause where there is no root.

    The most severe one is kept. Of equally severe ones it is the last that examines a trained
    network's answers, or else the first. Symptoms of an error that another check has named are
    left out.
    """
    isolated = any(f.severity == "error" and not of_symptom(c) for c, f in found)
    kept: dict[tuple[str, ...], tuple[Check | None, Finding]] = {}
    for check, finding in found:
        if isolated and of_symptom(check) and finding.severity != "info":
            continue
        key = (finding.root,) if finding.root else (finding.check, finding.cause)
        if key not in kept:
            kept[key] = check, finding
            continue
        before, first = kept[key]
        better = _of_answers(check) and (_of_training(check) or not _of_training(before))
        if ORDER[finding.severity] < ORDER[first.severity] or (
            finding.severity == first.severity and better
        ):
            kept[key] = check, finding
    pairs = _causes_first(list(kept.values()))
    worst = _following(f for _, f in pairs)
    of_training = _following(f for c, f in pairs if _of_training(c))
    if any(f.severity != "info" and f.root != _LAST for _, f in pairs):
        worst[_LAST] = 0
    return [
        (check, finding)
        for check, finding in pairs
        if ORDER[finding.severity]
        < (of_training if _of_training(check) else worst).get(finding.root, 3)
    ]


def _following(findings: Iterable[Finding]) -> dict[str, int]:
    """Severity of the worst finding that each root follows from."""
    worst: dict[str, int] = {}
    for finding in findings:
        if finding.severity != "info":
            for following in _FOLLOWS.get(finding.root, ()):
                worst[following] = min(worst.get(following, 3), ORDER[finding.severity])
    return worst


def _causes_first(
    pairs: list[tuple[Check | None, Finding]],
) -> list[tuple[Check | None, Finding]]:
    """Findings of a training that was watched explain those of the answers.

    A warning of it that an error of the answers follows from is the error, as is one of what is
    wrong for certain. Beside an error of it,
    what the answers suggest is left out, apart from how inference calls the network.
    """
    errors = {f.root for c, f in pairs if f.severity == "error" and not _of_training(c)}
    raised = [
        (c, replace(f, severity="error"))
        if (_of_training(c) or f.root in _CERTAIN)
        and f.severity == "warning"
        and errors & set(_FOLLOWS.get(f.root, ()))
        else (c, f)
        for c, f in pairs
    ]
    if not any(_of_training(c) and f.severity == "error" for c, f in raised):
        return raised
    return [
        (c, f)
        for c, f in raised
        if _of_training(c) or not _of_answers(c) or not f.root or f.root in _AT_INFERENCE
    ]


def _of_training(check: Check | None) -> bool:
    return check is not None and "own_training" in check.needs


def _of_answers(check: Check | None) -> bool:
    """A trained network's own answers are better evidence than a new training of the same kind."""
    return check is not None and check.kind == "answers" and not check.symptom


def of_symptom(check: Check | None) -> bool:
    return check is not None and check.symptom
