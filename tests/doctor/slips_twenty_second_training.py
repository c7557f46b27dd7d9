"""Slips in the losses, the gradients and the network, of the twenty-second set.

See `slips_twenty_second_data` for how the set was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.model import policy_head as policy_head_module
from hexsearch.model.network import Network
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import step as step_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.step import Stepper
from tests.doctor.listed.places import all_of
from tests.doctor.slips import ABSOLUTE, Inject, Slip, in_network, patched


def _in_stepper(change: Callable[[Any], None]) -> Inject:
    """Change a stepper after it is made."""

    def make(sound: Any) -> Any:
        def init(self: Any, *arguments: Any, **more: Any) -> None:
            sound(self, *arguments, **more)
            change(self)

        return init

    return patched(Stepper, "__init__", make)


def _unweighted_auxiliary(stepper: Any) -> None:
    stepper._taught = dict.fromkeys(stepper._taught, 1.0)


def _weights_exchanged(stepper: Any) -> None:
    config = stepper._config
    policy = config.policy_head.model_copy(update={"weight": config.value_weight})
    stepper._config = config.model_copy(
        update={"value_weight": config.policy_head.weight, "policy_head": policy}
    )


def in_activations(change: Callable[[nn.Module], nn.Module]) -> Inject:
    """Another module in place of each ReLU of the trunk."""

    def in_trunk(network: Network) -> None:
        for module in list(network.trunk.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.ReLU):
                    setattr(module, name, change(child))

    return in_network(in_trunk)


class _NotCalled(nn.Module):
    """Holds an activation that nobody calls."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return x


def in_policy_loss(change: Callable[[Any], Any]) -> Inject:
    """Another policy loss, wherever it is used."""
    users = (policy_head_module, step_module, evaluation_module)
    return all_of(*(patched(module, "policy_loss", change) for module in users))


