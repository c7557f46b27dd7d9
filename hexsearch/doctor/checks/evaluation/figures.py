"""Checks the figures of a report: training losses are recomputed from the steps before it.

Two reports are made, so that sums that are never begun anew, or that hold one batch only, differ
from means over the steps between two reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from hexsearch.doctor.checks.evaluation.chosen import with_few_games
from hexsearch.doctor.checks.evaluation.health import health_findings
from hexsearch.doctor.checks.evaluation.left_alone import (
    begun_anew,
    changed_by_report,
    not_left_alone,
    numbers_of,
)
from hexsearch.doctor.checks.evaluation.norms import norm_findings
from hexsearch.doctor.checks.evaluation.report_parts import noted_progress, part_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import TrialError
from hexsearch.training.report import TrialReport

_STEPS = (3, 2)  # steps before the first report, and between the first and the second
_GAMES = 4  # validation games that the reports are about
_CLOSE = 2e-4  # accepted relative difference
_FACTORS = {1 / np.log(2.0): "1 / log 2 (bits in place of nats)"}
Rows = Sequence[WatchedStep]


def check_figures(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Train a few steps twice, report after each, and compare the figures of both reports."""
    trial = pipeline.watched_again
    if trial is None:
        return
    trial.dataset = with_few_games(trial.dataset, _GAMES)
    reports, told, changed = list[TrialReport](), list[float](), dict[str, bool]()
    try:
        for count in _STEPS:
            trial.watch(count)
            state = numbers_of(trial)
            uncalibrated = deepcopy(trial.answering.state_dict())
            with noted_progress(told):
                reports.append(trial.report())
            changed |= changed_by_report(state, numbers_of(trial))
    except TrialError:
        return  # other checks report a training that diverges
    if trial.problem or len(trial.steps) != sum(_STEPS):
        return
    if changed:
        yield not_left_alone(trial, changed)
        return
    yield from begun_anew(trial, _STEPS[0])
    yield from _seen(trial, reports)
    before, after = trial.steps[0].eval_modules, trial.steps[_STEPS[0]].eval_modules
    if after and not before:
        yield Finding.error(
            "figures of reports",
            f"in the first step after a report modules such as {', '.join(after[:3])} are in eval "
            "mode; before the report no module was",
            "training runs in eval mode after the first report: dropout is off, and batch norm "
            "uses its running statistics",
            "call train() on the network after each report",
            root="train mode",
        )
    for name, reported, of in (
        ("value", [r.train_value_loss for r in reports], _value),
        ("policy", [r.train_policy_loss for r in reports], _policy),
    ):
        if name == "policy" and trial.config.policy_head.weight == 0:
            continue
        yield from _losses(trial, name, reported, of)
    normed = list(norm_findings(trial, uncalibrated))
    yield from normed or _evaluated(trial, reports[-1], uncalibrated)
    yield from list(health_findings(trial, reports[0])) or part_findings(trial, reports[-1], told)
    yield from _repeated(trial, reports)  # it may train on


def _value(step: WatchedStep) -> float:
    return float(step.value.mean())


def _policy(step: WatchedStep) -> float:
    return step.policy


def _seen(trial: WatchedTrial, reports: Sequence[TrialReport]) -> Iterator[Finding]:
    size = trial.config.batch_size
    wanted = [int(size * each) for each in np.cumsum(_STEPS)]
    found = [report.positions_seen for report in reports]
    if found != wanted:
        yield _finding(
            f"after {wanted} positions reports say {found}",
            "the number of positions seen in a report is not that of the steps before it, so "
            "curves over positions are shifted or stretched",
        )


def _losses(
    trial: WatchedTrial, name: str, reported: Sequence[float], of: Callable[[WatchedStep], float]
) -> Iterator[Finding]:
    first, steps = _STEPS[0], trial.steps
    parts = [steps[:first], steps[first:]]
    right = [float(np.mean([of(step) for step in part])) for part in parts]
    if _equal(reported, right):
        return
    cause = next(
        (words for words, made in _candidates(trial, parts, of, name) if _equal(reported, made)),
        "",
    )
    if not cause:
        ratios = [a / b for a, b in zip(reported, right, strict=True) if abs(b) > 1e-9]
        if len(ratios) == len(right) and abs(ratios[0] - ratios[1]) < _CLOSE * abs(ratios[0]):
            words = next((w for f, w in _FACTORS.items() if abs(f / ratios[0] - 1) < 1e-3), "")
            size = trial.config.batch_size
            close = abs(ratios[0] * size - 1) < 1e-3 or abs(ratios[0] / size - 1) < 1e-3
            words = words or (f"{ratios[0]:.4g}" + (f" (a batch holds {size})" if close else ""))
            pieces = size / (trial.config.micro_batch or size)
            if pieces > 1 and abs(ratios[0] * pieces - 1) < 1e-3:
                words += f" (each of the {pieces:g} micro-batches of a step is counted as a step)"
            cause = f"the mean over the steps times {words}"
    told = ", ".join(f"{a:.4f} for {b:.4f}" for a, b in zip(reported, right, strict=True))
    yield _finding(
        f"after {first} steps and {_STEPS[1]} more the reports give a training loss of the {name} "
        f"of {told}, by the losses of the steps",
        f"the reported training loss of the {name} is not the mean over the steps since the last "
        "report"
        + (f": it is {cause}" if cause else "")
        + "; training itself is not affected, and curves of training and validation cannot be "
        "compared",
    )


