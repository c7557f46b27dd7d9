"""Slips listed a third time in the network: norms, first weights, views, crops and biases."""

from __future__ import annotations

from torch import nn

from hexsearch.model import equivariance, layers
from hexsearch.model import trunk as trunk_module
from hexsearch.model.auxiliary import CellHead
from hexsearch.model.blocks import PlainBlock
from hexsearch.model.network import Network
from hexsearch.model.trunk import Trunk
from tests.doctor.slips import Slip, in_network
from tests.doctor.source_edits import edited


def _twice_zero(network: Network) -> None:
    for block in network.trunk.modules():
        if isinstance(block, PlainBlock) and isinstance(block.norm2, nn.BatchNorm2d):
            nn.init.zeros_(block.norm2.weight)
            nn.init.zeros_(block.conv2.weight)


SLIPS: dict[str, Slip] = {
    "first norm of a block used twice": Slip(
        edited(
            PlainBlock,
            "forward",
            {"self.norm2(self.conv2(inner))": "self.norm1(self.conv2(inner))"},
        ),
        "in block 1 norm 1 is applied in place of norm 2, too",
        cause="PlainBlock.forward applies norm1 after both convolutions; norm2 is never called, "
        "so its weights get no gradient and norm1 is shared.",
    ),
    "residual branch begins at zero twice": Slip(
        in_network(_twice_zero),
        r"conv2\.weight and \S+norm2\.weight both begin at 0 .*such branch\(es\) .*never learn",
        cause="Both the second convolution and the scale of the second norm of each block begin at "
        "0, so neither gets a gradient and the residual branch never learns.",
    ),
    "variance in place of the standard deviation": Slip(
        edited(
            trunk_module,
            "_initialise",
            {
                'kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")': "normal_("
                "module.weight, std=2.0 / (module.out_channels * module.weight[0, 0].numel()))"
            },
        ),
        "initial weights of the trunk are far too small: .* is the variance .*square root is miss",
        {"trunk": {"preset": "tiny", "norm": "none"}},
        cause="Convolutions are initialised with standard deviation 2/fan where sqrt(2/fan) is "
        "meant (root forgotten), so without norms the features are far too small.",
    ),
    "the other view is not turned back": Slip(
        edited(
            equivariance,
            "joined_views",
            {"torch.cat([own, turned(other)], dim=1)": "torch.cat([own, other], dim=1)"},
        ),
        "not equivariant: the features of the turned view are joined without being turned back",
        {
            "trunk": {"preset": "tiny", "equivariant": True},
            "value_head": "flatten 512->4->32->1",
        },
        cause="The features of the turned view are joined without being turned back, so the two "
        "halves of the channels do not show the same cells.",
    ),
    "no bias without a norm": Slip(
        edited(layers, "make_convolution", {'bias = config.norm == "none"': "bias = False"}),
        "trunk does not compute what is configured: its convolutions have no bias, and no norm",
        {"trunk": {"preset": "tiny", "norm": "none"}},
        cause="Convolutions of a trunk without norms have no bias although nothing else replaces "
        "it.",
    ),
    "pre-activation trunk without its last norm": Slip(
        edited(Trunk, "forward", {"self.widen(self.finish(features))": "self.widen(features)"}),
        "trunk does not compute what is configured: its last norm and activation are left out",
        {"trunk": {"preset": "tiny", "block": "preact"}},
        cause="The last norm and activation of a trunk of pre-activation blocks are never used.",
    ),
}
SLOW: dict[str, Slip] = {
    "cell head crops the corner": Slip(
        edited(
            CellHead,
            "forward",
            {
                "out[:, :, self._board, self._board]": "out[:, :, : self._board.stop - "
                "self._board.start, : self._board.stop - self._board.start]"
            },
        ),
        "output of ownership_head a slice of dimension 2 from 0 to 5, .*takes the place of a slice "
        "of dimension 2 from 1 to 6",
        {"trunk": {"preset": "tiny", "strides": [1, 1]}, "auxiliary": {"ownership": 0.5}},
        cause="The map of an auxiliary head is cropped at the upper left corner instead of inside "
        "the edge ring: cells are shifted by one row and column.",
    ),
}
