"""Slips of optimisers, schedules, saved states and reports of the tenth set.

See `slips_tenth_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.trial import Trial
from tests.doctor.slips import Inject, Patch, Slip, after_each_step

_PERIOD = 16  # steps in which the rate falls to 0, and again in which it rises


def _rates(change: Callable[[float, int, float], float]) -> Inject:
    """Other rates, from the scheduled one, the number of the step and the progress."""

    def inject(patch: Patch) -> None:
        sound = steps.set_learning_rate  # type: ignore[attr-defined]
        taken: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

        def set_rates(optimiser: Any, config: Any, progress: float) -> None:
            sound(optimiser, config, progress)
            step = taken[optimiser] = taken.get(optimiser, -1) + 1
            for group in optimiser.param_groups:
                group["lr"] = change(group["lr"], step, progress / max(config.warmup, 1e-9))

        patch.setattr(steps, "set_learning_rate", set_rates)

    return inject


def _from_the_first_weights(patch: Patch) -> None:
    """Each step is taken from the weights at the start, which were kept and never renewed."""
    begun: WeakKeyDictionary[Any, dict[str, Tensor]] = WeakKeyDictionary()

    def change(stepper: Any, before: dict[str, Tensor]) -> None:
        first = begun.setdefault(stepper.network, before)
        for name, parameter in stepper.network.named_parameters():
            parameter.copy_(first[name] + parameter - before[name])

    after_each_step(change)(patch)


def _only_the_value_head(patch: Patch) -> None:
    sound = steps.clip_gradients  # type: ignore[attr-defined]

    def clip(network: Any, limit: float) -> Any:
        return sound(network.parts()["value_head"], limit)

    patch.setattr(steps, "clip_gradients", clip)


def _rate_of_the_checkpoint(patch: Patch) -> None:
    """After a resume the rate stays that of the checkpoint."""
    sound_load, sound_prepare = Owner.load_state, Owner.prepare

    def load(self: Any, state: Any) -> None:
        sound_load(self, state)
        self.stored_rates = [group["lr"] for group in state["optimiser"]["param_groups"]]

    def prepare(self: Any, progress: float) -> None:
        sound_prepare(self, progress)
        for group, rate in zip(
            self.optimiser.param_groups, getattr(self, "stored_rates", ()), strict=False
        ):
            group["lr"] = rate

    patch.setattr(Owner, "load_state", load)
    patch.setattr(Owner, "prepare", prepare)


def _step_count_lost(patch: Patch) -> None:
    """Adam's step count, and with it the bias correction, begins anew after a resume."""
    sound = Owner.load_state

    def load(self: Any, state: Any) -> None:
        sound(self, state)
        for kept in self.optimiser.state.values():
            kept["step"] = torch.zeros_like(kept["step"])

    patch.setattr(Owner, "load_state", load)


def _both_classes(patch: Patch) -> None:
    """Brier's sum over both outcomes in place of the square for one."""
    sound = Trial.reports

    def reports(self: Any) -> Any:
        made = sound(self)
        overall = made[0].metrics.overall
        doubled = replace(overall, value_loss=2 * overall.value_loss)
        return (replace(made[0], metrics=replace(made[0].metrics, overall=doubled)), *made[1:])

    patch.setattr(Trial, "reports", reports)


def _blue_to_move(patch: Patch) -> None:
    """Every second position of a game is evaluated: all with Blue to move."""
    sound = Evaluator.evaluate
    names = ("win_prob_red", "red_won", "stage", "to_end", "final", "game", "ply")

    def evaluate(self: Any, *arguments: Any) -> Any:
        evaluations, policy_loss = sound(self, *arguments)
        kept = []
        for each in evaluations:
            rows = np.asarray(each.ply) % 2 == 0
            kept.append(Evaluation(**{name: getattr(each, name)[rows] for name in names}))
        return tuple(kept), policy_loss

    patch.setattr(Evaluator, "evaluate", evaluate)


SLIPS: dict[str, Slip] = {
    "cosine with a period of steps": Slip(
        _rates(lambda rate, step, _: rate * 0.5 * (1 + math.cos(math.pi * step / _PERIOD))),
        "rate.*(oscill|cycl|period|up and down|rises|wave|swing|again|schedule|configured|not that"
        "|other than|differ)|schedule",
        {"optimiser": {"schedule": "constant", "warmup": 0.0}},
        cause="The rate falls to 0 and rises again every 16 steps, since the period of the cosine "
        "was meant in epochs.",
        report="sthalles/SimCLR#8; ivadomed/ivadomed#57",
    ),
    "warm-up rounded down": Slip(
        _rates(lambda rate, _, share: 0.0 if share < 1 else rate),
        "rate.*(\\b0\\b|zero|warm|schedule|configured|not that|other than)|warm|schedule",
        {"optimiser": {"schedule": "constant", "warmup": 0.4}},
        cause="The rate is 0 until the warm-up is over, since its share was divided as integers.",
        report="from memory: step // warmup; EleutherAI/gpt-neox#1379 for its first step",
    ),
    "every step taken from the first weights": Slip(
        _from_the_first_weights,
        "undo|undone|put back|(first|initial|earlier|old|start\\w*) weights|stays? (near|at|close)"
        "|does? not (add up|accumulate)|thrown|something else than the optimiser|lost|restored",
        cause="Each step is added to the weights at the start and not to those of the step before, "
        "so training stays one step from its beginning.",
        report="google-deepmind/optax#1788",
    ),
    "only the value head's gradients clipped": Slip(
        _only_the_value_head,
        "clip|limit|norm of (the )?gradient",
        {"optimiser": {"clip": 0.05}},
        cause="Gradients of the value head alone are clipped, and those of all other parts are "
        "not.",
        report="google-deepmind/open_spiel#827",
    ),
    "rate of the checkpoint after a resume": Slip(
        _rate_of_the_checkpoint,
        "rate.*(resum|load|restor|checkpoint|continu|saved|stored)|(resum|load|restor|checkpoint"
        "|continu|saved|stored).*(rate|schedule)",
        {"optimiser": {"schedule": "cosine"}},
        cause="After a resume the rate stays that of the checkpoint and does not follow the "
        "schedule.",
        report="ildoonet/pytorch-gradual-warmup-lr#27; pytorch/pytorch#156846",
    ),
    "step count of Adam lost in a resume": Slip(
        _step_count_lost,
        "(resum|load|restor|continu|saved|checkpoint).*(step|bias|optimiser|moment|count|Adam)"
        "|(step|bias|optimiser|moment|Adam).*(resum|load|restor|continu|saved|reset|checkpoint)",
        cause="A resumed trial counts Adam's steps from 0 again, so its bias correction is wrong.",
        report="paiml/entrenar#257",
    ),
    "loss summed over both outcomes in the report": Slip(
        _both_classes,
        "(value.?loss|Brier|report).*(twice|double|factor|times|not that|differ|other|2\\b)",
        cause="The reported value loss is the sum over both outcomes, twice the Brier score.",
        report="EleutherAI/lm-evaluation-harness#1924",
    ),
    "evaluated with Blue to move only": Slip(
        _blue_to_move,
        "(report|evaluat|valid|position|row).*(left out|missing|fewer|not all|not every|half|part"
        "|subset|second|Blue|Red|even\\b|odd|one side)|side to move",
        cause="Only every second position of a game is evaluated, so all have Blue to move.",
        report="from memory: a stride of two through the positions",
    ),
}
