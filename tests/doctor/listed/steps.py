"""Listed slips in steps: penalties, rates, clipping, averages of weights and the optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.model.many_heads import ManyHeads
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation import schedule as schedule_module
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import AVERAGED, SGD, all_of
from tests.doctor.slips import Slip, each_group, in_rates, patched


def _penalty_on_norms(sound: Any) -> Any:
    def send_back(self: Stepper, values: list[Tensor], *more: Any) -> None:
        small = [each for each in self._body.parameters() if each.ndim < 2]
        penalty = 0.05 * torch.stack([each.square().sum() for each in small]).sum()
        sound(self, [values[0] + penalty, *values[1:]], *more)

    return send_back


def _first_group_only(sound: Any) -> Any:
    def set_rates(optimiser: torch.optim.Optimizer, *given: Any) -> None:
        rates = [group["lr"] for group in optimiser.param_groups]
        sound(optimiser, *given)
        for group, rate in zip(optimiser.param_groups[1:], rates[1:], strict=True):
            group["lr"] = rate

    return set_rates


def _factor_again(group: dict[str, Any]) -> float:
    rate: float = group["lr"]
    if group["owner"] == "value_head":
        group["factor"] *= 0.5
    return rate


def _as_whole_batches(sound: Any) -> Any:
    """The loss of each micro-batch is its own mean, and its gradient is clipped at once."""

    def send_back(self: Stepper, values: list[Tensor], shared: list[Tensor], *more: Any) -> None:
        assert self._config.micro_batch is not None
        times = self._config.batch_size / self._config.micro_batch
        sound(self, [times * each for each in values], [times * each for each in shared], *more)
        for owner in self.owners:
            torch.nn.utils.clip_grad_norm_(owner._parts.parameters(), owner._config.clip)

    return send_back


def _before_the_step(sound: Any) -> Any:
    def step(self: Stepper, batch: Batch, positions_seen: int, max_positions: int) -> None:
        average, self.average = self.average, None
        assert average is not None
        average.update(len(batch), positions_seen + len(batch))
        sound(self, batch, positions_seen, max_positions)
        self.average = average

    return step


def _trained_alone(sound: Any) -> Any:
    """Norms are calibrated in the network that is trained, not in its average."""

    def calibrate(self: Evaluator, network: ManyHeads) -> None:
        if any(weight.requires_grad for weight in network.parameters()):
            sound(self, network)
        network.eval()

    return calibrate


def _written_back(sound: Any) -> Any:
    def update(self: AveragedNetwork[Any], size: int, positions_seen: int) -> None:
        sound(self, size, positions_seen)
        with torch.no_grad():
            torch._foreach_copy_(self._weights, self._averages)

    return update


SLIPS: dict[str, Slip] = {
    "strong penalty on norms and biases": Slip(
        patched(Stepper, "_send_back", _penalty_on_norms),
        r"0\.1 times the norms and biases is added to them \(an L2 penalty",
        cause="A strong L2 penalty on norms and biases is added to the loss.",
    ),
    "schedule for the first group only": Slip(
        patched(owner_module, "set_learning_rate", _first_group_only),
        "the schedule sets the rate of the first parameter group only",
        cause="The schedule sets the learning rate of the first parameter group; the other groups "
        "keep the initial rate.",
    ),
    "factor of the rate applied again in each step": Slip(
        in_rates(_factor_again),
        r"rate of the value head is multiplied by 0\.5 once more in every step",
        {"optimiser": {"value_lr_factor": 0.5}},
        cause="The rate of the value head is multiplied by its factor in each step once more, so "
        "it vanishes.",
    ),
    "micro-batches summed and clipped one by one": Slip(
        patched(Stepper, "_send_back", _as_whole_batches),
        "clipped after each micro-batch, and added up without an average",
        {"micro_batch": 16, "optimiser": {**SGD, "clip": 0.5}},
        cause="Gradients of micro-batches are summed and not averaged, and clipped after each of "
        "them.",
    ),
    "average before the step, with the first statistics": Slip(
        all_of(
            patched(Stepper, "step", _before_the_step),
            patched(Evaluator, "calibrate", _trained_alone),
        ),
        r"average of weights \(EMA\) is updated before the optimiser's step",
        AVERAGED,
        cause="The averaged weights are updated before the optimiser's step, and the average "
        "keeps the norm statistics of the start.",
    ),
    "average written back": Slip(
        patched(AveragedNetwork, "update", _written_back),
        r"their average \(EMA\) is written back into the network that is trained",
        AVERAGED,
        cause="The averaged weights are copied into the trained network after each step.",
    ),
    "cosine of twice the frequency": Slip(
        patched(
            schedule_module,
            "_cosine",
            lambda sound: lambda start, end, share: sound(start, end, 2.0 * share),
        ),
        "falls to 0 after 5[0-9]% of the budget and rises again: the period",
        {"optimiser": {"schedule": "cosine"}},
        cause="The cosine falls to zero at half of the budget and rises again.",
    ),
    "second beta is zero": Slip(
        each_group(lambda _: True, betas=(0.9, 0.0)),
        "the second beta of AdamW is 0",
        cause="The second beta of AdamW is 0, so steps are divided by the present gradient's size "
        "alone.",
    ),
}
