"""Slips in the network, its initial weights and the losses, of a blind set."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.model import trunk as trunk_module
from hexsearch.model.blocks import SqueezeExcitation
from hexsearch.model.network import Network
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import step as step_module
from hexsearch.training.step import Stepper
from tests.doctor.slips import Inject, Patch, Slip, in_network, patched

_GAIN = 3.0
_ACTIVATIONS = (nn.ReLU, nn.SiLU, nn.Mish, nn.GELU)


def _all_weights_one(sound: Any) -> Any:
    def init(self: Any, *arguments: Any, **more: Any) -> None:
        sound(self, *arguments, **more)
        self._taught = dict.fromkeys(self._taught, 1.0)

    return init


def _loud(_: Any) -> Any:
    def initialise(trunk: nn.Module) -> None:
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.orthogonal_(module.weight, gain=_GAIN)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    return initialise


def _replaced(root: nn.Module, kinds: Any, make: Any) -> None:
    for module in list(root.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, kinds):
                setattr(module, name, make(child))


def _linear_head(network: Network) -> None:
    _replaced(network.value_head, _ACTIVATIONS, lambda _: nn.Identity())


def _kept_is_dropped(network: Network) -> None:
    for module in network.value_head.modules():
        if isinstance(module, nn.Dropout):
            module.p = 1.0 - module.p


class _Clamped(nn.Module):
    """An activation between 0 and 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0.0, 1.0)


def _up_to_one(network: Network) -> None:
    _replaced(network.trunk, _ACTIVATIONS, lambda _: _Clamped())


def _fixed_scales(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.weight is not None:
            module.weight.requires_grad_(False)


def _open_gates(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, SqueezeExcitation):
            module.gate[-1] = nn.Identity()


def _in_policy_loss(make: Any) -> Inject:
    """Another policy loss, in steps and in evaluations."""

    def inject(patch: Patch) -> None:
        loss = make(vars(step_module)["policy_loss"])
        for module in (step_module, evaluation_module):
            patch.setattr(module, "policy_loss", loss)

    return inject


def _of_softmax(sound: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        out: Tensor = sound(logits.float().softmax(dim=1), target, has_move)
        return out

    return loss


def _summed(_: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        losses = functional.cross_entropy(logits.float(), target, reduction="none")
        return (losses * has_move.to(losses.dtype)).sum()

    return loss


SLIPS: dict[str, Slip] = {
    "auxiliary losses with weight 1": Slip(
        patched(Stepper, "__init__", _all_weights_one),
        "auxiliary|moves.left|ownership|weight",
        {"auxiliary": {"moves_left": 0.1, "ownership": 0.2}},
        cause="Each auxiliary loss has weight 1 in the training loss, whatever the configuration "
        "says: they count five to ten times as much as configured.",
    ),
    "orthogonal weights with gain 3": Slip(
        patched(trunk_module, "_initialise", _loud),
        "initial|gain|explo|features?\\b.*(large|grow|size|scale)|large|grow|scale|clip|loud",
        {"trunk": {"norm": "none"}},
        cause="The kernels of the trunk, which has no norms, begin as orthogonal matrices with "
        "gain 3: the features grow from layer to layer and are far too large at the first step.",
    ),
    "hidden layer without activation": Slip(
        in_network(_linear_head),
        "activation|linear|hidden|non-?linear|relu",
        {"value_head": {"family": "mlp", "widths": [64]}},
        cause="The hidden layer of the value head has no activation: both layers together are one "
        "linear function of the pooled features.",
    ),
    "dropout drops what should be kept": Slip(
        in_network(_kept_is_dropped),
        "dropout|drop",
        {"value_head": {"family": "mlp", "widths": [64], "dropout": 0.1}},
        cause="The dropout of the value head gets the share to keep and not that to drop: with "
        "0.1, it drops 90% of the hidden units.",
    ),
    "softmax before cross-entropy": Slip(
        _in_policy_loss(_of_softmax),
        "softmax|policy loss|policy.*(loss|logits|gradient)|cross-?entropy",
        cause="The policy's logits go through a softmax before the cross-entropy, which applies "
        "another one: the loss stays near log of the number of cells and its gradient is tiny.",
    ),
    "activations clamped to 1": Slip(
        in_network(_up_to_one),
        "activation|clamp|bound|saturat|relu|limit|\\b1\\b|gradient",
        cause="The activations of the trunk are clamped to 0 to 1 and not only to positive values: "
        "units above 1 are saturated and pass no gradient.",
    ),
    "scales of the norms do not train": Slip(
        in_network(_fixed_scales),
        "norm|scale|requires_grad|not (trained|train|in the optimiser|change)|frozen|froze|"
        "unchanged|parameters?\\b.*(not|never)",
        cause="The scales of all batch norms are frozen at 1: they require no gradient and are in "
        "no group of the optimiser.",
    ),
    "policy loss summed over positions": Slip(
        _in_policy_loss(_summed),
        "policy.*(loss|weight|mean|sum|gradient)|sum|batch size",
        cause="The policy loss is the sum over the positions and not the mean: it counts as many "
        "times too much as a batch has moves, and drowns the value loss.",
    ),
    "gate without sigmoid": Slip(
        in_network(_open_gates),
        "sigmoid|gate|excit|squeeze|negative|\\(0, 1\\)",
        {"trunk": {"squeeze_excitation": True}},
        cause="The gate of squeeze-and-excitation has no sigmoid: channels are multiplied by any "
        "number, also by negative ones, and nearly by 0 at first.",
    ),
}
