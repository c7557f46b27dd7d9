"""Checks the figures of the monitors in a report: gradients, updates and activations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.optimisation.gradients import expected_gradient
from hexsearch.doctor.recorded import Flat, WatchedStep, by_tensor
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training.report import TrialReport

_CLOSE = 0.02  # accepted relative difference
_ROOT = "monitors"


def health_findings(trial: WatchedTrial, report: TrialReport) -> Iterator[Finding]:
    """Compare the monitors' figures with those of the step that was sampled, the first one."""
    step = trial.steps[0]
    if report.gradients.looks != 1 or trial.config.micro_batch or not step.given:
        return  # running means over several steps, or of one part of a batch
    yield from list(_gradients(trial, step, report)) or _activations(trial, step, report)


def _gradients(trial: WatchedTrial, step: WatchedStep, report: TrialReport) -> Iterator[Finding]:
    found, sent = report.gradients, expected_gradient(step, trial.config)
    sizes = {part: float(each.norm()) for part, each in sent.items()}
    given = {part: float(each.norm()) for part, each in step.given.items()}
    moved = {
        part: float((step.after[part] - old).norm() / old.norm())
        for part, old in step.before.items()
        if float(old.norm()) > 1e-6
    }
    tables: tuple[tuple[str, Mapping[str, float], Mapping[str, float]], ...] = (
        ("the gradient norms before clipping", found.norms, sizes),
        ("the gradient norms after clipping", found.clipped_norms, given),
        ("the relative size of updates", found.update_ratio, moved),
    )
    for name, told, right in tables:
        wrong = [p for p in right if p in told and not _equal(told[p], right[p])]
        if wrong:
            others = {n: other[wrong[0]] for n, _, other in tables if n != name}
            others |= {f"that of the {in_words(p)}": each for p, each in right.items()}
            if name == tables[-1][0]:
                others |= _of_tensors(trial, step, wrong[0])
            yield _finding(
                name, f"the {in_words(wrong[0])}", told[wrong[0]], right[wrong[0]], others
            )
            return
    if clipped := list(_clip_rate(trial, sent, found.clip_rate)):
        yield from clipped
        return
    if missing := _left_out(step, report):
        yield Finding.warning(
            "figures of reports",
            f"the monitors of a report have no figure for {missing}, of which the first step has "
            "one",
            f"the monitors leave {missing} out, so verdicts on the health of a training are made "
            "without it",
            "record every figure of the step that is sampled",
            root=_ROOT,
        )
        return
    if found.trunk_value_norm is None or "trunk" not in step.value_gradient:
        return
    value = step.value_gradient["trunk"]
    policy = step.policy_gradient.get("trunk", torch.zeros_like(value))
    cosine = float(torch.nn.functional.cosine_similarity(value, policy, dim=0))
    pairs = {
        "the norm of the value loss's gradient on the trunk": (
            found.trunk_value_norm,
            float(value.norm()),
        ),
        "the norm of the policy loss's gradient on the trunk": (
            found.trunk_policy_norm or 0.0,
            float(policy.norm()),
        ),
        "the cosine of both gradients on the trunk": (found.trunk_cosine or 0.0, cosine),
    }
    for name, (told_one, right_one) in pairs.items():
        if not _equal(told_one, right_one, 0.02 if "cosine" in name else 1e-9):
            others = {n: pair[1] for n, pair in pairs.items() if n != name}
            yield _finding(name, "the first step", told_one, right_one, others)
            return


def _clip_rate(trial: WatchedTrial, sent: Flat, told: float) -> Iterator[Finding]:
    """Compare the clip rate of the one step that was sampled with its gradient's norm."""
    joint, limit = float(torch.cat(list(sent.values())).norm()), trial.config.optimiser.clip
    if abs(told - float(joint > limit)) > _CLOSE and abs(joint - limit) > _CLOSE * limit:
        yield Finding.warning(
            "figures of reports",
            f"a report gives a clip rate of {told:.0%} for one step whose gradient has norm "
            f"{joint:.3g}; the limit is {limit:g}",
            "the monitors report the share of steps that were not clipped as the clip rate (the "
            "comparison is the wrong way round), so clipping is judged by wrong figures",
            "count the steps whose joint norm is above the limit",
            root=_ROOT,
        )


