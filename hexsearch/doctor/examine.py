"""Runs the checks that apply, and keeps one finding for each fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from hexsearch.doctor.findings import Check, Diagnosis, Finding
from hexsearch.doctor.own_training.where.located import with_lines
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.doctor.refuted import without_refuted
from hexsearch.doctor.registry import CHECKS
from hexsearch.doctor.roots import ORDER, merged, of_symptom
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
_AFTER_AN_ERROR = {
    True: "it would show an error again that was found already",
    False: "it takes long, and an error was found before it",
}
_BROKEN = "code that it needs has raised an error, which is reported"


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
        if check.symptom or check.later:
            if any(f.severity == "error" and not of_symptom(c) for c, f in found):
                left_out[check.name] = _AFTER_AN_ERROR[check.symptom]
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
    if "training planes" in done:
        with plugin_code("--train:"):
            found = without_refuted(found, pipeline.own_training, done)
    found = with_lines(found, pipeline)
    kept = sorted(merged(found), key=lambda pair: ORDER[pair[1].severity])
    names = [check.name if check else finding.check for check, finding in kept]
    findings = with_first_stage([finding for _, finding in kept], names, done)
    return Diagnosis(pipeline.label, tuple(done), left_out, tuple(findings), seconds)


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
