"""Runs the checks that apply, and keeps one finding for each fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from hexsearch.doctor.findings import Check, Diagnosis, Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from hexsearch.doctor.stages import with_first_stage
from hexsearch.errors import ContractError, HexsearchError
from hexsearch.model.plugins import plugin_code

_MISSING = {
    "archive": "no games that can be read",
    "imported": "no games given",
    "dataset": "no games that can be split",
    "samples": "no games, or a network that cannot be built",
    "watched": "no games, or a network that cannot be built",
    "finite": "numbers of its first training steps are not finite",
    "readouts": "no configuration given",
    "configs": "no configuration given",
    "loaded": "no checkpoint given",
    "foreign": "no network of a user's own given",
    "own_training": "no training function given (--train)",
    "restored": "not the games that it was trained on, or weights that are not finite",
    "examined": "no trained network that can answer",
    "observed": "no games that can be read",
}
_BROKEN = "code that it needs has raised an error, which is reported"
_ORDER = {"error": 0, "warning": 1, "info": 2}
# Roots that follow from another one: the earliest part that departs explains the later ones.
_LAST = "continued"  # whatever is wrong before may also make a restored trial go on differently
_CALLS = ("modes", "repeated")  # answers that depend on more than their position
_FOLLOWS = {
    "unread": ("repeated",),
    "detached value": ("unread", "movement", "slopes"),
    "detached policy": ("unread", "movement", "slopes"),
    "slopes": ("unread",),
    "encoder": ("reading",),
    "read-out": ("reading",),
    "reads the mover": _CALLS,
    "norms": ("reads the mover",),
    "shown later": ("reads the mover", "reading", "policy cells", "positions", "norms"),
    "equal units": ("weights", "levels", "reading", "norms", "reads the mover"),
    "cut": ("computation", "reading"),
    "planes": ("reading", "policy cells", "unbounded", "stages", "reads the mover", "norms"),
    "squashed": ("reading", "policy cells"),
    "alike": ("play",),
    "rate": ("movement", "schedule"),
    "decay": ("unread", "features", "detached value", "reading"),
    "begun": ("reading", "norms", "positions", "policy cells"),
    "dead": ("untrained", "unread", "reading", "norms", "reads the mover", "computation"),
    "batch": ("reads the mover", "reading", *_CALLS),
    "computation": ("norms", "reads the mover", "reading", *_CALLS),
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
    "policy targets": ("policy cells",),
    "random encoder": (*_CALLS, "reading", "policy cells"),
    "setting": ("strength",),
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
    ),
    "parameter groups": ("movement", "state", "planes"),
    "positions": ("reads the mover", "reading"),
    "unbounded": (*_CALLS, "reading", "policy cells"),
    "untrained": ("reading", "norms", "reads the mover"),
    "blank planes": ("norms",),
    "train mode": ("slopes", *_CALLS, "state", "perspective"),
}


def examine(
    pipeline: ExaminedPipeline,
    checks: Sequence[Check] | None = None,
    say: Callable[[str], None] = lambda name: None,
) -> Diagnosis:
    """Run the checks whose needs are met, and keep one finding for each fault.

    An error of the code that is examined becomes a finding. torch's global generator is left as it
    was.

    Args:
        checks: by default all of them; for a trained network all that do not train.
        say: called with the name of each check before it runs.
    """
    if checks is None:
        trained = pipeline.loaded is not None or pipeline.foreign is not None
        checks = [check for check in CHECKS if not (trained and check.kind == "training")]
    done: list[str] = []
    left_out: dict[str, str] = {}
    broken: set[str] = set()
    seconds: dict[str, float] = {}
    found: list[tuple[Check | None, Finding]] = [(None, each) for each in _unusable(pipeline)]
    for check in checks:
        if check.symptom and any(f.severity == "error" and not _of_symptom(c) for c, f in found):
            left_out[check.name] = "it would show an error again that was found already"
            continue
        started = time.perf_counter()
        # Checks may draw from torch's generator. The state of the caller's is kept.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            try:
                with plugin_code(f"check '{check.name}':"):
                    absent = _absent(pipeline, check.needs, broken)
                    if not absent:
                        say(check.name)
                        found += [(check, each) for each in check.look(pipeline)]
            except HexsearchError as error:
                absent = []
                found.append((check, _failed(check, error)))
        if absent:
            left_out[check.name] = (
                _BROKEN if absent[0] in broken else _why_left_out(pipeline, absent[0])
            )
            continue
        seconds[check.name] = round(time.perf_counter() - started, 3)
        done.append(check.name)
    found += [(None, each) for each in _unusable_games(pipeline)]
    kept = sorted(_merged(found), key=lambda pair: _ORDER[pair[1].severity])
    names = [check.name if check else finding.check for check, finding in kept]
    findings = with_first_stage([finding for _, finding in kept], names, done)
    return Diagnosis(pipeline.label, tuple(done), left_out, tuple(findings), seconds)


def _merged(found: list[tuple[Check | None, Finding]]) -> list[tuple[Check | None, Finding]]:
    """One finding for each root, or for each pair of check and cause where there is no root.

    The most severe one is kept. Of equally severe ones it is the last that examines a trained
    network's answers, or else the first. Symptoms of an error that another check has named are
    left out.
    """
    isolated = any(f.severity == "error" and not _of_symptom(c) for c, f in found)
    kept: dict[tuple[str, ...], tuple[Check | None, Finding]] = {}
    for check, finding in found:
        if isolated and _of_symptom(check) and finding.severity != "info":
            continue
        key = (finding.root,) if finding.root else (finding.check, finding.cause)
        if key not in kept:
            kept[key] = check, finding
            continue
        first = kept[key][1]
        if _ORDER[finding.severity] < _ORDER[first.severity] or (
            finding.severity == first.severity and _of_answers(check)
        ):
            kept[key] = check, finding
    worst: dict[str, int] = {}
    for _, finding in kept.values():
        if finding.severity != "info":
            for following in _FOLLOWS.get(finding.root, ()):
                worst[following] = min(worst.get(following, 3), _ORDER[finding.severity])
    if any(f.severity != "info" and f.root != _LAST for _, f in kept.values()):
        worst[_LAST] = 0
    return [pair for pair in kept.values() if _ORDER[pair[1].severity] < worst.get(pair[1].root, 3)]


def _of_answers(check: Check | None) -> bool:
    """A trained network's own answers are better evidence than a new training of the same kind."""
    return check is not None and check.kind == "answers" and not check.symptom


