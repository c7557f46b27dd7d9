"""Slips listed again in the network: norms, gates, poolings, crops and first weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.model import many_heads
from hexsearch.model.blocks import SqueezeExcitation
from hexsearch.model.network import Network
from hexsearch.model.policy_head import ConvolutionPolicyHead
from hexsearch.model.pooling import AttentionPooling, Flatten
from hexsearch.training import prior as prior_module
from tests.doctor.slips import Slip, in_network, patched


def _one_group_each(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, nn.GroupNorm):
            module.num_groups = module.num_channels


def _no_sigmoid(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, SqueezeExcitation):
            module.gate = nn.Sequential(*list(module.gate)[:-1])


def softmax_over_heads(_: Any) -> Any:
    def forward(self: AttentionPooling, features_BCHW: Tensor) -> Tensor:
        weights = self.score(features_BCHW).flatten(2).softmax(dim=1)
        groups = torch.unflatten(features_BCHW.flatten(2), 1, (self.heads, -1))
        pooled: Tensor = (groups @ weights.unsqueeze(3)).flatten(1)
        return pooled

    return forward


def _as_in_memory(_: Any) -> Any:
    def forward(self: Flatten, features_BCHW: Tensor) -> Tensor:
        numbers = features_BCHW.shape[1:].numel()
        return torch.as_strided(features_BCHW, (len(features_BCHW), numbers), (numbers, 1))

    return forward


def _cropped_from_the_corner(_: Any) -> Any:
    def forward(self: ConvolutionPolicyHead, features_BCHW: Tensor) -> Tensor:
        logits: Tensor = self.layers(features_BCHW)[:, 0]
        return logits[:, : self.size, : self.size].flatten(1)

    return forward


SLIPS: dict[str, Slip] = {
    "one group for each channel": Slip(
        in_network(_one_group_each),
        "a group norm of 16 groups takes the place of a group norm of 8 groups",
        {"trunk": {"preset": "tiny", "norm": "group"}},
        cause="The group norm has one group for each channel, which is an instance norm.",
    ),
    "gate without its sigmoid": Slip(
        in_network(_no_sigmoid),
        "trunk does not compute what is configured: .* sigmoid is left out",
        {"trunk": {"preset": "tiny", "squeeze_excitation": True}},
        cause="The sigmoid of the gate of squeeze-and-excitation is missing.",
    ),
    "softmax of the attention over the heads": Slip(
        patched(AttentionPooling, "forward", softmax_over_heads),
        "softmax over dimension 1 takes the place of softmax over dimension 2",
        {"value_head": "attention 512->64->1"},
        cause="The softmax of the attention pooling is over the heads and not over the cells.",
    ),
    "map flattened in the order of the memory": Slip(
        patched(Flatten, "forward", _as_in_memory),
        "in the raw value numbers read in the order of the memory is put in",
        {"value_head": "flatten 512->4->128->1", "memory_format": "channels_last"},
        cause="The flattened map of the value head is in the order of the memory, so an answer "
        "depends on the memory format.",
    ),
    "ring cropped from the corner": Slip(
        patched(ConvolutionPolicyHead, "forward", _cropped_from_the_corner),
        "a slice of dimension 1 from 0 to 5, .*takes the place of a slice of dimension 1 from 1",
        {
            "policy_head": {"family": "convolution", "weight": 1.0},
            "trunk": {"preset": "tiny", "strides": [1, 1]},
        },
        cause="The ring is cropped from the policy map at the wrong margin, so logits are those of "
        "neighbouring cells.",
    ),
    "first bias is the share of wins": Slip(
        patched(prior_module, "raw_of", lambda _: lambda readout, win_prob: win_prob),
        "start_at_prior sets a wrong bias: the share of wins itself, and not its logit",
        {"readout": {"start_at_prior": True}},
        cause="start_at_prior sets the bias of the last layer to the share of wins and not to its "
        "logit.",
    ),
    "same weights for all seeds": Slip(
        patched(many_heads, "build_network", lambda sound: lambda *given: sound(*given[:3], 0)),
        "seed of the trial does not reach the initial weights",
        cause="The seed does not reach build_network, so trials of all seeds begin with the same "
        "weights.",
    ),
}