def _softmax_twice(sound: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        found: Tensor = sound(logits.float().softmax(1), target, has_move)
        return found

    return loss


def _clip_each(_: Any) -> Any:
    def clip(network: Any, limit: float) -> Tensor:
        parameters = [p for p in network.parameters() if p.grad is not None]
        norms = [torch.nn.utils.clip_grad_norm_([p], limit) for p in parameters]
        return torch.stack(norms).square().sum().sqrt()

    return clip


def _complemented_again(sound: Any) -> Any:
    def forward(self: Any, batch: Batch, watched: bool) -> Any:
        outcome = torch.where(batch.complement, 1.0 - batch.outcome, batch.outcome)
        return sound(self, replace(batch, outcome=outcome), watched)

    return forward


class _PlainList(nn.Module):
    """Hidden layers in a list of Python, which torch does not see, and a last layer."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.hidden = list(layers)[:-1]
        self.output = layers[-1]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = layer(x)
        out: Tensor = self.output(x)
        return out


def _unregistered(network: Network) -> None:
    head: Any = network.value_head
    head.layers = _PlainList(head.layers)


SLIPS: dict[str, Slip] = {
    "auxiliary losses without their weights": Slip(
        _in_stepper(_unweighted_auxiliary),
        r"(auxiliary|ownership|moves_left|moves left)\b.{0,160}(weight|unweighted|scale|factor|tim"
        r"es|too (large|strong|much|great|high)|domina|outweigh|larger than)|(weight|scale|factor|"
        r"times|share)\w*.{0,120}(auxiliary|ownership|moves_left|moves left)",
        {"auxiliary": {"ownership": 0.05, "moves_left": 0.05}},
        cause="The losses of the auxiliary heads enter the training loss with weight 1 and not "
        "with their configured weights of 0.05.",
        report="own imagination",
    ),
    "weights of both losses exchanged": Slip(
        _in_stepper(_weights_exchanged),
        r"(value|policy)[ _](loss|head|weight|gradient|term)?\w*.{0,100}(weight|factor|scale|times"
        r"|share)\w*.{0,140}(exchang|swap|policy|value|configur|differ|wrong|not|instead|larg|smal"
        r"l|strong|weak)|(weight|factor|scale)s?\b.{0,60}(of|for|on) (the )?(value|policy).{0,140}"
        r"(exchang|swap|policy|value|configur|differ|wrong|not|instead|larg|small)|(policy|value) "
        r"(loss|gradient)\b.{0,100}(weighs?|weighed|weighted|outweigh|domina|too (large|small|stro"
        r"ng|weak|much|little)|times (the|its|too|as)|scaled|policy_head\.weight|value_weight)|pol"
        r"icy_head\.weight|value_weight",
        cause="The training loss multiplies the value loss by policy_head.weight and the policy "
        "loss by value_weight.",
        report="own imagination",
    ),
    "no activation in the trunk": Slip(
        in_activations(_NotCalled),
        r"(activations?|relus?)\b.{0,100}(not called|never called|not (us|appl|act)|no effect|unus"
        r"ed|skipp|left out|identity|does nothing|missing|absent|without)|\b(no|without|missing|la"
        r"cks?|lacking|unused)\b.{0,20}(activation|relu|non.?linear)|non.?linear|(trunk|network|bl"
        r"ock|stem|layers?|features?|answers?|whole)\b.{0,100}\b(linear|affine|additive)\b(?! laye"
        r"r| head)|\b(linear|affine) (function|map|network|trunk|model|in (the|its))",
        cause="No activation of the trunk is called, neither after the stem nor in the blocks, "
        "so the whole network is linear in its planes.",
        report="own imagination",
    ),
    "second softmax in the policy loss": Slip(
        in_policy_loss(_softmax_twice),
        r"softmax|policy\b.{0,160}(cross.?entropy|normalis\w+ (twice|again|already)|probabilit"
        r"\w+ (as|for|in place of|instead of) logit|log.?likelihood|bounded|cannot fall|never fall"
        r"|flat)|(cross.?entropy|log.?likelihood)\b.{0,120}policy|(double|twice|second)\b.{0,40}no"
        r"rmalis",
        {"policy_head": {"weight": 1.0}},
        cause="The policy loss applies a softmax to the logits before the cross-entropy, which "
        "applies another one.",
        report="own imagination",
    ),
    "gradients clipped tensor by tensor": Slip(
        patched(owner_module, "clip_gradients", _clip_each),
        r"clip\w*.{0,160}(each|every|tensors?|parameters?|parts?\b|separate|joint|global|individua"
        r"l|one by one|single|\bper\b|above|exceed|larger|more than|longer|over the limit|not (lim"
        r"ited|bounded|scaled)|direction)|(each|every|separate|single|\bper\b|individual|one by on"
        r"e|joint|global)\w*\b.{0,100}clip|(norm|gradients?)\b.{0,120}(above|exceed|larger than|ov"
        r"er|longer than)\b.{0,40}(limit|clip)",
        {"optimiser": {"name": "sgd", "learning_rate": 2.0, "clip": 0.05}},
        cause="The gradient of each tensor is clipped to the limit by itself, and not the joint "
        "norm of all gradients.",
        report="own imagination",
    ),
    "value target complemented twice": Slip(
        patched(Stepper, "_forward", _complemented_again),
        r"(labels?|targets?|outcomes?|results?|complement\w*|value loss)\b.{0,160}(twice|second ti"
        r"me|again|swap|exchang|complement|revers|invert|reflect|mirror|flip|wrong (side|colour|co"
        r"lor|perspective)|perspective|symmetr|contradict|not (that|those|the) )|(swap|reflect|mir"
        r"ror|exchang|symmetr|perspective|complement|revers)\w*.{0,160}(labels?|targets?|outcomes?"
        r"|results?|value loss)\b|(value )?loss\b.{0,100}(other|wrong|different|inverted|another|n"
        r"ot the|not of the) (target|label|outcome|result)",
        ABSOLUTE,
        cause="The loss complements the value target of swapped positions a second time, so it "
        "is that of the position before the swap.",
        report="own imagination",
    ),
    "hidden layers in a plain list": Slip(
        in_network(_unregistered),
        r"regist|plain list|python list|list of (layers|modules|python)|(hidden|layers?|value.?hea"
        r"d|linear)\b.{0,160}(not (in|part|train|updat|mov|held|known|found|learn|among|owned|seen"
        r" by|covered)|missing|never (train|mov|updat|learn|chang)|frozen|fixed|stays?\b|absent|le"
        r"ft out|do(es)? not (learn|train|move|change)|outside|without an? optim)|(weights?|parame"
        r"ters?)\b.{0,120}(not (in|held|known|part of|found|owned|seen by|trained|updated|moved|le"
        r"arnt)\b|left out|outside|never (train|mov|updat|learn|chang)|do(es)? not (learn|train|mo"
        r"ve|change)|without an? optim)|(optimi[sz]er|parameters\(\)|state_dict|checkpoint|no grou"
        r"p)\b.{0,80}\b(miss\w*|lacks?|without|not (hold|know|have|contain)|no)\b.{0,60}(hidden|la"
        r"yers?|head|weights?|parameters?)",
        {"value_head": "512->64->1"},
        cause="The hidden layers of the value head are in a plain list and not registered, so "
        "they are not in the optimiser and not in the state, and never learn.",
        report="own imagination",
    ),
}