def _of_symptom(check: Check | None) -> bool:
    return check is not None and check.symptom


def _has(pipeline: ExaminedPipeline, need: str) -> bool:
    if need in ("watched", "finite", "samples") and pipeline.component_problem:
        return False
    value = getattr(pipeline, need)
    return value is not None and (not hasattr(value, "__len__") or len(value) > 0)


def _absent(pipeline: ExaminedPipeline, needs: Sequence[str], broken: set[str]) -> list[str]:
    """Needs that are not met; those whose code has raised an error are not asked again."""
    absent = []
    for need in needs:
        try:
            if need in broken or not _has(pipeline, need):
                absent.append(need)
        except HexsearchError:
            broken.add(need)
            raise
    return absent


def _why_left_out(pipeline: ExaminedPipeline, need: str) -> str:
    if need == "readouts" and pipeline.foreign is not None:
        return "the model does not have both loss(raw, target) and win_prob_red"
    if need == "finite" and not _has(pipeline, "watched"):
        need = "watched"
    return _MISSING[need]


def _failed(check: Check, error: HexsearchError) -> Finding:
    """The finding for code that raises an error while it is examined."""
    if isinstance(error, ContractError) and error.__cause__ is None:
        return Finding.error(
            check.name,
            f"check '{check.name}' could not be done",
            " ".join(str(error).split()),
            "let it return what is expected, then run doctor again: what depends on it cannot be "
            "examined before",
            root="raises",
        )
    kind = type(error.__cause__).__name__ if error.__cause__ else "an error"
    return Finding.error(
        check.name,
        " ".join(str(error).split()),
        f"the code that is examined raises {kind} when check '{check.name}' runs it",
        "correct the lines that the evidence names, then run doctor again: what depends on them "
        "cannot be examined before",
        root="raises",
    )


def _unusable_games(pipeline: ExaminedPipeline) -> list[Finding]:
    """The finding for games that no check can use; a check that knows the reason comes before."""
    if not pipeline.games_problem:
        return []
    return [
        Finding.error(
            "games",
            pipeline.games_problem,
            "the games cannot be used as they are",
            "see the findings `labels` and `edges`; `hexsearch games audit PATH` lists the "
            "refused games and says why"
            if pipeline.archive is None
            else "add games, or change data.split so that each part has some",
            root="refused" if pipeline.archive is None else "",
        )
    ]


def _unusable(pipeline: ExaminedPipeline) -> list[Finding]:
    """The findings for components that no check can use."""
    found = []
    try:
        problem = pipeline.component_problem
    except ContractError as error:
        problem = str(error)
    if problem:
        found.append(
            Finding.error(
                "components",
                problem,
                "a plug-in does not keep its contract",
                "correct the plug-in; nothing can be trained before",
                root="raises",
            )
        )
    return found
