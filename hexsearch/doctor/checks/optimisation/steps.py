"""Checks of the optimiser: groups, rates, direction, size, and what else touches the weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.doctor.checks.optimisation.schedule import schedule_findings
from hexsearch.doctor.checks.optimisation.updates import update_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.watching import WatchedStep, WatchedTrial

_DECAY, _USUAL_DECAY = 0.02, 0.2  # of a weight in one step; what is no reason for it
_MOMENTUM = 0.999
_WORSE = 8.0  # times the first loss, after a few steps


def check_groups(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Every trainable weight in exactly one parameter group, none with a rate of 0."""
    trial = pipeline.watched
    assert trial is not None
    owned = [id(p) for group in trial.optimiser.param_groups for p in group["params"]]
    names = {id(p): name for name, p in trial.network.named_parameters()}
    frozen = [name for name, p in trial.network.named_parameters() if not p.requires_grad]
    missing = [n for i, n in names.items() if i not in owned and n not in frozen]
    twice = sorted({names.get(i, "?") for i in owned if owned.count(i) > 1})
    flat = [n for n, p in trial.network.named_parameters() if p.ndim < 2]
    lacking = "biases and norms" if missing and set(missing) <= set(flat) else "a module's weights"
    for what, found, cause in (
        ("are in no parameter group", missing, f"{lacking} never reach the optimiser"),
        ("are in two parameter groups", twice, "two groups overlap: these weights move twice"),
        ("do not require a gradient", frozen, "part of the network is frozen"),
    ):
        if found:
            yield Finding(
                "parameter groups",
                "error",
                f"{len(found)} of {len(names)} weights {what}, such as {found[0]}",
                cause,
                "build the groups by module ownership so that they partition the weights",
                root="parameter groups" if found is missing else "",
            )
    for group in trial.optimiser.param_groups:
        if group.get("factor", 1.0) == 0.0:
            yield Finding(
                "learning rate",
                "error",
                f"the learning rate of {group.get('owner', 'a group')} is multiplied by 0",
                "optimiser.value_lr_factor is 0: the value head keeps its first weights",
                "set value_lr_factor above 0; 1 is the default",
            )
            return


def unowned(trial: WatchedTrial) -> bool:
    """Whether the optimiser lacks a weight; such a weight's gradient is never cleared either."""
    owned = {id(p) for group in trial.optimiser.param_groups for p in group["params"]}
    return any(p.requires_grad and id(p) not in owned for p in trial.network.parameters())


