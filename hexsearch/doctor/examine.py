"""Run the checks that apply, and keep one finding for each fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from hexsearch.doctor.findings import Check, Diagnosis, Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from hexsearch.errors import ContractError, HexsearchError
from hexsearch.model.plugins import plugin_code

_MISSING = {
    "archive": "no games that can be read",
    "imported": "no games given",
    "dataset": "no games that can be split",
    "shown": "no games to train on",
    "watched": "no games, or a network that cannot be built",
    "finite": "the numbers of its training are not finite",
    "readouts": "no configuration given",
    "configs": "no configuration given",
    "loaded": "no checkpoint given",
    "foreign": "no network of a user's own given",
    "restored": "not the games that it was trained on",
    "examined": "no trained network that can answer",
    "observed": "no games that can be read",
}
_ORDER = {"error": 0, "warning": 1, "info": 2}


def examine(
    pipeline: ExaminedPipeline,
    checks: Sequence[Check] | None = None,
    say: Callable[[str], None] = lambda name: None,
) -> Diagnosis:
    """Run the checks whose needs are met; of one fault only one finding is kept.

    Args:
        checks: all by default; those that train are left out for a trained network.
        say: told the name of each check before it runs.
    """
    if checks is None:
        trained = pipeline.loaded is not None or pipeline.foreign is not None
        checks = [check for check in CHECKS if not (trained and check.kind == "training")]
    done: list[str] = []
    left_out: dict[str, str] = {}
    seconds: dict[str, float] = {}
    found: list[tuple[Check | None, Finding]] = [(None, each) for each in _unusable(pipeline)]
    for check in checks:
        if check.symptom and any(f.severity == "error" and not _of_symptom(c) for c, f in found):
            left_out[check.name] = "an error was found that it would only show again"
            continue
        started = time.perf_counter()
        # Checks draw from torch's generator; the caller's own stays where it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            try:
                with plugin_code(f"check '{check.name}':"):
                    absent = [need for need in check.needs if not _has(pipeline, need)]
                    if not absent:
                        say(check.name)
                        found += [(check, each) for each in check.look(pipeline)]
            except HexsearchError as error:
                absent = []
                found.append((check, _failed(check, error)))
        if absent:
            left_out[check.name] = _why_left_out(pipeline, absent[0])
            continue
        seconds[check.name] = round(time.perf_counter() - started, 3)
        done.append(check.name)
    findings = sorted(_merged(found), key=lambda finding: _ORDER[finding.severity])
    return Diagnosis(pipeline.label, tuple(done), left_out, tuple(findings), seconds)


def _merged(found: list[tuple[Check | None, Finding]]) -> list[Finding]:
    """One finding for each root; of the same cause only the first.

    A symptom of an error that another check has named is left out.
    """
    isolated = any(f.severity == "error" and not _of_symptom(c) for c, f in found)
    kept: dict[tuple[str, ...], Finding] = {}
    for check, finding in found:
        if isolated and _of_symptom(check) and finding.severity != "info":
            continue
        key = (finding.root,) if finding.root else (finding.check, finding.cause)
        first = kept.get(key)
        if first is None:
            kept[key] = finding
        elif _ORDER[finding.severity] < _ORDER[first.severity] or (
            finding.severity == first.severity and _of_answers(check)
        ):
            kept[key] = finding
    return list(kept.values())


def _of_answers(check: Check | None) -> bool:
    """What a trained network itself shows says more than what its training would do."""
    return check is not None and check.kind == "answers" and not check.symptom


def _of_symptom(check: Check | None) -> bool:
    return check is not None and check.symptom


def _has(pipeline: ExaminedPipeline, need: str) -> bool:
    if need in ("watched", "finite", "shown") and pipeline.component_problem:
        return False
    value = getattr(pipeline, need)
    return value is not None and (not hasattr(value, "__len__") or len(value) > 0)


def _why_left_out(pipeline: ExaminedPipeline, need: str) -> str:
    if need == "readouts" and pipeline.foreign is not None:
        return "the model has no loss(raw, target); with one, and win_prob_red, they are compared"
    return _MISSING[need]


def _failed(check: Check, error: HexsearchError) -> Finding:
    """The code under examination raised where a sound one answers."""
    if isinstance(error, ContractError) and error.__cause__ is None:
        return Finding(
            check.name,
            "error",
            f"check '{check.name}' could not be done",
            " ".join(str(error).split()),
            "let it return what is expected; until then nothing that depends on it can be examined",
            root="raises",
        )
    kind = type(error.__cause__).__name__ if error.__cause__ else "an error"
    return Finding(
        check.name,
        "error",
        " ".join(str(error).split()),
        f"the code that is examined raises {kind} where check '{check.name}' runs it",
        "mend the lines named; until then nothing that depends on them can be examined",
        root="raises",
    )


def _unusable(pipeline: ExaminedPipeline) -> list[Finding]:
    """What keeps whole groups of checks from being run."""
    found = []
    try:
        problem = pipeline.component_problem
    except ContractError as error:
        problem = str(error)
    if pipeline.games_problem:
        found.append(
            Finding(
                "games",
                "error",
                pipeline.games_problem,
                "the games cannot be used as they are",
                "see the findings on labels and edges, or `games audit PATH`",
            )
        )
    if problem:
        found.append(
            Finding(
                "components",
                "error",
                problem,
                "a plug-in does not keep its contract",
                "mend the plug-in; nothing can be trained before",
                root="raises",
            )
        )
    return found
