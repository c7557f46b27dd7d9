"""Checks of the optimiser: parameter groups, steps, and other changes of weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.doctor.checks.optimisation.outside import outside_findings
from hexsearch.doctor.checks.optimisation.schedule import schedule_findings
from hexsearch.doctor.checks.optimisation.updates import update_findings
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_DECAY = 0.02  # largest accepted share of a weight that decays in one step
_USUAL_DECAY = 0.2  # a weight_decay up to this is never reported
_MOMENTUM = 0.999  # largest accepted momentum
_WORSE = 8.0  # a loss that is so many times the first one has exploded


def check_groups(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Each weight must require a gradient and be in one parameter group with a rate above 0."""
    trial = needed(pipeline.watched)
    owned = [id(p) for group in trial.optimiser.param_groups for p in group["params"]]
    names = {id(p): name for name, p in trial.network.named_parameters()}
    frozen = [name for name, p in trial.network.named_parameters() if not p.requires_grad]
    missing = [n for i, n in names.items() if i not in owned and n not in frozen]
    twice = sorted({names.get(i, "?") for i in owned if owned.count(i) > 1})
    flat = [n for n, p in trial.network.named_parameters() if p.ndim < 2]
    lacking = "biases and norms" if missing and set(missing) <= set(flat) else "a module's weights"
    whole = [
        part
        for part in trial.network.parts()
        if missing and {n for n in names.values() if n.startswith(f"{part}.")} == set(missing)
    ]
    lacking = f"the weights of the {in_words(whole[0])}" if whole else lacking
    if missing and len(missing) == len(names):
        lacking = "the optimiser holds weights of another network (a copy): those of this one"
    partition = "put every weight of the network into exactly one parameter group"
    for what, wrong, cause, remedy in (
        ("are in no parameter group", missing, f"{lacking} never reach the optimiser", partition),
        ("are in two groups", twice, "two groups overlap: these weights move twice", partition),
        (
            "do not require a gradient",
            frozen,
            f"part of the network is frozen{_kinds(trial, frozen)}",
            "set requires_grad for every weight that should learn",
        ),
    ):
        if wrong:
            yield Finding.error(
                "parameter groups",
                f"{len(wrong)} of {len(names)} weights {what}, such as {wrong[0]}",
                cause,
                remedy,
                root="parameter groups" if wrong is missing else "",
            )
    for group in trial.optimiser.param_groups:
        if group.get("factor", 1.0) == 0.0:
            owner = in_words(str(group.get("owner", "group")))
            of_value = trial.config.optimiser.value_lr_factor == 0
            yield Finding.error(
                "learning rate",
                f"the learning rate of the {owner} is multiplied by 0",
                f"{'optimiser.value_lr_factor' if of_value else f'the rate of the {owner}'} is 0: "
                f"the {owner} keeps its initial weights",
                "set optimiser.value_lr_factor above 0; the default is 1"
                if of_value
                else f"give the {owner} the learning rate of the other parts",
                root="rate",
            )
            return


def _kinds(trial: WatchedTrial, names: list[str]) -> str:
    """In words, that some weights are all those of some kinds of modules; empty if they are not.

    They may also be the weights, or the biases, of all these modules.
    """
    modules = dict(trial.network.named_modules())
    kinds = {type(modules[name.rpartition(".")[0]]).__name__ for name in names}
    every = {
        f"{owner}.{name}"
        for owner, module in modules.items()
        if type(module).__name__ in kinds
        for name, _ in module.named_parameters(recurse=False)
    }
    told = " and ".join(sorted(kinds))
    if every == set(names):
        return f": all weights of {told}, and no others"
    for end, words in ((".weight", "weights (scales)"), (".bias", "biases")):
        if {name for name in every if name.endswith(end)} == set(names):
            return f": the {words} of all modules of type {told}, and nothing else"
    return ""


def unowned(trial: WatchedTrial) -> bool:
    """Whether the optimiser lacks a weight. The gradient of such a weight is never cleared."""
    owned = {id(p) for group in trial.optimiser.param_groups for p in group["params"]}
    return any(p.requires_grad and id(p) not in owned for p in trial.network.parameters())


