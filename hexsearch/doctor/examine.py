"""The doctor's round: every check that applies, quick ones first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from hexsearch.doctor import (
    answers,
    encoding,
    flow,
    games,
    readouts,
    records,
    sampling,
    short_training,
    steps,
)
from hexsearch.doctor.findings import Check, Diagnosis, Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline

# Seconds each: those that need no training come first.
QUICK = (
    Check("read-out", ("readouts",), readouts.check_contract),
    Check("label smoothing", ("readouts",), readouts.check_smoothing),
    Check("value heads", ("configs",), readouts.check_heads),
    Check("weights", ("loaded",), records.check_weights),
    Check("edges", ("imported",), games.check_edges),
    Check("labels", ("imported",), games.check_labels),
    Check("duplicates", ("archive",), games.check_duplicates),
    Check("split", ("dataset",), games.check_split),
    Check("boards", ("batches",), encoding.check_boards),
    Check("finished boards", ("batches",), encoding.check_finished),
    Check("label leaks", ("batches",), sampling.check_leaks),
    Check("batches", ("batches",), sampling.check_density),
    Check("perspective", ("batches", "network"), readouts.check_reported),
    Check("parameter groups", ("network",), steps.check_groups),
    Check("gradient flow", ("network",), flow.check_flow),
    Check("policy mask", ("network",), flow.check_policy_mask),
    Check("steps", ("network",), steps.check_steps),
)
ANSWERS = (
    Check("known positions", ("examined",), answers.check_known),
    Check("decode", ("examined", "observed"), answers.check_decode),
    Check("constant output", ("examined", "observed"), answers.check_spread),
    Check("modes", ("examined", "observed"), answers.check_companions),
    Check("reads the mover", ("examined", "observed"), answers.check_mover_reading),
    Check("policy cells", ("foreign", "observed"), answers.check_policy_cells),
    Check("calibration", ("examined", "observed"), answers.check_calibration),
    Check("memory", ("loaded", "observed"), answers.check_memory),
    Check("early stage", ("loaded", "observed"), answers.check_early),
    Check("record", ("loaded", "examined", "dataset"), records.check_record),
    Check("parity", ("loaded", "restored"), records.check_parity),
    Check("batch norm", ("loaded", "restored"), records.check_norms),
)
LESSONS = (
    Check("overfit", ("network",), short_training.check_overfit),
    Check("lesson", ("network",), short_training.check_lesson),
    Check("permuted labels", ("network",), short_training.check_permutation),
)
_MISSING = {
    "archive": "no games that can be read",
    "imported": "no games given",
    "dataset": "no games that can be split",
    "batches": "no games to train on",
    "network": "no games, or a network that cannot be built",
    "readouts": "no configuration given",
    "configs": "no configuration given",
    "loaded": "no checkpoint given",
    "restored": "not the games that it was trained on",
    "examined": "no trained network that can answer",
    "observed": "no games that can be read",
    "foreign": "no model of your own given",
}
# Findings that say nothing new once another check has found the root of it.
_FOLLOWS_FROM = {
    "known positions": {"decode", "reads the mover"},
    "calibration": {"decode"},
    "parity": {"boards", "finished boards"},
}
_ORDER = {"error": 0, "warning": 1, "info": 2}


def examine(
    pipeline: ExaminedPipeline,
    checks: Sequence[Check] | None = None,
    say: Callable[[str], None] = lambda name: None,
) -> Diagnosis:
    """Run the checks whose needs are met; of the same fault only the first finding is kept.

    Args:
        checks: all by default; lessons are left out for a trained network, which has had its own.
        say: told the name of each check before it runs.
    """
    if checks is None:
        checks = (*QUICK, *ANSWERS, *(() if pipeline.examined else LESSONS))
    done: list[str] = []
    left_out: dict[str, str] = {}
    with torch.random.fork_rng(devices=[]):
        findings = _unreadable(pipeline)
    seconds: dict[str, float] = {}
    for check in checks:
        absent = [need for need in check.needs if not _has(pipeline, need)]
        if absent:
            left_out[check.name] = _MISSING[absent[0]]
            continue
        say(check.name)
        started = time.perf_counter()
        # Checks draw from torch's generator; the caller's own stays where it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            findings += check.look(pipeline)
        seconds[check.name] = round(time.perf_counter() - started, 3)
        done.append(check.name)
    roots = {finding.check for finding in findings if finding.severity == "error"}
    kept = {
        (f.check, f.cause): f
        for f in reversed(findings)
        if not roots & _FOLLOWS_FROM.get(f.check, set())
    }
    ordered = sorted(reversed(kept.values()), key=lambda finding: _ORDER[finding.severity])
    return Diagnosis(pipeline.label, tuple(done), left_out, tuple(ordered), seconds)


def _has(pipeline: ExaminedPipeline, need: str) -> bool:
    if need == "network":
        buildable = pipeline.dataset is not None and pipeline.component_problem == ""
        return buildable and bool(pipeline.configs)
    value = getattr(pipeline, need)
    return value is not None and (not hasattr(value, "__len__") or len(value) > 0)


def _unreadable(pipeline: ExaminedPipeline) -> list[Finding]:
    """What keeps whole groups of checks from being run."""
    found = []
    problem = pipeline.component_problem
    if pipeline.games_problem:
        found.append(
            Finding(
                "games",
                "error",
                pipeline.games_problem,
                "the games cannot be used as they are",
                "see the findings on labels and edges, or `games audit`",
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
            )
        )
    return found
