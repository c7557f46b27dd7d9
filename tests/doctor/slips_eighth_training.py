"""Slips of networks, losses, steps, evaluation and saved states, taken from public reports.

See `slips_eighth_data` for their origin and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, in_losses, in_network, in_value_loss

_MOVER = {"encoder": {"perspective": "mover", "edge_ring": False}}
_AREA = 25


def _mean_of(each: Tensor, batch: Batch) -> Tensor:
    return (each * batch.has_move).sum() / batch.has_move.sum().clamp(min=1)


def _illegal_filled(losses: Any, batch: Batch, stepper: Any) -> Any:
    logits = stepper.network(batch.planes).policy_logits.float()
    occupied = batch.planes[:, :2].sum(dim=1).flatten(1) > 0
    filled = logits.masked_fill(occupied, -1e-10)
    each = functional.cross_entropy(filled, batch.policy_target, reduction="none")
    return losses._replace(policy=_mean_of(each, batch))


def _over_the_batch(losses: Any, batch: Batch, stepper: Any) -> Any:
    logs = functional.log_softmax(stepper.network(batch.planes).policy_logits.float(), dim=0)
    each = -logs.gather(1, batch.policy_target[:, None])[:, 0]
    return losses._replace(policy=_mean_of(each, batch))


def _first_part_again(patch: Patch) -> None:
    def parts(self: Batch, size: int) -> Iterator[Batch]:
        return (self.piece(0, size) for _ in range(0, len(self), size))

    patch.setattr(Batch, "parts", parts)


def _layer_replaced(patch: Patch) -> None:
    sound = Stepper.__init__

    def init(self: Any, body: Any, *arguments: Any) -> None:
        sound(self, body, *arguments)
        for head in body.heads:
            last = [each for each in head.modules() if isinstance(each, nn.Linear)][-1]
            last.weight = nn.Parameter(last.weight.detach().clone())

    patch.setattr(Stepper, "__init__", init)


def _never_cleared(patch: Patch) -> None:
    def prepare(self: Any, progress: float) -> None:
        steps.set_learning_rate(self.optimiser, self._config, progress)  # type: ignore[attr-defined]

    patch.setattr(Owner, "prepare", prepare)


def _decay_at_each_batch(patch: Patch) -> None:
    sound = steps.set_learning_rate  # type: ignore[attr-defined]
    taken: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def set_rates(optimiser: Any, *arguments: Any) -> None:
        sound(optimiser, *arguments)
        taken[optimiser] = taken.get(optimiser, 0) + 1
        for group in optimiser.param_groups:
            group["lr"] *= 0.95 ** (taken[optimiser] - 1)

    patch.setattr(steps, "set_learning_rate", set_rates)


class _InAList(nn.Module):
    """A block in a plain list, which torch does not see."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.blocks = [block]

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


def _blocks_in_a_list(network: Network) -> None:
    stages: Any = network.trunk.stages
    stages[0][0] = _InAList(stages[0][0])


def _all_zero(network: Network) -> None:
    with torch.no_grad():
        for parameter in network.value_head.parameters():
            parameter.zero_()


def _statistics_never_computed(patch: Patch) -> None:
    patch.setattr(Evaluator, "calibrate", lambda self, network: network.eval())


def _optimiser_forgotten(patch: Patch) -> None:
    def load(self: Any, state: Any) -> None:
        self.gradients.load_state(state["gradients"], self._device)
        self.randomness.state = state["rng"]

    patch.setattr(Owner, "load_state", load)


def _schedule_begins_anew(patch: Patch) -> None:
    sound_load, sound_prepare = Owner.load_state, Owner.prepare

    def load(self: Any, state: Any) -> None:
        sound_load(self, state)
        self.begun_at = None

    def prepare(self: Any, progress: float) -> None:
        if hasattr(self, "begun_at"):
            self.begun_at = progress if self.begun_at is None else self.begun_at
            progress -= self.begun_at
        sound_prepare(self, progress)

    patch.setattr(Owner, "load_state", load)
    patch.setattr(Owner, "prepare", prepare)


def _means_divided_by_samples(patch: Patch) -> None:
    sound = Trial.reports

    def reports(self: Any) -> Any:
        made = sound(self)
        shown = made[0].train_value_loss / self.config.batch_size
        return (replace(made[0], train_value_loss=shown), *made[1:])

    patch.setattr(Trial, "reports", reports)


def _kept(evaluation: Evaluation, rows: slice) -> Evaluation:
    names = ("win_prob_red", "red_won", "stage", "to_end", "final", "game", "ply")
    columns: dict[str, NDArray[Any]] = {name: getattr(evaluation, name)[rows] for name in names}
    return Evaluation(**columns)


def _last_batch_only(patch: Patch) -> None:
    sound = Evaluator.evaluate

    def evaluate(self: Any, *arguments: Any) -> Any:
        evaluations, policy_loss = sound(self, *arguments)
        return tuple(_kept(each, np.s_[-128:]) for each in evaluations), policy_loss

    patch.setattr(Evaluator, "evaluate", evaluate)


def _nothing_loaded(patch: Patch) -> None:
    sound = Trial.load_state

    def load(self: Any, state: Any) -> None:
        own = {name: tensor.clone() for name, tensor in self.body.state_dict().items()}
        sound(self, {**state, "network": own})

    patch.setattr(Trial, "load_state", load)