def _left_out(step: WatchedStep, report: TrialReport) -> str:
    """In words, figures of the sampled step that a report has not; empty if it has all."""
    seen = report.activations
    places = {"trunk_features", "policy_logits", "value_raw"} - set(seen)
    if places:
        return ", ".join(sorted(places))
    if report.gradients.trunk_value_norm is None and "trunk" in step.value_gradient:
        return "the gradient of the value loss on the trunk"
    lacking = seen["value_raw"].label_correlation is None and step.raw.ndim == 1
    return "label_correlation" if lacking else ""


def _of_tensors(trial: WatchedTrial, step: WatchedStep, part: str) -> dict[str, float]:
    """Relative updates of a part that are computed from single tensors, by what is done."""
    old, change = step.before[part], step.after[part] - step.before[part]
    own = {part: trial.network.parts()[part]}
    norms, moved = (
        [float(tensor.norm()) for tensor in by_tensor({part: each}, own).values()]
        for each in (old, change)
    )
    if not moved:
        return {}
    whole = max(float(old.norm()), 1e-12)
    ratios = [a / b for a, b in zip(moved, norms, strict=True) if b > 1e-6]
    return {
        "the change of the last tensor alone, by the norm of all weights": moved[-1] / whole,
        "the change of the first tensor alone, by the norm of all weights": moved[0] / whole,
        "the mean over the tensors": sum(ratios) / max(len(ratios), 1),
        "the largest of the tensors": max(ratios, default=0.0),
        "the change itself, not divided by the norm of the weights": float(change.norm()),
        "the sum of the tensors' changes, by the norm of all weights": sum(moved) / whole,
    }


def _activations(trial: WatchedTrial, step: WatchedStep, report: TrialReport) -> Iterator[Finding]:
    outputs = {"value_raw": step.raw.float(), "policy_logits": step.policy_logits.float()}
    for place, values in outputs.items():
        told = report.activations.get(place)
        if told is None or not len(values):
            continue
        right = _described(trial, step, place, values)
        for figure, number in right.items():
            own = getattr(told, figure)
            if own is not None and not _equal(float(own), number, 1e-6):
                others = {f"its {name}": each for name, each in right.items() if name != figure}
                yield _finding(f"the {figure} of {place}", "the first step", own, number, others)
                return


def _described(
    trial: WatchedTrial, step: WatchedStep, place: str, values: Tensor
) -> dict[str, float]:
    """Figures of an ActivationHealth that can be computed again from recorded outputs."""
    figures = {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "minimum": float(values.min()),
        "maximum": float(values.max()),
    }
    if place == "value_raw" and values.ndim == 1 and float(values.std()) > 0:
        answers = trial.readout.win_prob(values)
        pair = torch.stack([answers, step.batch.outcome.float()])
        figures["label_correlation"] = float(torch.corrcoef(pair)[0, 1])
    return figures


def _equal(one: float, other: float, floor: float = 1e-9) -> bool:
    return abs(one - other) <= _CLOSE * max(abs(one), abs(other)) + floor


def _finding(name: str, of: str, told: float, right: float, others: Mapping[str, float]) -> Finding:
    what = next((words for words, each in others.items() if _equal(told, each)), "")
    if not what and _equal(told, right**2):
        what = "its square"
    ratio = f"{told / right:.3g} times it" if abs(right) > 1e-9 else "another number"
    return Finding.warning(
        "figures of reports",
        f"a report gives {told:.4g} for {name} of {of}; recomputed from the same step it is "
        f"{right:.4g}",
        f"the monitors report {what or ratio} as {name}, so the health of a training (dying, "
        "vanishing or exploding gradients) is judged by wrong figures",
        "compute the figures of the monitors from the gradients, weights and outputs of the step",
        root=_ROOT,
    )
