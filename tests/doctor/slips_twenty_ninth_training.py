"""Slips in the network, the losses and the steps, of the twenty-ninth set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.game.board import RED
from hexsearch.model import trunk as trunk_module
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.network import Network, NetworkOutput
from hexsearch.training import prior as prior_module
from hexsearch.training import step as step_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import LOOK_EVERY, Stepper
from tests.doctor.slips import Patch, Slip, in_network, patched


def _only_occupied(logits: Tensor, planes: Tensor) -> Tensor:
    size = round(logits.shape[1] ** 0.5)
    margin = (planes.shape[2] - size) // 2
    board = slice(margin, margin + size)
    stones = planes[:, :2, board, board].sum(1).flatten(1) > 0.5
    return logits.masked_fill(~stones, -1e9)


def _mask_inverted(patch: Patch) -> None:
    forward, shared = Network.forward, ManyHeads.shared

    def masked(self: Any, planes: Tensor, auxiliary: bool = False) -> NetworkOutput:
        out = forward(self, planes, auxiliary)
        return out._replace(policy_logits=_only_occupied(out.policy_logits, planes))

    def masked_shared(self: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = shared(self, planes)
        return features, _only_occupied(logits, planes)

    patch.setattr(Network, "forward", masked)
    patch.setattr(ManyHeads, "shared", masked_shared)


def _other_sign(sound: Any) -> Any:
    return lambda head, raw: sound(head, -raw)


def mostly_red(archive: GameArchive) -> GameArchive:
    """Every second game that Blue won is left out."""
    blue = np.cumsum(archive.winners != RED)
    return build_archive(
        archive.game(index)
        for index in range(len(archive))
        if archive.winners[index] == RED or blue[index] % 2 == 0
    )


def _policy_with_weight_of_value(sound: Any) -> Any:
    def init(self: Any, *arguments: Any, **more: Any) -> None:
        sound(self, *arguments, **more)
        config = self._config
        head = config.policy_head.model_copy(update={"weight": config.value_weight})
        self._config = config.model_copy(update={"policy_head": head})

    return init


def _only_at_looks(sound: Any) -> Any:
    def update(self: Any, size: int, positions_seen: int) -> None:
        if (positions_seen - size) // size % LOOK_EVERY == 0:
            sound(self, size, positions_seen)

    return update


def _by_reference(_: Any) -> Any:
    def init(self: Any, network: Any, half_life: int) -> None:
        self.network = network
        self._half_life = half_life
        self._averages = list(network.parameters())
        self._weights = list(network.parameters())

    return init


def _epsilon_of_one(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1.0


def _smoothed_over_all_cells(_: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        each = functional.cross_entropy(
            logits.float(), target, reduction="none", label_smoothing=0.1
        )
        mask = has_move.to(each.dtype)
        return (each * mask).sum() / mask.sum().clamp(min=1.0)

    return loss


def _always_to_the_limit(_: Any) -> Any:
    def clip(network: Any, limit: float) -> Tensor:
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        with torch.no_grad():
            for gradient in gradients:
                gradient.mul_(limit / (norm + 1e-6))
        return norm

    return clip


class _WithPolicy(nn.Module):
    """A value head that adds how sure the policy is to its output."""

    def __init__(self, inner: nn.Module, policy: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        object.__setattr__(self, "policy", policy)  # its parameters belong to another part

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.inner(features)
        logits: Tensor = vars(self)["policy"](features)
        sure = logits.softmax(1).amax(1)
        return out + sure


def _value_with_policy(network: Network) -> None:
    network.value_head = _WithPolicy(network.value_head, network.policy_head)


def _generator_not_restored(sound: Any) -> Any:
    def load(self: Any, state: dict[str, Any]) -> None:
        own = self.randomness.state
        sound(self, state)
        self.randomness.state = own

    return load


def _one_seed_for_all(_: Any) -> Any:
    def initialise(trunk: nn.Module) -> None:
        seed = torch.initial_seed()
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                torch.manual_seed(seed)
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    return initialise


SLIPS: dict[str, Slip] = {
    "policy on occupied cells": Slip(
        _mask_inverted,
        "mask|occupied|illegal|legal|empty cells|policy.*(loss|logit|-1e)|logits?",
        cause="The mask of legal moves is inverted: the logits of empty cells are set to -1e9, and "
        "those of occupied cells are kept. The policy's loss is huge, and no move can be learnt.",
    ),
    "prior with the wrong sign": Slip(
        patched(prior_module, "set_first_answer", _other_sign),
        "prior|first answer|initial (answer|bias)|bias|sign",
        {
            "readout": {"start_at_prior": True},
            "encoder": {"perspective": "absolute"},
            "augment": False,
        },
        games=mostly_red,
        cause="start_at_prior sets the last bias with the wrong sign: the first "
        "answers are 1 minus "
        "the share of wins among the training positions.",
    ),
    "policy loss with the value's weight": Slip(
        patched(Stepper, "__init__", _policy_with_weight_of_value),
        "policy.*weight|weight.*policy|configured weight|weighted sum|"
        "weights? of the (policy|loss)",
        cause="The weight of the policy loss is read from value_weight: it is 1 where the "
        "configuration asks for a smaller one, so the policy dominates the trunk.",
    ),
    "average updated every 50 steps": Slip(
        patched(AveragedNetwork, "update", _only_at_looks),
        "averag|\\bema\\b|half-?life|stale|lag",
        {"optimiser": {"ema_half_life": 1000}},
        cause="The average of the weights is updated only at every 50th step, with the factor of a "
        "single step: its half-life is 50 times as long as configured.",
    ),
    "average is the network itself": Slip(
        patched(AveragedNetwork, "__init__", _by_reference),
        "averag|\\bema\\b|shar|alias|same (tensor|weight|module|object)|copy|reference",
        {"optimiser": {"ema_half_life": 1000}},
        cause="The averaged network is not a copy and shares its tensors with the trained one: "
        "nothing is averaged, and the last weights are evaluated.",
    ),
    "epsilon of batch norms is 1": Slip(
        in_network(_epsilon_of_one),
        "eps|epsilon|batch.?norm|normali|variance|spread",
        cause="Batch norms have an epsilon of 1 and not 1e-5: channels with a small variance are "
        "not normalised, so features shrink from layer to layer.",
    ),
    "policy smoothed over all cells": Slip(
        patched(step_module, "policy_loss", _smoothed_over_all_cells),
        "smooth|policy.*(loss|target|occupied|cross.?entropy)|occupied|all cells",
        cause="The policy loss has a label smoothing of 0.1 that nobody configured, "
        "over all cells: "
        "a share of the target lies on occupied cells.",
    ),
    "gradients always scaled to the limit": Slip(
        patched(owner_module, "clip_gradients", _always_to_the_limit),
        "clip|scaled (up|to)|norm limit|limit|enlarg|normali[sz]ed gradient|"
        "gradients?.*(norm|scal)",
        cause="Clipping scales the gradients to the limit in every step, also where their norm is "
        "below it: small gradients are enlarged, and their size is lost.",
    ),
    "value reads the policy's certainty": Slip(
        in_network(_value_with_policy),
        "policy (head|logit|softmax|output)|value.*policy|policy.*value|another head|other head|"
        "gradient.*policy",
        cause="The largest probability of the policy's softmax is added to the raw value, without "
        "detaching it: the value depends on the policy head, which gets gradients of the value "
        "loss.",
    ),
    "dropout not restored": Slip(
        patched(Owner, "load_state", _generator_not_restored),
        "resum|restor|checkpoint|generator|random|\\brng\\b|dropout|continu",
        {"value_head": "512->64->1 dropout 0.1"},
        cause="The random generator of the dropout is not restored from a checkpoint: a resumed "
        "trial repeats the masks of its beginning and differs from one that was not interrupted.",
    ),
    "kernels from one seed": Slip(
        patched(trunk_module, "_initialise", _one_seed_for_all),
        "same (initial|weight|kernel|seed|values)|equal (weight|kernel|layer)|identical|initial|"
        "cop(y|ies)|seed|correlat",
        cause="The random generator is seeded again before each convolution: all layers of the "
        "same shape begin with the same weights.",
    ),
}