def _eval_forgotten(patch: Patch) -> None:
    patch.setattr(ManyHeads, "eval", lambda self: self.train())


SLIPS: dict[str, Slip] = {
    "policy loss with the sign of the write-up": Slip(
        in_losses(lambda m, b, _: m._replace(policy=-m.policy)),
        "policy.*(sign|negative|-1|revers|invert)",
        cause="The policy loss has the wrong sign.",
        report="suragnair/alpha-zero-general#104",
    ),
    "KL divergence averaged over cells": Slip(
        in_losses(lambda m, b, _: m._replace(policy=m.policy / _AREA)),
        "policy.*(cells|25|0\\.04|factor|times|divided)",
        cause="The policy loss is divided by the number of cells.",
        report="pytorch/pytorch#5801, forum",
    ),
    "illegal moves filled with a small number": Slip(
        in_losses(_illegal_filled),
        "policy.*(occupied|illegal|stones|mask|legal|taken)",
        _MOVER,
        cause="In the policy loss the logits of occupied cells are set to 0.",
        report="LeelaChessZero/lczero-training#64",
    ),
    "policy softmax over the batch": Slip(
        in_losses(_over_the_batch),
        "policy.*(batch|rows|axis|dim)",
        cause="The policy's softmax is taken over the batch and not over the cells.",
        report="forum",
    ),
    "first part of the batch for every part": Slip(
        _first_part_again,
        "micro|part|first (16|quarter|rows)|rows.*(left out|not|never|only)|only.*(16|first|part)",
        {"micro_batch": 16},
        cause="Each micro-batch is the first one, so three quarters of the batch never count.",
        report="facebookresearch/DeepSDF#28",
    ),
    "layer replaced after the optimiser was built": Slip(
        _layer_replaced,
        "(value.?head|layer|weight).*(optimiser|never|not.*(chang|train|step)|frozen|left out)",
        cause="The optimiser holds the old weight of the value head's last layer.",
        report="forum",
    ),
    "value loss made a new tensor": Slip(
        in_value_loss(lambda value, batch: value.detach().clone()),
        "value.*(gradient|detach|graph|does not reach|no slope|never)",
        cause="The value loss is detached, so it gives no gradient.",
        report="forum",
    ),
    "gradients never cleared": Slip(
        _never_cleared,
        "gradient.*(clear|accumul|earlier|sum|zero|stale|last step|previous)",
        cause="Gradients are not cleared between steps.",
        report="forum",
    ),
    "scheduler stepped at every batch": Slip(
        _decay_at_each_batch,
        "rate.*(schedule|decay|falls|each step|every step|0\\.95|configured|lower)",
        cause="The learning rate is multiplied by 0.95 at every step.",
        report="forum",
    ),
    "blocks kept in a plain list": Slip(
        in_network(_blocks_in_a_list),
        "(block|stage|trunk|weights|parameter).*(not|never|missing|hidden|regist|left out)",
        cause="The weights of a block are not registered, so they are neither trained nor saved.",
        report="forum",
    ),
    "value head of zeros": Slip(
        in_network(_all_zero),
        "value.?head.*(zero|initial|dead|equal|constant)",
        {"value_head": "512->64->1"},
        cause="All initial weights of the value head are 0, so no gradient passes through it.",
        report="forum",
    ),
    "statistics of averaged weights never computed": Slip(
        _statistics_never_computed,
        "statistic|norm|calibrat",
        {"optimiser": {"ema_half_life": 2_000}},
        cause="The averaged weights are evaluated with batch-norm statistics of no data.",
        report="leela-zero/leela-zero#1090",
    ),
    "optimiser made anew after a resume": Slip(
        _optimiser_forgotten,
        "(optimiser|moment|average|Adam|state).*(load|resum|restor|lost|anew|reset|zero|continu)",
        cause="A resumed trial does not load the optimiser's state.",
        report="OpenNMT/OpenNMT-py#617",
    ),
    "schedule begins anew after a resume": Slip(
        _schedule_begins_anew,
        "(rate|schedule).*(resum|load|anew|begin|start|restor|continu)|resum.*(rate|schedule)",
        {"optimiser": {"schedule": "cosine"}},
        cause="After a resume the learning rate is that of the start of the schedule.",
        report="torch-points3d/torch-points3d#630",
    ),
    "mean losses divided by the samples": Slip(
        _means_divided_by_samples,
        "(train|report).*(loss).*(64|batch|divided|factor|times|scale)",
        cause="The reported training loss is divided by the batch size once more.",
        report="forum",
    ),
    "metrics of the last batch": Slip(
        _last_batch_only,
        "(report|evaluat|position|row|metric).*(last|left out|missing|fewer|not all|128|subset)",
        cause="The report is about the last 128 validation positions only.",
        report="forum",
    ),
    "checkpoint loaded without its weights": Slip(
        _nothing_loaded,
        "(weights|network).*(not load|initial|not restor|other|own|differ|lost|not those)",
        cause="Loading a checkpoint leaves the initial weights in the network.",
        report="forum",
    ),
    "eval forgotten in evaluation": Slip(
        _eval_forgotten,
        "eval mode|training mode|train mode|batch.?norm|statistic|rest of the batch|depends on the",
        cause="Evaluation runs in training mode, with the statistics of each batch.",
        report="facebookresearch/ELF#110",
    ),
}
