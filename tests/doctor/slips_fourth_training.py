"""The fourth set of slips: of training and inference. It was run once, after the checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data import batches as batch_building
from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder
from hexsearch.training import evaluation
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.step import Stepper
from tests.doctor.boards import with_boards
from tests.doctor.scripts import NOT_LEARNT, Script, of_the_mover, won_or_lost
from tests.doctor.slips import (
    Around,
    Inject,
    Patch,
    Slip,
    each_group,
    in_losses,
    in_network,
    in_optimiser,
    in_reported,
    in_value_loss,
)


def _stages_in_alphabetical_order(patch: Patch) -> None:
    sound = batch_building.stage_weights  # type: ignore[attr-defined]
    patch.setattr(
        batch_building, "stage_weights", lambda *arguments: sound(*arguments)[[0, 2, 1]].copy()
    )


def _stem_without_gradient(network: Any) -> None:
    network.trunk.stem = Around(network.trunk.stem, after=torch.detach)


def _without_log_softmax(losses: Any, batch: Batch, stepper: Any) -> Any:
    logits = stepper.network(batch.planes).policy_logits.float()
    chosen = logits.gather(1, batch.policy_target[:, None])[:, 0]
    mask = batch.has_move.float()
    return losses._replace(policy=-(chosen * mask).sum() / mask.sum().clamp(min=1))


def _focal(value: Tensor, batch: Batch) -> Tensor:
    return value * (1 - (-value).exp()) ** 3


def _hardest_quarter(value: Tensor, batch: Batch) -> Tensor:
    least = value.detach().topk(max(len(value) // 4, 1)).values[-1]
    return value * (value >= least)


def _schedule_ends_early(patch: Patch) -> None:
    sound = steps.set_learning_rate  # type: ignore[attr-defined]

    def set_rates(optimiser: Any, config: Any, progress: float) -> None:
        sound(optimiser, config, min(20.0 * progress, 1.0))

    patch.setattr(steps, "set_learning_rate", set_rates)


def _made_anew(optimiser: Any) -> None:
    sound = optimiser.step

    def step_of(closure: Any = None) -> None:
        optimiser.state.clear()
        sound()

    optimiser.step = step_of


def _cleared_before_each_piece(patch: Patch) -> None:
    sound = Stepper._send_back

    def send_back(self: Any, *arguments: Any) -> None:
        self.network.zero_grad(set_to_none=True)
        sound(self, *arguments)

    patch.setattr(Stepper, "_send_back", send_back)


def _in_evaluation(change: Callable[[BatchBuilder, Batch], Batch]) -> Inject:
    def inject(patch: Patch) -> None:
        sound = evaluation.evaluation_batches  # type: ignore[attr-defined]

        def batches(builder: BatchBuilder, *arguments: Any) -> Any:
            for batch in sound(builder, *arguments):
                yield change(builder, batch)

        patch.setattr(evaluation, "evaluation_batches", batches)

    return inject


def _not_canonical(builder: BatchBuilder, batch: Batch) -> Batch:
    plies = batch.ply.numpy()
    return with_boards(builder, batch, np.zeros_like(plies), plies)


def _trunk_not_loaded(network: Any) -> None:
    torch.manual_seed(9)
    for module in network.trunk.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    network.eval()


def _who_is_to_move(samples: Any, target: Tensor) -> Tensor:
    red: Tensor = (samples.to_move > 0).float()
    return red


def _mirrored(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    shown = -stones[:, ::-1] if to_move > 0 else stones
    return np.stack([shown == -1, shown == 1]).astype(np.float32)


def _won_or_drawn(raw: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(raw, torch.where(target > 0.5, 0, 1))


def _of_list(raw: Tensor) -> Tensor:
    chance: Tensor = raw.softmax(dim=1) @ torch.tensor([1.0, 0.5, 0.0])
    return chance


def _of_list_over_the_batch(raw: Tensor) -> Tensor:
    chance: Tensor = raw.softmax(dim=0) @ torch.tensor([1.0, 0.5, 0.0])
    return chance


SLIPS: dict[str, Slip] = {
    "stage weights in alphabetical order": Slip(
        _stages_in_alphabetical_order,
        "stage|weight|unequal",
        {"curriculum": {"name": "all", "stage_weights": {"early": 0.05, "middle": 0.05}}},
    ),
    "stem without gradient": Slip(
        in_network(_stem_without_gradient),
        "stem|no gradient|detach|never trained|not trained|frozen|first layer|does not reach"
        "|part of the trunk|nothing reaches|never move|gradient",
    ),
    "policy loss without log-softmax": Slip(
        in_losses(_without_log_softmax),
        "softmax|log.likelihood|cross.entropy|negative|below 0|unbounded|raw logits|normalis"
        "|not that of",
    ),
    "focal loss read as a probability": Slip(
        in_value_loss(_focal),
        "focal|not that of the read-out|confident|weight|power|unequal|scaled|another loss",
    ),
    "only the hardest quarter counts": Slip(
        in_value_loss(_hardest_quarter),
        "mask|quarter|part of|hard|largest|top|some positions|weight|left out",
    ),
    "value loss clamped at 0.6": Slip(
        in_value_loss(lambda v, b: v.clamp(max=0.6)),
        "clamp|clip|bounded|capped|cut off|limit|no gradient|mask|not that of the read-out"
        "|gradient|largest",
    ),
    "schedule over after a twentieth": Slip(
        _schedule_ends_early, "schedule|\\brate|progress|too (early|soon|fast)|no step|not move"
    ),
    "epsilon of Adam at 1": Slip(
        each_group(lambda group: True, eps=1.0),
        "eps|too small|tiny|hardly move|smaller than|scaled|no step|does not move|learning rate",
    ),
    "optimiser made anew at every step": Slip(
        in_optimiser(_made_anew),
        "moment|state|forg[eo]t|anew|reset|new optimiser|fresh|cleared|first step|by sign"
        "|something else than|momentum|re-?created",
    ),
    "gradient of the last micro-batch only": Slip(
        _cleared_before_each_piece,
        "micro|accumul|last (part|piece|quarter)|part of the batch|piece|cleared|overwrit"
        "|only (the|a)|quarter|another loss|some positions",
        {"micro_batch": 16},
    ),
    "judged by the mover's result": Slip(
        _in_evaluation(lambda builder, batch: replace(batch, red_won=batch.outcome)),
        "judged|compared|evaluat|result|red_won|label|side to move|mover|Blue|perspective"
        "|other winner",
    ),
    "canonical form forgotten in evaluation": Slip(
        _in_evaluation(_not_canonical),
        "canonical|evaluation.*(planes|boards|shown)|reflect|mover|side to move|Red is to move"
        "|odd plies|exchanged|other planes|perspective|symmetr",
    ),
    "confidence reported for chance": Slip(
        in_reported(lambda p, b: torch.maximum(p, 1 - p)),
        "something else|another formula|confiden|never below|above (0\\.5|half)|colour|larger"
        "|maximum|both sides|1 - p|Blue",
    ),
}

SCRIPTS: dict[str, Script] = {
    "trunk not among the loaded weights": Script(
        NOT_LEARNT + "|trunk|random|initial|loaded|constant|does not depend|spread",
        after=_trunk_not_loaded,
    ),
    "taught who is to move": Script(
        "to.move|mover|odd plies|even plies|whose turn|does not depend on the (stones|board)|"
        + NOT_LEARNT,
        targets=_who_is_to_move,
    ),
    "trained on 0 and 1, read from -1 to 1": Script(
        r"0 and 1|\+ 1\) / 2|never below|above (0\.5|half)|from 0\.5|half|too high|favour|bias",
        last=nn.Tanh,
        loss=lambda raw, target: (raw[:, 0] - target).square().mean(),
        decode=lambda raw: (raw.reshape(len(raw)) + 1) / 2,
    ),
    "losses taught as draws": Script(
        r"draw|never below|above (0\.5|half)|list|order|half|too high|favour|bias",
        outputs=3,
        loss=_won_or_drawn,
        decode=_of_list,
    ),
    "softmax over the batch": Script(
        "batch|over the positions|axis|dim|other positions|softmax|" + NOT_LEARNT,
        outputs=3,
        loss=won_or_lost,
        decode=_of_list_over_the_batch,
    ),
    "factor left out at inference": Script(
        "confident|temperature|scale|calibr|factor|times|towards (0\\.5|half)|flat|squeez",
        loss=lambda raw, target: functional.binary_cross_entropy_with_logits(8 * raw[:, 0], target),
    ),
    "policy always taught cell 0": Script(
        "always|constant|same (cell|move)|cell 0|first cell|corner|a1|does not depend|occupied"
        "|policy",
        moves=lambda s: torch.where(s.played >= 0, 0, -1),
    ),
    "mirrored for Red, not transposed": Script(
        "transpos|reflect|mirror|flip|left and right|left to right|upside down|diagonal|to.move"
        "|mover|wrong edges",
        view="mover",
        asked=_mirrored,
        decode=of_the_mover,
    ),
}