def check_steps(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Rates, direction, size and movement over the watched steps."""
    trial = pipeline.watched
    assert trial is not None
    if trial.problem:
        yield Finding(
            "steps",
            "error",
            trial.problem,
            "training diverges at once",
            "lower the learning rate",
        )
        return
    stepped = [step for step in trial.steps if step.after]
    if not stepped:
        return
    if len(stepped) < len(trial.steps):
        yield Finding(
            "steps",
            "error",
            f"in {len(trial.steps)} batches the optimiser steps {len(stepped)} time(s)",
            "steps are skipped: the gradients of most batches are computed and thrown away",
            "step after each batch; for larger batches raise batch_size, with micro_batch",
        )
        return
    often = max(step.calls for step in stepped)
    if often > 1:
        yield Finding(
            "steps",
            "error",
            f"the optimiser steps {often} times in one batch",
            "the optimiser is called more than once a batch, by the same gradient: steps are twice "
            "as long as configured, and moments are counted twice",
            "call optimiser.step() once after each backward()",
        )
        return
    found = [
        *schedule_findings(trial, stepped),
        *_reach(trial, stepped),
        *_outside(stepped),
        *_direction(stepped),
        *_modes(stepped),
        *_movement(trial, stepped),
    ]
    # What was named above also departs from the optimiser's formula.
    yield from found or update_findings(trial, stepped)


def _reach(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Steps that are far too long, decay that eats the weights, momentum that outlasts training."""
    every = [*trial.steps, *trial.asked]
    losses = [float(step.value.mean()) for step in every]
    worst = max(range(len(losses)), key=lambda index: losses[index])
    if losses[worst] > _WORSE * max(losses[0], 0.1):
        yield Finding(
            "steps",
            "error",
            f"{worst} step(s) at learning rates of up to {max(max(s.rates) for s in stepped):.2g} "
            f"take the value loss from {losses[0]:.3g} to {losses[worst]:.3g}",
            "the learning rate is far too high: steps overshoot, and the loss explodes",
            "lower optimiser.learning_rate by a factor of 10 or more",
        )
        return
    groups = trial.optimiser.param_groups
    decay = max(group["weight_decay"] for group in groups)
    rate = trial.config.optimiser.learning_rate
    if rate * decay > _DECAY and decay > _USUAL_DECAY:
        yield Finding(
            "steps",
            "error",
            f"weight decay {decay:g} at a learning rate of {rate:g} takes {rate * decay:.1%} from "
            "each weight in every step",
            "the weight decay is far too strong: weights vanish faster than they learn",
            "lower optimiser.weight_decay; 0.01 is the default",
        )
        return
    momentum = max(group.get("momentum", group.get("betas", (0.0,))[0]) for group in groups)
    if momentum > _MOMENTUM:
        yield Finding(
            "steps",
            "error",
            f"momentum {momentum:g} averages gradients over {1 / (1 - momentum):,.0f} steps",
            "the momentum is far too high: a step goes by gradients of long ago",
            "lower optimiser.momentum; 0.9 is the default",
        )


def _movement(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Whether every part moves, and the average of the weights with it."""
    first, last = stepped[0].before, stepped[-1].after
    moved = {
        part: float((last[part] - weights).norm() / weights.norm().clamp(min=1e-12))
        for part, weights in first.items()
    }
    unmoved = all(map(torch.equal, trial.answering.parameters(), trial.initial_answering))
    if unmoved and any(moved.values()):
        yield Finding(
            "averaged weights",
            "error",
            f"{len(stepped)} steps move the weights that are trained by up to "
            f"{max(moved.values()):.1%}, and those that are evaluated by nothing",
            "the average of weights (EMA) that evaluation uses is never updated",
            "update the average after each step",
        )
    unused = {"policy_head"} if trial.config.policy_head.weight == 0 else set()
    for part, change in moved.items():
        if change == 0.0 and part not in unused:
            yield Finding(
                "movement",
                "error",
                f"{len(stepped)} steps leave every weight of the {part.replace('_', ' ')} as it "
                "was",
                "its learning rate is 0, it is missing from the optimiser, or no gradient reaches "
                "it",
                "see the findings on parameter groups and gradient flow",
                root=_root_of_rest(trial, part, stepped),
            )


def _root_of_rest(trial: WatchedTrial, part: str, stepped: list[WatchedStep]) -> str:
    """What rests because no gradient reaches it is the fault of its loss."""
    if unowned(trial):
        return "parameter groups"
    reached = any(bool(step.given[part].any()) for step in stepped if part in step.given)
    if reached or part not in ("value_head", "policy_head"):
        return "movement"
    return f"detached {part.removesuffix('_head')}"


def _outside(stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Weights must be the same from one step's end to the next one's beginning."""
    for number, step in enumerate(stepped):
        changed = [
            part
            for part, weights in step.late.items()
            if not torch.equal(weights, step.after[part])
        ]
        if not changed:
            continue
        undone = all(torch.equal(step.late[part], step.before[part]) for part in changed)
        gap = max(
            float((step.late[p] - step.after[p]).norm() / step.after[p].norm()) for p in changed
        )
        yield Finding(
            "steps",
            "error",
            f"between step {number + 1} and the next one the weights of "
            f"{', '.join(part.replace('_', ' ') for part in changed)} change by {gap:.2%}",
            "every step is undone: the old weights are put back"
            if undone
            else "something else than the optimiser changes the weights between steps",
            "let only the optimiser write to the weights; look for load_state_dict(), copy_() and "
            "in-place operations on parameters",
        )
        return


def _direction(stepped: list[WatchedStep]) -> Iterator[Finding]:
    """The first step must go down the gradient."""
    step = next((each for each in stepped if max(each.rates, default=0.0) > 0), None)
    if step is None:
        return
    change = torch.cat([step.after[part] - step.before[part] for part in step.before])
    gradient = torch.cat([step.given[part] for part in step.before])
    if float(change.norm()) == 0.0 or float(gradient.norm()) == 0.0:
        return
    if float((change * gradient).sum()) > 0:
        yield Finding(
            "steps",
            "error",
            "the first step goes up the gradient of the loss (cosine "
            f"{float(torch.nn.functional.cosine_similarity(change, gradient, dim=0)):.2f})",
            "the optimiser has the wrong sign: every step makes the loss larger",
            "subtract the gradient: maximize=False, a positive learning rate",
        )
        return


def _modes(stepped: list[WatchedStep]) -> Iterator[Finding]:
    resting = next((step.resting for step in stepped if step.resting), ())
    if resting:
        yield Finding(
            "steps",
            "error",
            f"while training, modules such as {', '.join(resting[:3])} are in eval mode",
            "training runs in eval mode: dropout is off and batch norm uses old statistics",
            "call train() on the network before each stretch of training",
        )
