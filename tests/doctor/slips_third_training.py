"""The third set of slips: of training, evaluation and inference. They were looked at."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.auxiliary import TargetBuilder
from hexsearch.data.batch import Batch
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network
from hexsearch.training import evaluation
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.trial import Trial
from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.scripts import NOT_LEARNT, Script, asked_with
from tests.doctor.slips import (
    Patch,
    Slip,
    after_each_step,
    each_group,
    in_losses,
    in_network,
    in_part,
    in_reported,
)

_OWNERSHIP = {"auxiliary": {"ownership": 1.0}}
_AVERAGED = {"optimiser": {"ema_half_life": 2_000}}


def _equal_weights(network: Network) -> None:
    with torch.no_grad():
        for module in network.trunk.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(0.05)


def _own_answer(losses: Any, batch: Batch, stepper: Any) -> Any:
    readout = stepper._readouts[0]
    raw = stepper.network(batch.planes).value_raw.float()
    return losses._replace(values=(readout.loss(raw, readout.win_prob(raw).detach()),))


def _strong_entropy_bonus(losses: Any, batch: Batch, stepper: Any) -> Any:
    logs = stepper.network(batch.planes).policy_logits.float().log_softmax(dim=1)
    entropy = -(logs.exp() * logs).sum(dim=1).mean()
    return losses._replace(policy=losses.policy - 3.0 * entropy)


def _owners_left_behind(patch: Patch) -> None:
    sound = TargetBuilder._encoded_places

    def places(self: Any, games: Any) -> Tensor:
        return sound(self, replace(games, symmetries=torch.zeros_like(games.symmetries)))

    patch.setattr(TargetBuilder, "_encoded_places", places)


def _average_put_into_the_network(stepper: Any, before: dict[str, Tensor]) -> None:
    average = stepper.average.network
    for own, mean in zip(stepper._body.parameters(), average.parameters(), strict=True):
        own.copy_(mean)


def _never_back_to_training(patch: Patch) -> None:
    sound = ManyHeads.train

    def train(self: Any, mode: bool = True) -> Any:
        self.__dict__["was_evaluated"] = self.__dict__.get("was_evaluated", False) or not mode
        return sound(self, mode and not self.__dict__["was_evaluated"])

    patch.setattr(ManyHeads, "train", train)


def _statistics_of_openings(patch: Patch) -> None:
    sound = evaluation.calibrate_norms  # type: ignore[attr-defined]

    def calibrate(network: nn.Module, batches: Iterable[Batch], forward: Any) -> None:
        early = (each.rows((each.ply <= 2).nonzero().flatten()) for each in batches)
        sound(network, (each for each in early if len(each) > 1), forward)

    patch.setattr(evaluation, "calibrate_norms", calibrate)


def _four_bits(patch: Patch) -> None:
    sound = Evaluator.evaluate

    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        rounded = deepcopy(network)
        with torch.no_grad():
            scale = max(float(p.abs().max()) for p in rounded.parameters()) / 7
            for parameter in rounded.parameters():
                parameter.copy_((parameter / scale).round() * scale)
        return sound(self, rounded, positions)

    patch.setattr(Evaluator, "evaluate", evaluate)


def _one_report_behind(patch: Patch) -> None:
    prepare, sound = Trial._prepare, Evaluator.evaluate

    def prepared(self: Any, *arguments: Any) -> None:
        prepare(self, *arguments)
        self.evaluator.__dict__["kept"] = deepcopy(self.body)

    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        before = self.__dict__.get("kept", network)
        self.__dict__["kept"] = deepcopy(network)
        return sound(self, before, positions)

    patch.setattr(Trial, "_prepare", prepared)
    patch.setattr(Evaluator, "evaluate", evaluate)


def _signed_mover(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    planes[2] = 2 * planes[2] - 1
    return planes


def _for_the_other_side(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return ENCODERS["absolute"](stones, -to_move)


def _statistics_not_loaded(network: nn.Module) -> None:
    for module in network.eval().modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()


class _ByStones:
    """Answers are cached under the number of stones."""

    def __init__(self) -> None:
        self.network: Any = None
        self.kept: dict[int, Tensor] = {}

    def __call__(self, network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
        if network is not self.network:
            self.network, self.kept = network, {}
        policy, value = network.answer(planes)
        stones = planes[:, :2].sum(dim=(1, 2, 3)).round().long().tolist()
        rows = [
            self.kept.setdefault(count, each.clone())
            for count, each in zip(stones, value, strict=True)
        ]
        return policy, torch.stack(rows)


def _both_colours_added(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    """The value of the board with colours exchanged is that of the other side; 1 - p is missing."""
    other = planes[:, [1, 0, 2]].transpose(2, 3).contiguous()
    other[:, 2] = 1 - other[:, 2]
    policy, value = network.answer(planes)
    return policy, (value + network.answer(other)[1]) / 2


SLIPS: dict[str, Slip] = {
    "value gradient reversed for the trunk": Slip(
        in_part("value_head", before=lambda f: 2 * f.detach() - f),
        "sign|revers|negat|opposite|wrong direction|against|single parts|gradient",
    ),
    "all weights of the trunk equal": Slip(
        in_network(_equal_weights),
        "initial|constant|equal|identical|same weights|same (channel|feature)|redundant"
        "|symmetr|all alike|begin|rank",
    ),
    "value taught its own answer": Slip(
        in_losses(_own_answer),
        "own answer|own prediction|own output|itself|not the (label|result|outcome)|label"
        "|outcome|no gradient|gradient|does not depend|instead of 0 and 1"
        "|not that of the read-out|nothing",
    ),
    "entropy bonus that flattens the policy": Slip(
        in_losses(_strong_entropy_bonus),
        "entropy|flat|uniform|not the (log|cross)|log.likelihood|added to|bonus|other than"
        "|regularis|negative|sign|something else",
    ),
    "ownership not moved with the board": Slip(
        _owners_left_behind, "ownership|auxiliary", _OWNERSHIP
    ),
    "betas of Adam exchanged": Slip(
        each_group(lambda group: True, betas=(0.999, 0.9)),
        "beta|momentum|moment|average of (the )?gradients|exchanged|settings of the optimiser",
    ),
    "average put back into the network": Slip(
        after_each_step(_average_put_into_the_network),
        "average|undone|put back|copied|something else than|overwrit|changed after|reset",
        _AVERAGED,
    ),
    "eval mode ever after the first report": Slip(
        _never_back_to_training, "eval mode|train mode|train\\(\\)|batch.?norm|running stat|dropout"
    ),
    "batch-norm statistics of openings": Slip(
        _statistics_of_openings, "batch.?norm|statistics|calibrat"
    ),
    "finished boards answered by a half": Slip(
        in_reported(lambda p, b: torch.where(b.final, torch.full_like(p, 0.5), p)),
        "finished|final|0\\.5|half|something else|another formula|constant",
    ),
    "weights of an evaluation in four bits": Slip(
        _four_bits,
        "round|bits|quanti|precision|other weights|another network|something else|copy"
        "|different weights|not the network",
    ),
    "evaluation one report behind": Slip(
        _one_report_behind,
        "behind|stale|old(er)? weights|earlier|previous|last report|other weights|copy"
        "|another network|initial|never updated|not the network|different weights",
    ),
}

SCRIPTS: dict[str, Script] = {
    "batch-norm statistics not loaded": Script(
        "batch.?norm|statistics|running|confident|calibr|" + NOT_LEARNT,
        after=_statistics_not_loaded,
    ),
    "answers kept by the number of stones": Script(
        "cache|kept|earlier call|before|other position|number of stones|same answer|depends? on"
        "|batch|order|repeat|" + NOT_LEARNT,
        answering=_ByStones(),
    ),
    "planes in another order at inference": Script(
        "order of|other order|planes|channel|to.move|mover|exchanged|colour|" + NOT_LEARNT,
        asked=asked_with(lambda p: p[[2, 0, 1]], "absolute"),
    ),
    "side to move as -1 and 1 at inference": Script(
        r"to.move|mover|-1|\+ 1|signed|scaled", asked=asked_with(_signed_mover, "absolute")
    ),
    "both colours averaged without inversion": Script(
        "average|exchang|colour|symmetr|reflect|constant|same|does not depend|spread|other side|"
        + NOT_LEARNT,
        answering=_both_colours_added,
    ),
    "asked for the other side to move": Script(
        "to.move|mover|other side|opponent|exchanged", asked=_for_the_other_side
    ),
    "answers cut to 0 and 1": Script(
        "0 or 1|0 and 1|round|cut|threshold|hard|confident|calibr|only two|certain",
        decode=lambda raw: (raw.reshape(len(raw)) > 0).float(),
    ),
}
