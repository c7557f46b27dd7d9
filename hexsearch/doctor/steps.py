"""Checks of training itself, from a few real steps watched through hooks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.flow import head_losses
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.errors import TrialError
from hexsearch.training.optimisation.schedule import learning_rate
from hexsearch.training.trial import Trial

_STEPS = 12


@dataclass
class Watched:
    """What a few steps looked like from outside.

    Attributes:
        before: joint gradient norm of the loss, worked out on its own. after: the norm that the
            optimiser was given. rates: learning rate of each group at each step. moved: L2 change
            of each part over all steps, relative to its weights. average_moved: whether the weights
            that are evaluated are others than before.
    """

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    rates: list[list[float]] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    moved: dict[str, float] = field(default_factory=dict)
    average_moved: bool = True
    problem: str = ""


def watch_steps(trial: Trial, steps: int = _STEPS) -> Watched:
    """Take real training steps and look at each from a hook before the optimiser's."""
    watched = Watched()
    size = trial.config.batch_size
    weights = {
        name: [p.detach().clone() for p in part.parameters()]
        for name, part in trial.network.parts().items()
    }
    answering = [p.detach().clone() for p in trial.answering.parameters()]

    def look(optimiser: torch.optim.Optimizer, *_: object) -> None:
        gradients = [
            p.grad
            for group in optimiser.param_groups
            for p in group["params"]
            if p.grad is not None
        ]
        watched.after.append(float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0)
        watched.rates.append([group["lr"] for group in optimiser.param_groups])
        watched.progress.append(trial.positions_seen / trial.max_positions)

    handle = trial.optimiser.register_step_pre_hook(look)
    try:
        for _ in range(steps):
            watched.before.append(_own_norm(trial))
            trial.train_to(trial.positions_seen + size)
    except TrialError as error:
        watched.problem = str(error)
    finally:
        handle.remove()
    for name, part in trial.network.parts().items():
        old = weights[name]
        change = _norm([p.detach() - o for p, o in zip(part.parameters(), old, strict=True)])
        watched.moved[name] = change / max(_norm(old), 1e-12)
    watched.average_moved = not all(map(torch.equal, trial.answering.parameters(), answering))
    return watched


def _own_norm(trial: Trial) -> float:
    """Joint gradient norm of the next step's loss, before any clipping."""
    losses = head_losses(trial)
    total = trial.config.value_weight * losses["value"]
    total = total + trial.config.policy_head.weight * losses["policy"]
    parameters = [p for p in trial.network.parameters() if p.requires_grad]
    if not total.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return _norm([g for g in gradients if g is not None])


