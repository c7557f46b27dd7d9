"""Looks at the steps of a user's training: gradients, weights and modes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.checks.own_training.stepping.changes import (
    averaged,
    changed_gradients,
    clipped_late,
    moved_by_others,
    stepped_again,
)
from hexsearch.doctor.checks.own_training.stepping.settings import (
    by_optimiser,
    fallen_rate,
    of_schedules,
    on_plateau,
    sinking,
    unusual,
)
from hexsearch.doctor.checks.own_training.stepping.weights import (
    halved,
    remade,
    silenced,
    stuck,
    unheld,
)
from hexsearch.doctor.checks.training.structure import settings_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.gradients import is_sound
from hexsearch.doctor.own_training.recording import Recording
from hexsearch.doctor.own_training.seen import SeenPass, SeenStep
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_OFF = 0.05  # share of a gradient that nothing explains
_CUT = 0.02  # factor of a clipped gradient that is reported
# Relative changes of the weights in a step that are reported.
_STILL, _SLOW, _LEAPS = 1e-7, 3e-5, 0.25


def check_steps(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Each step must use the gradients of its batch, for all weights that have some."""
    recording = needed(pipeline.own_training).recording
    if not recording.steps:
        if not recording.moves_weights:  # a script may change them without an optimiser
            yield _no_step(recording)
        return
    gradients = _gradients(recording.steps, recording.scale)
    found = unheld(recording) or stepped_again(recording.steps) or gradients or halved(recording)
    found = found or clipped_late(recording.steps)
    found = found or moved_by_others(recording.steps) or silenced(recording) or remade(recording)
    found = (
        found
        or of_schedules(recording.schedules)
        or on_plateau(recording.plateaus)
        or _moves(recording)
        or stuck(recording)
    )
    found = found or unusual(recording.steps)
    networks = recording.network.values()
    seldom_meant = [f for each in networks for f in settings_findings("training steps", each)]
    yield from found or seldom_meant or averaged(recording.moving.averages)
    yield from _modes(recording)


def _no_step(recording: Recording) -> Finding:
    seen = len(recording.late)
    by_hand = recording.lines.among(["grad", "backward"])
    if by_hand and not seen:
        return Finding(
            "training steps",
            "info",
            f"gradients are computed in {by_hand[0]}, and no module is called and no optimiser of "
            "torch steps",
            "the training is written by hand on bare tensors: nothing of it can be watched",
            "to have it examined, call a module and step an optimiser of torch",
            root="no step",
        )
    return Finding.error(
        "training steps",
        f"the training function called its network {seen:,} times with a gradient, and no "
        "optimiser took a step"
        + (" before it was ended" if recording.ended else " before it returned"),
        "nothing is trained: step() is never called"
        if seen
        else "no network was called with a gradient: everything is under no_grad(), or no batch "
        "was made of these games",
        "call optimiser.step() after backward() for each batch",
        root="no step",
    )


def _gradients(steps: list[SeenStep], scale: float) -> list[Finding]:
    """Compare the gradients of each step with those that its batch sent."""
    used = [s for s in steps if np.isfinite(s.given)]
    cleared = [s for s in used if s.given == 0.0]
    if len(cleared) > len(used) / 2:
        sent = any(s.sent > 0 for s in cleared)
        return [
            _error(
                f"in {len(cleared)} of {len(used)} steps the optimiser gets gradients of 0"
                + (", while backward() computed some" if sent else ""),
                "gradients are cleared between backward() and step()"
                if sent
                else "step() is called before backward(), or the loss has no graph",
                "call zero_grad(), backward(), step() in this order",
                "none",
            )
        ]
    if len(used) < len(steps):
        return [
            _error(
                f"in {len(steps) - len(used)} of {len(steps)} steps gradients are not finite",
                "losses become infinite or nan: the learning rate is far too high, or a logarithm "
                "or a division has no guard",
                "lower the learning rate, and use losses of logits",
                "finite",
            )
        ]
    optimisers = [[s for s in used if s.key == key] for key in {s.key: None for s in used}]
    others = [found for own in optimisers for found in _other_gradients(own)]
    return others[:1] or _factors(used, scale)


def _other_gradients(used: list[SeenStep]) -> list[Finding]:
    """Report gradients that are, after any factor, not those of their batch."""
    odd = [s for s in used[1:] if s.off > _OFF and not is_sound(s.changed)]
    if len(odd) > len(used) / 2:
        if used[0].off > _OFF:
            return changed_gradients(odd, len(used))
        return [
            _error(
                f"in {len(odd)} of {len(used)} steps the optimiser gets gradients that are not "
                f"those of its batch ({np.median([s.off for s in odd]):.0%} of them is of others)",
                "gradients of earlier batches are added to those of this one: they are never "
                "cleared, so they accumulate",
                "call optimiser.zero_grad() before each backward()",
                "accumulated",
            )
        ]
    return []