def check_steps(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Check the recorded steps: rates, length, direction and effect."""
    trial = needed(pipeline.watched)
    if trial.problem:
        yield Finding.error(
            "steps",
            trial.problem,
            "training diverges in its first steps",
            "lower optimiser.learning_rate",
        )
        return
    stepped = [step for step in trial.steps if step.after]
    if not stepped:
        return
    if len(stepped) < len(trial.steps):
        yield Finding.error(
            "steps",
            f"in {len(trial.steps)} batches the optimiser steps {len(stepped)} time(s)",
            "steps are skipped: the gradients of some batches are computed but never used",
            "call optimiser.step() after each batch; for larger batches raise trial.batch_size and "
            "set trial.micro_batch",
        )
        return
    often = max(step.calls for step in stepped)
    if often > 1:
        yield Finding.error(
            "steps",
            f"the optimiser steps {often} times in one batch",
            "the optimiser steps more than once by the same gradient (twice a batch, for example): "
            "steps are longer than configured, and moments count the gradient several times",
            "call optimiser.step() once after each backward()",
        )
        return
    found = [
        *schedule_findings(trial, stepped),
        *_reach(trial, stepped),
        *outside_findings(trial, stepped),
        *_direction(stepped),
        *_modes(stepped),
        *_movement(trial, stepped),
    ]
    # The faults named above make steps differ from the formula, too.
    yield from found or update_findings(trial, stepped)


def _reach(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Report a learning rate, a weight decay or a momentum that is far too large."""
    every = [*trial.steps, *trial.asked]
    losses = [float(step.value.mean()) for step in every]
    worst = max(range(len(losses)), key=lambda index: losses[index])
    if losses[worst] > _WORSE * max(losses[0], 0.1):
        yield Finding.error(
            "steps",
            f"in {worst} step(s) with learning rates of up to "
            f"{max(max(s.rates) for s in stepped):.2g} the value loss rises from {losses[0]:.3g} "
            f"to {losses[worst]:.3g}",
            "the learning rate is far too high: steps overshoot, and the loss explodes",
            "lower optimiser.learning_rate by a factor of 10 or more",
        )
        return
    groups = trial.optimiser.param_groups
    decay = max(group["weight_decay"] for group in groups)
    rate = trial.config.optimiser.learning_rate
    if rate * decay > _DECAY and decay > _USUAL_DECAY:
        yield Finding.error(
            "steps",
            f"weight decay {decay:g} at a learning rate of {rate:g} shrinks each weight by "
            f"{rate * decay:.1%} in every step",
            "the weight decay is far too strong: weights shrink to 0 faster than they learn",
            "lower optimiser.weight_decay; the default is 0.01",
            root="decay",
        )
        return
    momentum = max(group.get("momentum", group.get("betas", (0.0,))[0]) for group in groups)
    if momentum > _MOMENTUM:
        yield Finding.error(
            "steps",
            f"momentum {momentum:g} averages the gradients of about {1 / (1 - momentum):,.0f} "
            "steps",
            "the momentum is far too high: each step follows gradients of long ago",
            "lower optimiser.momentum; the default is 0.9",
        )


def _movement(trial: WatchedTrial, stepped: list[WatchedStep]) -> Iterator[Finding]:
    """Report parts of the network, and an average of weights, that the steps do not change."""
    first, last = stepped[0].before, stepped[-1].after
    moved = {
        part: float((last[part] - weights).norm() / weights.norm().clamp(min=1e-12))
        for part, weights in first.items()
    }
    unmoved = all(map(torch.equal, trial.answering.parameters(), trial.initial_answering))
    if unmoved and any(moved.values()):
        yield Finding.error(
            "averaged weights",
            f"{len(stepped)} steps change the trained weights by up to {max(moved.values()):.1%}, "
            "but not the weights that are evaluated",
            "the average of weights (EMA) that evaluation uses is never updated",
            "update the average after each step",
        )
    unused = {"policy_head"} if trial.config.policy_head.weight == 0 else set()
    for part, change in moved.items():
        if change == 0.0 and part not in unused:
            yield Finding.error(
                "movement",
                f"{len(stepped)} steps change no weight of the {in_words(part)}",
                f"the {in_words(part)} does not move: its learning rate is 0, it is missing from "
                "the optimiser, or no gradient reaches it",
                "put its weights into a parameter group with a rate above 0, and look for detach() "
                "and no_grad() in its forward()",
                root=_root_of_no_movement(trial, part, stepped),
            )


def _root_of_no_movement(trial: WatchedTrial, part: str, stepped: list[WatchedStep]) -> str:
    """The root of a part that does not move: its loss, if no gradient reaches it."""
    if unowned(trial):
        return "parameter groups"
    reached = any(bool(step.given[part].any()) for step in stepped if part in step.given)
    if reached or part not in ("value_head", "policy_head"):
        return "movement"
    return f"detached {part.removesuffix('_head')}"


def _direction(stepped: list[WatchedStep]) -> Iterator[Finding]:
    """The first step must lower the loss."""
    step = next((each for each in stepped if max(each.rates, default=0.0) > 0), None)
    if step is None:
        return
    change = torch.cat([step.after[part] - step.before[part] for part in step.before])
    gradient = torch.cat([step.given[part] for part in step.before])
    if float(change.norm()) == 0.0 or float(gradient.norm()) == 0.0:
        return
    if float((change * gradient).sum()) > 0:
        yield Finding.error(
            "steps",
            "the first step goes up the gradient of the loss (cosine "
            f"{float(torch.nn.functional.cosine_similarity(change, gradient, dim=0)):.2f})",
            "the optimiser has the wrong sign: every step makes the loss larger",
            "set maximize=False and a positive learning rate, so that the gradient is subtracted",
        )


def _modes(stepped: list[WatchedStep]) -> Iterator[Finding]:
    eval_modules = next((step.eval_modules for step in stepped if step.eval_modules), ())
    if eval_modules:
        yield Finding.error(
            "steps",
            f"modules such as {', '.join(eval_modules[:3])} are in eval mode while the network is "
            "trained",
            "training runs in eval mode: dropout is off, and batch norm uses its running "
            "statistics",
            "call train() on the network before each stretch of training",
        )