def check_groups(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Every trainable weight in exactly one parameter group, none with a rate of 0."""
    trial = pipeline.new_trial(1)
    assert trial is not None
    owned = [id(p) for group in trial.optimiser.param_groups for p in group["params"]]
    names = {id(p): name for name, p in trial.network.named_parameters()}
    frozen = [name for name, p in trial.network.named_parameters() if not p.requires_grad]
    missing = [n for i, n in names.items() if i not in owned and n not in frozen]
    twice = sorted({names.get(i, "?") for i in owned if owned.count(i) > 1})
    for what, found, cause in (
        ("are in no parameter group", missing, "a module's weights never reach the optimiser"),
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


def check_steps(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Rates, clipping and movement over a dozen real steps."""
    config = pipeline.trial_config
    assert config is not None
    budget = config.batch_size * (_STEPS + 1)
    trial = pipeline.new_trial(budget)
    assert trial is not None
    watched = watch_steps(trial)
    if watched.problem:
        yield Finding(
            "steps",
            "error",
            watched.problem,
            "training diverges at once",
            "lower the learning rate",
        )
        return
    yield from _schedule(trial, watched)
    yield from _clipping(trial, watched)
    if not watched.average_moved and any(watched.moved.values()):
        yield Finding(
            "averaged weights",
            "error",
            f"{_STEPS} steps move the weights that are trained by up to "
            f"{max(watched.moved.values()):.1%}, and those that are evaluated by nothing",
            "the average of weights (EMA) that evaluation uses is never updated",
            "update the average after each step",
        )
    for part, moved in watched.moved.items():
        unused = part == "policy_head" and config.policy_head.weight == 0
        if moved == 0.0 and not unused and any(p.requires_grad for p in _part(trial, part)):
            yield Finding(
                "movement",
                "error",
                f"{_STEPS} steps leave every weight of the {part.replace('_', ' ')} as it was",
                "its learning rate is 0, it is missing from the optimiser, or no gradient reaches "
                "it",
                "see the findings on parameter groups and gradient flow",
            )


def _schedule(trial: Trial, watched: Watched) -> Iterator[Finding]:
    config = trial.config.optimiser
    rates = [row[0] for row in watched.rates]
    wanted = [learning_rate(config, progress) for progress in watched.progress]
    if max(rates, default=0.0) == 0.0:
        yield Finding(
            "schedule",
            "error",
            f"the learning rate is 0 in all of {len(rates)} steps",
            "the schedule starts at 0 and is never stepped, or the rate is set to 0",
            "set the rate before each step",
        )
    elif len(set(rates)) == 1 and config.schedule != "constant":
        yield Finding(
            "schedule",
            "error",
            f"the learning rate stays at {rates[0]:.3g} over the whole budget; {config.schedule} "
            f"would go from {wanted[0]:.2g} over {max(wanted):.2g} to {wanted[-1]:.2g}",
            "the schedule is built but never stepped",
            "set the rate before each step from the share of the budget that has been seen",
        )
    elif max(abs(a - b) for a, b in zip(rates, wanted, strict=True)) > 0.01 * max(wanted):
        yield Finding(
            "schedule",
            "warning",
            f"the rates of {len(rates)} steps depart from schedule {config.schedule} by up to "
            f"{max(abs(a - b) for a, b in zip(rates, wanted, strict=True)):.2g}",
            "the schedule counts something else than positions seen",
            "make the rate a function of positions seen over the budget",
        )


def _clipping(trial: Trial, watched: Watched) -> Iterator[Finding]:
    limit = trial.config.optimiser.clip
    pairs = [(b, a) for b, a in zip(watched.before, watched.after, strict=False) if b > 0]
    too_small = [(b, a) for b, a in pairs if a < 0.5 * min(b, limit)]
    too_large = [(b, a) for b, a in pairs if a > 1.05 * limit and b > limit]
    if len(too_small) > 0.5 * len(pairs):
        before, after = too_small[0]
        yield Finding(
            "clipping",
            "error",
            f"a gradient of norm {before:.3g} reaches the optimiser with norm {after:.3g}, though "
            f"the limit is {limit:g}",
            "gradients are clipped in scaled units (before a loss scale is taken out again), or "
            "twice",
            "unscale the gradients first, then clip them once",
        )
    elif too_large:
        before, after = too_large[0]
        yield Finding(
            "clipping",
            "error",
            f"a gradient of norm {before:.3g} reaches the optimiser with norm {after:.3g}, above "
            f"the limit of {limit:g}",
            "the clipping has no effect on the gradients that the optimiser uses",
            "clip after backward and before the optimiser's step",
        )
    elif pairs and all(b > limit for b, _ in pairs[len(pairs) // 2 :]):
        yield Finding(
            "clipping",
            "warning",
            f"every step is clipped: gradient norms from {min(b for b, _ in pairs):.3g} against a "
            f"limit of {limit:g}",
            "the limit, not the learning rate, sets the size of the steps",
            "raise optimiser.clip, or lower the weight of the loss that makes them large",
        )


def _part(trial: Trial, name: str) -> list[nn.Parameter]:
    return list(trial.network.parts()[name].parameters())


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm(tensors)) if tensors else 0.0