def _candidates(
    trial: WatchedTrial,
    parts: Sequence[Rows],
    of: Callable[[WatchedStep], float],
    name: str,
) -> Iterator[tuple[str, list[float]]]:
    first, both = parts[0], [*parts[0], *parts[1]]
    other, other_name = (_policy, "policy") if name == "value" else (_value, "value")
    weight = trial.config.value_weight if name == "value" else trial.config.policy_head.weight

    def means(of_step: Callable[[WatchedStep], float]) -> list[float]:
        return [float(np.mean([of_step(step) for step in part])) for part in parts]

    yield "that of the last batch alone", [of(part[-1]) for part in parts]
    yield "that of the first batch alone", [of(part[0]) for part in parts]
    yield (
        "the mean over all steps since the beginning (sums are never begun anew)",
        [float(np.mean([of(s) for s in rows])) for rows in (first, both)],
    )
    yield (
        "the sum since the beginning by the steps since the last report",
        [sum(map(of, rows)) / len(p) for rows, p in zip((first, both), parts, strict=True)],
    )
    yield (
        "the sum over all steps since the beginning (never divided, and never begun anew)",
        [sum(map(of, rows)) for rows in (first, both)],
    )
    yield "the sum over the steps, not their mean", [sum(map(of, part)) for part in parts]
    yield "the median over the steps", [float(np.median([of(s) for s in part])) for part in parts]
    yield "the smallest of the steps", [min(map(of, part)) for part in parts]
    yield f"that of the {other_name}", means(other)
    yield (
        "the sum of the losses of value and policy",
        means(lambda step: _value(step) + _policy(step)),
    )
    total = trial.config.value_weight, trial.config.policy_head.weight
    yield (
        "the weighted sum of all losses",
        means(lambda step: total[0] * _value(step) + total[1] * _policy(step)),
    )
    yield "multiplied by its weight", [weight * each for each in means(of)]
    yield (
        "weighted by the weights of the positions",
        means(lambda step: float((step.value * step.batch.weight).mean()))
        if name == "value"
        else means(of),
    )


def _evaluated(
    trial: WatchedTrial, report: TrialReport, uncalibrated: dict[str, Any]
) -> Iterator[Finding]:
    """Compare the validation figures of a report with those of the same evaluation.

    Args:
        uncalibrated: the network that answers, as it was before the report.
    """
    evaluation, policy_loss = trial.evaluate()
    own = evaluation.metrics().overall
    found = report.metrics.overall
    pairs = {
        "value loss": (found.value_loss, own.value_loss),
        "accuracy": (found.accuracy, own.accuracy),
        "policy loss": (report.policy_loss, policy_loss),
    }
    wrong = {n: p for n, p in pairs.items() if not _equal([p[0]], [p[1]]) and None not in p}
    if wrong:
        told = ", ".join(f"{name} {a:.4f} for {b:.4f}" for name, (a, b) in wrong.items())
        yield _finding(
            f"a report gives {told}, by the evaluation of the same games",
            "a report evaluates before the statistics of batch norms are computed again "
            "(calibrated), so its figures are those of the lagging statistics of training"
            if _is_of(trial, report, uncalibrated)
            else f"validation figures of a report ({', '.join(wrong)}) are not those of the "
            "evaluation: they are changed between evaluation and report",
        )


def _is_of(trial: WatchedTrial, report: TrialReport, weights: dict[str, Any]) -> bool:
    """Whether a report's figures are those of these weights and statistics."""
    kept = deepcopy(trial.answering.state_dict())
    trial.answering.load_state_dict(weights)
    try:
        evaluation, policy_loss = trial.evaluate()
    finally:
        trial.answering.load_state_dict(kept)
    found = [report.metrics.overall.value_loss, report.policy_loss]
    return _equal(found, [evaluation.metrics().overall.value_loss, policy_loss])


def _repeated(trial: WatchedTrial, reports: Sequence[TrialReport]) -> Iterator[Finding]:
    """Report validation figures that do not change although the weights that are judged do."""
    first, last = (report.metrics.overall for report in reports)
    if (first.log_loss, first.value_loss) != (last.log_loss, last.value_loss):
        return
    if all(map(torch.equal, trial.answering.parameters(), trial.initial_answering)):
        return  # check `movement` reports weights that do not move
    answers = trial.evaluate()[0].win_prob_red
    if np.ptp(answers) < 1e-3 or np.abs(answers - 0.5).min() > 0.5 - 1e-6:
        return  # answers that are all alike, or 0 and 1, may well stay as they are
    own, is_late = trial.evaluate()[0].metrics().overall.log_loss, False
    try:
        trial.watch(1)
        third = trial.report().metrics.overall.log_loss
        is_late = _equal([third], [own]) and not _equal([own], [last.log_loss])
    except TrialError:
        pass
    yield Finding.error(
        "figures of reports",
        f"two reports, with {_STEPS[1]} steps between them that moved the weights, give the same "
        f"value loss {last.value_loss:.7f} and log loss {last.log_loss:.7f} to the last digit"
        + ("; a third one gives what an evaluation gave at the second" * is_late),
        "each report has the validation figures of the report before: they are one report late"
        if is_late
        else "every report repeats the first evaluation: answers are kept (cached) without regard "
        "to the weights, or a copy of the network is evaluated that is never updated",
        "evaluate the present weights for every report; a key of a cache must contain them",
        root="kept",
    )


def _equal(found: Sequence[float], expected: Sequence[float]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(abs(a - b) < 1e-6 + _CLOSE * abs(b) for a, b in pairs)


def _finding(evidence: str, cause: str) -> Finding:
    return Finding.warning(
        "figures of reports",
        evidence,
        cause,
        "compute the figures of a report from the same losses and answers as everything else: the "
        "mean of each step's loss over the steps since the last report",
        root="figures",
    )
