"""Slips of steps and reports of the twelfth set.

See `slips_twelfth_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.training.metrics import Evaluation
from hexsearch.training.optimisation import owner as steps
from tests.doctor.slips import Patch, Slip, after_each_step, before_clipping, in_reported

_WARM_UP = 400.0  # length of the warm-up, in lengths of the training
_DECAY = 0.01
_NOISE = 1.0  # deviation of the noise of each entry, in lengths of a clipped gradient


def _endless_warm_up(patch: Patch) -> None:
    """The warm-up is as long as in a paper on far longer trainings."""
    sound: Any = steps.set_learning_rate  # type: ignore[attr-defined]

    def set_rates(optimiser: Any, config: Any, progress: float) -> None:
        sound(optimiser, config, progress)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * progress / _WARM_UP * group["factor"]

    patch.setattr(steps, "set_learning_rate", set_rates)


def _grown(stepper: Any, before: dict[str, Tensor]) -> None:
    """Decay apart from the optimiser, which adds the share of each weight to it."""
    for name, parameter in stepper.network.named_parameters():
        parameter.add_(before[name], alpha=_DECAY)


def _noise_of_one_example(network: Any) -> None:
    """Noise as for the gradient of one example is added to the mean over the batch."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.add_(torch.randn_like(parameter.grad), alpha=_NOISE)


def _fitted(answers: Tensor, batch: Batch) -> Tensor:
    """Isotonic regression of the results on the answers: the mean results of adjacent pools."""
    order = answers.argsort()
    pools: list[list[float]] = []  # sum and number of each
    for result in batch.red_won[order].tolist():
        pools.append([result, 1.0])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [pools[-1][0] + last[0], pools[-1][1] + last[1]]
    means = [total / number for total, number in pools for _ in range(int(number))]
    fitted = torch.empty_like(answers)
    fitted[order] = torch.tensor(means, dtype=answers.dtype, device=answers.device)
    return fitted


def _median_loss(patch: Patch) -> None:
    """The median of the squared errors in place of their mean."""
    sound = Evaluation.metrics

    def metrics(self: Any) -> Any:
        made = sound(self)
        errors = (np.asarray(self.win_prob_red) - np.asarray(self.red_won)) ** 2
        wrong = replace(made.overall, value_loss=float(np.median(errors)))
        return replace(made, overall=wrong)

    patch.setattr(Evaluation, "metrics", metrics)


SLIPS: dict[str, Slip] = {
    "warm-up far longer than the training": Slip(
        _endless_warm_up,
        "warm.?up|(learning )?rate.*(ris|grow|increas|never reach|too (small|low)|hardly|far "
        "below|tiny|peak|schedule|configured|below|share|other than|does not)|(too (small|low)|"
        "hardly|never reach|tiny).*(learning )?rate|schedule",
        cause="The warm-up lasts 400 times as long as the training, so the learning rate never "
        "comes near its peak.",
        report="from memory: warm-up steps of a paper kept in a short run",
    ),
    "weight decay with the wrong sign": Slip(
        after_each_step(_grown),
        "weight.?decay|weights?.*(grow|blow|larger|increas|multipl|scaled|changed by|outside|"
        "beside)|grow.*weights?|(outside|besides|something else than|not only|apart from) the "
        "optimiser|decay",
        cause="Weight decay of its own, applied after each step, has the wrong sign: it adds a "
        "hundredth of each weight to it.",
        report="from memory: p.add_(p, alpha=decay) in place of -decay, and without the rate",
    ),
    "noise of privacy not divided by the batch": Slip(
        before_clipping(_noise_of_one_example),
        "nois|(random|other than|not the|differ|foreign|added).*gradient|gradient.*(random|nois|di"
        "ffer|added|not (those|that)|other than|changed|do(es)? not (follow|come|belong|fit|agre))"
        "|(between|before|after).*(backward|clipp|step).*gradient",
        cause="Noise for private training, meant for a sum over the batch, is added to the mean "
        "over the batch, so gradients are noise above all.",
        report="from memory: DP-SGD by hand, with noise that is not divided by the batch size",
    ),
    "answers fitted to the validation results": Slip(
        in_reported(_fitted),
        "isotonic|calibrat|(fitted|fit) (to|on)|(valid|held.?out|test).*(leak|label|results?|"
        "used|known|seen|give)|(label|result|winner|outcome)s?.*(reach|depend|enter|leak|used|"
        "known|give).*(answer|report|evaluat)|(answer|report|evaluat)(s|ed|ions?)?.*(depend|know|"
        "see|use|tak|read|change|follow).*(label|result|winner|outcome)|leak",
        cause="The reported answers are calibrated by isotonic regression on the validation "
        "results themselves, so the report is better than the network.",
        report="from memory: calibration that is fitted and judged on the same set",
    ),
    "median of the losses reported": Slip(
        _median_loss,
        "median|(report|metric|figure|value.?loss).*(not the mean|differ|other than|does not "
        "(agree|fit|follow)|lower than|contradict|recomput|than its|inconsist|wrong)",
        cause="The reported value loss is the median and not the mean of the positions' losses.",
        report="from memory: torch.median or np.median of losses in place of the mean",
    ),
}
