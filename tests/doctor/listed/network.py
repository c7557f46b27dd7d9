"""Listed slips in the network: shortcuts, axes and initial weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.model.blocks import PlainBlock, SqueezeExcitation
from hexsearch.model.network import Network
from tests.doctor.slips import Slip, in_network, in_part, patched


def _overwritten_shortcut(sound: Any) -> Any:
    """As if an in-place activation had overwritten the block's input."""

    def forward(self: PlainBlock, features: Tensor) -> Any:
        if not isinstance(self.shortcut, nn.Identity):
            return sound(self, features)
        inner = self.act1(self.norm1(self._first(features)))
        return self.act2(inner + self._excited(self.norm2(self.conv2(inner))))

    return forward


def _gate_of_the_batch(_: Any) -> Any:
    def forward(self: SqueezeExcitation, features: Tensor) -> Any:
        return features * self.gate(features.mean(dim=(0, 2, 3)))[None, :, None, None]

    return forward


def _huge_branches(network: Network) -> None:
    with torch.no_grad():
        for module in network.trunk.modules():
            if isinstance(module, PlainBlock):
                module.conv1.weight.mul_(8.0)
                module.conv2.weight.mul_(8.0)


SLIPS: dict[str, Slip] = {
    "shortcut overwritten by the inner activation": Slip(
        patched(PlainBlock, "forward", _overwritten_shortcut),
        "the shortcut passes on the inner activation and not the block's input",
        {"trunk": {"preset": "tiny", "blocks": [2, 2]}},
        cause="The shortcut of blocks that keep the shape is overwritten by the inner activation, "
        "so it does not pass on the block's input.",
    ),
    "softmax of the policy over the batch": Slip(
        in_part("policy_head", after=lambda logits: logits.softmax(0)),
        r"in Around an operation \(a norm, a softmax, .*\) goes over the batch \(dimension 0\)",
        cause="The policy head ends in a softmax over the batch axis.",
    ),
    "gate of the mean over the batch": Slip(
        patched(SqueezeExcitation, "forward", _gate_of_the_batch),
        r"\(SqueezeExcitation\) an operation .*a mean, .*goes over the batch \(dimension 0\)",
        {"trunk": {"preset": "tiny", "squeeze_excitation": True}},
        cause="Squeeze-and-excitation takes its gate from the mean over the batch, so answers "
        "depend on each other.",
    ),
    "huge branches without norms": Slip(
        in_network(_huge_branches),
        "the initial weights of the trunk .*are far too large",
        {"trunk": {"preset": "tiny", "norm": "none"}},
        cause="Convolutions of the residual branches start with a gain of eight, without a norm, "
        "so features are huge.",
    ),
}
