"""Slips of network, training, resuming and evaluation of the fifth set, written before a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.data.position_set import PositionSet
from hexsearch.model.readout import SmoothedReadout
from hexsearch.statistics import slices
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.networks_of_slips import (
    branch_forgotten,
    normalised_by_position,
    pooled_over_channels,
    wrapped_round,
)
from tests.doctor.slips import (
    Inject,
    Patch,
    Slip,
    each_group,
    in_losses,
    in_network,
    in_optimiser,
    in_part,
    in_rates,
)

_SGD = {"optimiser": {"name": "sgd", "learning_rate": 0.05}}
_ABSOLUTE = {"encoder": {"perspective": "absolute", "edge_ring": False}}


def _weights_exchanged(losses: Any, batch: Batch, stepper: Any) -> Any:
    weight = stepper._config.policy_head.weight
    return losses._replace(values=(losses.value * weight,), policy=losses.policy / weight)


def _smoothed_the_wrong_way(patch: Patch) -> None:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        smoothed = target * (1.0 + self.smoothing) - 0.5 * self.smoothing
        return self.inner.loss(raw, smoothed)  # type: ignore[no-any-return]

    patch.setattr(SmoothedReadout, "loss", loss)


def _each_piece_as_a_whole(losses: Any, batch: Batch, stepper: Any) -> Any:
    """The mean over a micro-batch is taken, and the sum over them not divided."""
    pieces = stepper._config.batch_size / len(batch)
    return losses._replace(values=(losses.value * pieces,), policy=losses.policy * pieces)


def _decay_and_its_rest(patch: Patch) -> None:
    @torch.no_grad()
    def update(self: Any, size: int, positions_seen: int) -> None:
        half_life = min(self._half_life, 0.1 * positions_seen)
        torch._foreach_lerp_(self._averages, self._weights, 0.5 ** (size / half_life))

    patch.setattr(AveragedNetwork, "update", update)


def _begins_anew(patch: Patch) -> None:
    sound = steps.set_learning_rate  # type: ignore[attr-defined]

    def set_rates(optimiser: Any, config: Any, progress: float) -> None:
        sound(optimiser, config, 8.0 * progress % 1.0)

    patch.setattr(steps, "set_learning_rate", set_rates)


def _of_a_copy(optimiser: Any) -> None:
    for group in optimiser.param_groups:
        group["params"] = [nn.Parameter(p.detach().clone()) for p in group["params"]]


def _clamped_after_each_step(patch: Patch) -> None:
    sound = Stepper.step

    def step_of(self: Any, *arguments: Any) -> None:
        sound(self, *arguments)
        with torch.no_grad():
            for parameter in self._body.parameters():
                parameter.clamp_(-0.02, 0.02)

    patch.setattr(Stepper, "step", step_of)


def _always_of_the_limit(patch: Patch) -> None:
    """The factor limit / norm without its upper bound of 1."""
    sound = steps.clip_gradients  # type: ignore[attr-defined]

    def clip(network: Any, limit: float) -> Any:
        norm = sound(network, limit)
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.grad.mul_(limit / norm.clamp(min=1e-6, max=limit))
        return norm

    patch.setattr(steps, "clip_gradients", clip)


def _annealed(losses: Any, batch: Batch, stepper: Any) -> Any:
    left = max(0.0, 1.0 - stepper._steps / 40)
    return losses._replace(values=(losses.value * left,))


def _every_second_step(losses: Any, batch: Batch, stepper: Any) -> Any:
    return losses._replace(values=(losses.value * float(stepper._steps % 2 == 0),))


def _signed_by_the_result(losses: Any, batch: Batch, stepper: Any) -> Any:
    logits = stepper.network(batch.planes).policy_logits.float()
    each = functional.cross_entropy(logits, batch.policy_target, reduction="none")
    signed = each * (2 * batch.outcome - 1) * batch.has_move
    return losses._replace(policy=signed.sum() / batch.has_move.sum().clamp(min=1))


def _plies_not_normalised(losses: Any, batch: Batch, stepper: Any) -> Any:
    return losses._replace(
        auxiliary={**losses.auxiliary, "moves_left": 625 * losses.auxiliary["moves_left"]}
    )


def _at_load(change: Callable[[Trial, Callable[[Any], None], Any], None]) -> Inject:
    def inject(patch: Patch) -> None:
        sound = Trial.load_state
        patch.setattr(
            Trial,
            "load_state",
            lambda self, state: change(self, lambda told: sound(self, told), state),
        )

    return inject


def _value_head_not_restored(trial: Trial, load: Callable[[Any], None], state: Any) -> None:
    heads: Any = trial.body.heads
    before = [{name: each.clone() for name, each in h.state_dict().items()} for h in heads]
    load(state)
    for head, own in zip(trial.body.heads, before, strict=True):
        head.load_state_dict(own)


def _from_the_first_position(trial: Trial, load: Callable[[Any], None], state: Any) -> None:
    load(state)
    trial.positions_seen = 0


def _finished_boards_only(patch: Patch) -> None:
    sound = Evaluator.evaluate

    def evaluate(self: Any, network: Any, positions: PositionSet) -> Any:
        games = np.unique(positions.games)
        lengths = self.stream.builder.archive.lengths[games]
        ones = np.ones(len(games), dtype=np.uint16)
        finals = PositionSet(
            games.astype(np.int32),
            lengths.astype(np.uint16),
            ones,
            np.arange(1, len(games) + 1, dtype=np.int64),
        )
        return sound(self, network, finals)

    patch.setattr(Evaluator, "evaluate", evaluate)


def _absolute_error(patch: Patch) -> None:
    sound, column = slices.figures, slices.FIGURES.index("value_loss")

    def of(answers: Any, masks: Any) -> Any:
        found, inside = sound(answers, masks), masks[:, answers.order].double()
        found[:, column] = inside @ (answers.p - answers.won).abs() / inside.sum(1)
        return found

    patch.setattr(slices, "figures", of)


SLIPS: dict[str, Slip] = {
    "weights of value and policy exchanged": Slip(
        in_losses(_weights_exchanged),
        "loss weight|weights? of the|multiplied|times|scaled",
    ),
    "label smoothing with the wrong sign": Slip(
        _smoothed_the_wrong_way,
        "smooth|beyond|below 0|outside|unbounded",
        {"readout": {"name": "bce", "label_smoothing": 0.2}},
    ),
    "micro-batches summed and not averaged": Slip(
        in_losses(_each_piece_as_a_whole),
        "micro|piece|multiplied by 4|times 4|4(\\.0+)? times|not divided|accumul",
        {"micro_batch": 16},
    ),
    "decay of the average exchanged with its rest": Slip(
        _decay_and_its_rest,
        "average",
        {"optimiser": {"ema_half_life": 2_000}},
    ),
    "weight decay of norms and biases": Slip(
        each_group(lambda group: group["weight_decay"] == 0, weight_decay=0.5),
        "decay",
    ),
    "schedule that begins anew": Slip(_begins_anew, "schedule|learning rate"),
    "optimiser of a copy of the network": Slip(
        in_optimiser(_of_a_copy),
        "never reach|not those of|copy|other parameters|not in the optimiser|no group"
        "|does not hold",
    ),
    "weights clamped after each step": Slip(
        _clamped_after_each_step,
        "clamp|bounded|weights? (are|is) changed|changed after|something else than|limited|cut",
    ),
    "gradients brought to the length of the limit": Slip(
        _always_of_the_limit, "clip|scaled|length|normalis|norm", _SGD
    ),
    "value head at a hundred times the rate": Slip(
        in_rates(lambda g: g["lr"] * (100.0 if g["owner"] == "value_head" else 1.0)),
        "rate.*value|value.*rate|learning rate",
    ),
    "value weight annealed to nothing": Slip(
        in_losses(_annealed), "fade|anneal|shrink|later|falls to|steps|vanish|decreas|weight"
    ),
    "value loss at every second step": Slip(
        in_losses(_every_second_step), "second step|alternat|some steps|other step|every 2"
    ),
    "policy loss signed by the result": Slip(
        in_losses(_signed_by_the_result),
        "sign|negative|lost|loser|result|outcome|winner",
    ),
    "plies of an auxiliary head not normalised": Slip(
        in_losses(_plies_not_normalised),
        "moves.left|auxiliary",
        {"auxiliary": {"moves_left": 0.1}},
    ),
    "residual branch forgotten": Slip(
        in_network(branch_forgotten),
        "no gradient|never used|nothing depends|does not depend|unused|not reach|stages",
    ),
    "value output divided by a thousand": Slip(
        in_part("value_head", after=lambda v: v / 1000),
        "small|scale|divided|flat|cannot|range|times",
    ),
    "input normalised by position": Slip(
        in_part("trunk", before=normalised_by_position),
        "side.to.move|mover|constant plane|instance|normali",
        {"encoder": {"perspective": "absolute"}},
    ),
    "convolutions that wrap around": Slip(
        in_network(wrapped_round), "wrap|circular|shift|transl|edges|padding", _ABSOLUTE
    ),
    "value pooled over the channels": Slip(
        in_network(pooled_over_channels), "pool|channel|axis|mean over"
    ),
    "policy head reads detached features": Slip(
        in_part("policy_head", before=torch.detach), "policy.*(detach|reach|trunk)|detach"
    ),
    "value head not restored": Slip(
        _at_load(_value_head_not_restored), "value.?head|restor|not loaded|resum|saved|continu"
    ),
    "stream from the beginning after a resume": Slip(
        _at_load(_from_the_first_position), "cursor|positions|begin|resum|stream|continu"
    ),
    "evaluated on finished boards only": Slip(
        _finished_boards_only, "finished|final|part of|validation|left out|other positions"
    ),
    "absolute error reported as the value loss": Slip(
        _absolute_error, "value.?loss|metric|absolute|Brier|not that of the answers"
    ),
}
