"""Slips of evaluation, checkpoints and foreign scripts of the sixth set.

See `slips_sixth_data` for what counts as named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.statistics import slices
from hexsearch.training import metrics
from hexsearch.training.trial import Trial
from tests.doctor.scripts import NOT_LEARNT, Script, asked_with
from tests.doctor.slips import Patch, Slip

_LOGIT = functional.binary_cross_entropy_with_logits
_AREA = 25


def _auc_of_decisions(patch: Patch) -> None:
    sound = slices._Slices._auc

    def auc(self: Any, *args: Any) -> Any:
        decided = (self.answers.p > 0.5).long()
        return sound(replace(self, rank=decided, distinct=2), *args)

    patch.setattr(slices._Slices, "_auc", auc)


def _best_so_far(patch: Patch) -> None:
    sound = Trial.reports

    def reports(self: Any) -> Any:
        made = sound(self)
        overall = made[0].metrics.overall
        least = min(overall.value_loss, getattr(self, "least_value_loss", 1.0))
        self.least_value_loss = least
        kept = replace(made[0].metrics, overall=replace(overall, value_loss=least))
        return (replace(made[0], metrics=kept), *made[1:])

    patch.setattr(Trial, "reports", reports)


def _by_position(patch: Patch) -> None:
    sound = slices._Slices._clustered

    def clustered(self: Any, weights: Any, mean: Any, count: Any) -> Any:
        residuals = weights * (self.answers.errors - mean[:, None])
        games, _ = sound(self, weights, mean, count)
        return games, residuals.square().sum(1).sqrt() / count

    patch.setattr(slices._Slices, "_clustered", clustered)


def _stages_exchanged(patch: Patch) -> None:
    sound, exchanged = metrics.slice_masks, [2, 1, 0]

    def masks(columns: Any) -> Any:
        made = sound(columns)
        return torch.cat([made[exchanged], made[3:]])

    patch.setattr(metrics, "slice_masks", masks)


def _in_bfloat16(patch: Patch) -> None:
    sound = Trial.state

    def state(self: Any) -> Any:
        made = sound(self)
        stored = {
            name: each.bfloat16().to(each.dtype) if each.is_floating_point() else each
            for name, each in made["network"].items()
        }
        return {**made, "network": stored}

    patch.setattr(Trial, "state", state)


def _average_begins_anew(patch: Patch) -> None:
    sound = Trial.load_state

    def load(self: Any, state: Any) -> None:
        sound(self, state)
        self._stepper.average.network.load_state_dict(self.body.state_dict())

    patch.setattr(Trial, "load_state", load)


SLIPS: dict[str, Slip] = {
    "AUC of decisions instead of answers": Slip(
        _auc_of_decisions, "AUC", cause="AUC is computed from answers rounded to 0 and 1."
    ),
    "best value loss so far is reported": Slip(
        _best_so_far,
        "value.?loss.*(earlier|best|least|not that|not those|differ)|best|earlier report|least",
        cause="The reported value loss is the least of all reports so far.",
    ),
    "positions counted as independent": Slip(
        _by_position,
        "standard error|interval|cluster|independent|value_loss_se",
        cause="The standard error is computed as if positions of a game were independent.",
    ),
    "early and late exchanged in the report": Slip(
        _stages_exchanged,
        "stage|early|late",
        cause="The metrics of early positions are reported as those of late ones, and vice versa.",
    ),
    "weights saved in bfloat16": Slip(
        _in_bfloat16,
        "round|precision|bfloat|16|bits|not (exact|the same)|other (weights|answers)",
        cause="A saved network has weights rounded to bfloat16.",
    ),
    "average begins anew after a resume": Slip(
        _average_begins_anew,
        "average",
        {"optimiser": {"ema_half_life": 2_000}},
        cause="The averaged weights are replaced by the current ones when a trial is resumed.",
    ),
}


def _transposed_policy(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return policy.reshape(-1, 5, 5).transpose(1, 2).flatten(1), value


def _gathered_in_reverse(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    return policy.flip(0), value.flip(0)


def _buffer_of_32(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    kept = (torch.arange(len(planes)) < 32).float()[:, None]
    return policy * kept, value * kept


def _stones(samples: Any) -> Tensor:
    count: Tensor = samples.planes[:, :2].sum(dim=(1, 2, 3))
    return count


def _with_number(planes: Tensor, scale: float) -> Tensor:
    number = planes[:, :2].sum(dim=(1, 2, 3)) * scale
    shown = planes.clone()
    shown[:, 2] = number[:, None, None]
    return shown


def _number_at_inference(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    planes[2] = planes[:2].sum()
    return planes


def _winner_to_move(samples: Any) -> Tensor:
    mover_is_red = samples.to_move > 0
    kept: Tensor = (samples.to_move != 0) & (mover_is_red == (samples.red_won > 0.5))
    return kept.nonzero().flatten()


def _one_and_two(planes: Tensor) -> Tensor:
    shown = planes.clone()
    shown[:, 0] = torch.where(shown[:, 0] < 0, 2.0, shown[:, 0])
    return shown


def _of_log(raw: Tensor, target: Tensor) -> Tensor:
    log = raw[:, 0].clamp(max=-1e-6)
    return -(target * log + (1 - target) * torch.log(-torch.expm1(log))).mean()


def _fifty_bins(raw: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(raw, (target * 50).round().long())


def _policy_of_another_run(network: nn.Module) -> None:
    network.eval()
    for module in network.get_submodule("policy").modules():
        if isinstance(module, nn.Conv2d):
            module.reset_parameters()


SCRIPTS: dict[str, Script] = {
    "policy map read column by column at inference": Script(
        "policy.*(column|transpos|axes|reflect|mirror)",
        answering=_transposed_policy,
        cause="The policy at inference stands in the transposed order of cells.",
    ),
    "trunk not in the optimiser": Script(
        "trunk|features|untrained|weak|" + NOT_LEARNT,
        trained=lambda n: [
            *n.get_submodule("policy").parameters(),
            *n.get_submodule("value").parameters(),
        ],
        cause="The trunk was never trained.",
    ),
    "only openings shown in training": Script(
        "(early|opening|late|finished|stage|stones).*(wrong|worse|chance|poor|unknown|not|only)"
        "|never (seen|saw|learnt).*(late|finished|stones)",
        rows=lambda samples: (_stones(samples) < 8).nonzero().flatten(),
        cause="Only positions with fewer than 8 stones were trained on.",
    ),
    "move number not normalised at inference": Script(
        "plane.*(scale|divided|normal|times|25|too large|range)|(scale|divided|times).*plane",
        shown=lambda planes: _with_number(planes, 1 / _AREA),
        asked=asked_with(_number_at_inference, "absolute"),
        cause="The third plane holds the number of stones; in training it was divided by 25.",
    ),
    "most probable bin for the mean": Script(
        "most probable|argmax|mode\\b|bins?|only 0 and 1|0 and 1 alone|rounded|hard",
        outputs=51,
        loss=_fifty_bins,
        decode=lambda raw: raw.argmax(dim=1).float() / 50,
        cause="The answer is the most probable bin, not the mean over the bins.",
    ),
    "log of the probability reported": Script(
        "log|exp\\b|exp\\(|negative|outside|below 0",
        last=nn.LogSigmoid,
        loss=_of_log,
        decode=lambda raw: raw.reshape(len(raw)),
        cause="The network gives the logarithm of the probability, and it is reported as it is.",
    ),
    "only positions of the winner to move": Script(
        "side.to.move|mover|who is to move",
        rows=_winner_to_move,
        cause="Only positions with the winner to move were kept, so the side to move is the label.",
    ),
    "stones 1 and 2 in training, -1 and 1 at inference": Script(
        "(plane|stones|blue|-1).*(2|scale|sign|value|other|multipl|times|encod)|encoded",
        view="signed",
        shown=_one_and_two,
        cause="Blue stones are 2 in training and -1 at inference.",
    ),
    "policy head of another run": Script(
        "policy.*(chance|learnt nothing|not learnt|untrained|loaded|uniform|random|weights)",
        after=_policy_of_another_run,
        cause="The policy head has the weights of another run; the value is sound.",
    ),
    "answers gathered in reverse order": Script(
        "order|another row|other row|revers|batch|another position|other position",
        answering=_gathered_in_reverse,
        cause="The answers of a batch come back in reverse order.",
    ),
    "buffer of 32 rows for larger batches": Script(
        "batch|rows?\\b|first 32|32",
        answering=_buffer_of_32,
        cause="In a batch only the first 32 positions are answered; the others get raw outputs 0.",
    ),
}