def _factors(used: list[SeenStep], scale: float) -> list[Finding]:
    """Report gradients with another sign, or with a hundredth of their length."""
    factors = [s.factor for s in used]
    if max(factors) < 0:
        return [
            _error(
                f"the optimiser gets the gradient with the sign changed in {len(used)} steps",
                "the sign of the gradient is changed before the step",
                "leave gradients as backward() makes them",
                "sign",
            )
        ]
    if max(factors) < _CUT and scale > 1:
        return [
            _error(
                f"the optimiser gets {np.median(factors):.2g} of the gradient in each of "
                f"{len(used)} steps; losses are multiplied by {scale:g} before backward()",
                f"gradients are clipped while they are still multiplied by the loss scale "
                f"({scale:g}): scaler.unscale_(optimiser) is missing before clip_grad_norm_, so "
                "each step is thousands of times too small",
                "call scaler.unscale_(optimiser) before gradients are clipped",
                "rate",
            )
        ]
    if max(factors) < _CUT:
        return [
            Finding.warning(
                "training steps",
                f"the optimiser gets {np.median(factors):.2g} of the gradient in each of "
                f"{len(used)} steps; norms before are {np.median([s.sent for s in used]):.2g}",
                "gradients are clipped in every step, to a limit far below their usual norm: all "
                "steps have one length",
                "raise the limit to about the usual norm of the gradients",
                root="clipping",
            )
        ]
    return []


def _error(evidence: str, cause: str, remedy: str, root: str) -> Finding:
    return Finding.error("training steps", evidence, cause, remedy, root=f"steps {root}")


def _moves(recording: Recording) -> list[Finding]:
    """Report steps that hardly move the weights, or throw them about."""
    steps = recording.steps
    rates = sorted({float(group.get("lr", 0.0)) for s in steps for group in s.groups})
    moved = [_move(step) for step in steps]
    if not any(s.moved for s in steps):  # tensors of no module
        return sinking(steps, rates)
    typical = float(np.median(moved))
    rate = f"learning rate {rates[0]:g}" + (f" to {rates[-1]:g}" if len(rates) > 1 else "")
    ascends = any(group.get("maximize") for s in steps for group in s.groups)
    evidence = f"a step of {steps[0].optimiser} changes weights by {typical:.2g} of their size"
    if ascends:
        return [
            _error(
                f"{steps[0].optimiser} has maximize=True",
                "the loss is maximised, not minimised",
                "leave maximize at False",
                "sign",
            )
        ]
    if typical < _SLOW and (fallen := fallen_rate(steps, evidence)):
        return [fallen]
    rising = len(steps) > 1 and rates[-1] > 1.5 * float(steps[0].groups[0].get("lr", 0.0))
    if _STILL <= typical < _SLOW and not rising:
        return [
            Finding.warning(
                "training steps",
                f"{evidence} ({rate})",
                "the learning rate is far too low: weights would need many thousands of steps to "
                "change by their own size",
                "raise the learning rate by a factor of 10 to 1,000",
                root="steps rate",
            )
        ]
    if typical < _STILL:
        return [
            _error(
                f"{evidence} ({rate})",
                "weights hardly move: the learning rate is 0 or far too small, or a schedule is "
                "stepped for each batch and has ended",
                "raise the learning rate, and look when its schedule is stepped",
                "rate",
            )
        ]
    leaps = [_first_move(own) for own in by_optimiser(steps)]
    if max(leaps) > _LEAPS:
        leaping = by_optimiser(steps)[int(np.argmax(leaps))]
        rate = f"learning rate {float(leaping[0].groups[0].get('lr', 0.0)):g}"
        return [
            _error(
                f"the first steps of {leaping[0].optimiser} change weights by {max(leaps):.2g} of "
                f"their size ({rate})",
                "weights are thrown about: the learning rate is far too high",
                "lower the learning rate by a factor of 10 to 1,000",
                "rate",
            )
        ]
    return sinking(steps, rates)


def _move(step: SeenStep) -> float:
    """Median relative change of the weights of a step."""
    return float(np.median([c for n, c in step.moved.items() if _is_trained(n, step)] or [0.0]))


def _first_move(steps: list[SeenStep]) -> float:
    return float(np.median([_move(step) for step in steps[:3]]))


def _is_trained(name: str, step: SeenStep) -> bool:
    return name.endswith("weight") and name not in step.frozen


def _modes(recording: Recording) -> Iterator[Finding]:
    """Report norms and dropouts that are in eval mode while the network is trained."""
    passes = recording.passes or recording.late
    resting = [each for each in passes if each.in_use and len(each.resting) == each.in_use]
    if passes and len(resting) > len(passes) / 2:
        kinds = ", ".join(sorted({name for each in resting for name in each.resting}))
        yield Finding.error(
            "training modes",
            f"in {len(resting)} of {len(passes)} passes of training {kinds} is in eval mode",
            "the network is trained in eval mode: batch norms use statistics that are never "
            "updated, and dropout does nothing",
            "call train() on the network before each epoch, also after an evaluation",
            root="train mode",
        )
        return
    yield from still_in_eval_mode("training modes", recording.afterwards)


def still_in_eval_mode(check: str, after: SeenPass | None) -> Iterator[Finding]:
    """Report norms and dropouts that an evaluation has left in eval mode.

    Args:
        check: name of the check in the finding.
        after: the first pass of training after an evaluation; before it they were in train mode.
    """
    if after is not None and after.in_use and len(after.resting) == after.in_use:
        yield Finding.error(
            check,
            f"in the first step after an evaluation {', '.join(sorted(set(after.resting)))} is in "
            "eval mode; before it they were in train mode",
            "after an evaluation the network stays in eval mode (train() is not called again): "
            "from then on dropout does nothing, and batch norms use statistics that are not "
            "updated any more",
            "call train() on the network after each evaluation",
            root="train mode",
        )
