"""Slips in the network, the losses and the steps, of the twenty-fourth set.

See `slips_twenty_fourth_data` for how the set was drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.model.blocks import PlainBlock
from hexsearch.model.network import Network
from hexsearch.model.pooling import MeanPooling
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.eager import eager
from hexsearch.training.optimisation.optimiser import parameter_groups
from tests.doctor.slips import Slip, in_network, in_rates, in_value_loss, patched
from tests.doctor.slips_twentieth_training import cleared_every

_BATCH = 64


def _one_norm(network: Network) -> None:
    for block in network.trunk.modules():
        if isinstance(block, PlainBlock):
            block.norm2 = block.norm1


def _corner(_: Any) -> Any:
    return lambda self, features_BCHW: features_BCHW[:, :, 0, 0]


def _decay_in_the_gradient(_: Any) -> Any:
    def build(network: Any, config: OptimiserConfig, device: torch.device) -> torch.optim.Optimizer:
        groups, betas = parameter_groups(network, config), (config.momentum, 0.999)
        return eager(torch.optim.Adam)(groups, lr=config.learning_rate, betas=betas, fused=True)

    return build


class _WithoutGradient(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            for module in self:
                x = module(x)
        return x


def _stage_without_gradient(network: Any) -> None:
    network.trunk.stages[0].__class__ = _WithoutGradient


SLIPS: dict[str, Slip] = {
    "gradients never cleared, once more": Slip(
        cleared_every(None),
        "clear|accumul|zero_grad|earlier batch|previous (batch|step)|old gradient|stale|left over",
        cause="zero_grad is missing: each step adds its gradient to the clipped sum of all "
        "earlier ones.",
    ),
    "one norm in two places": Slip(
        in_network(_one_norm),
        "shared|same (module|norm)|two places|batch.?norm|norm.*twice|statistics",
        cause="In each residual block whose norms have equal widths the second norm is the same "
        "module as the first one, so both places share weights and running statistics; the "
        "statistics of evaluation then fit neither.",
    ),
    "corner instead of mean pooling": Slip(
        patched(MeanPooling, "forward", _corner),
        "corner|one (cell|place)|pool|part of the (board|map|features)|ignores|sees only",
        cause="The value head's mean pooling returns the features of the top left place of the "
        "map alone; the value head sees nothing of the other places.",
    ),
    "L2 instead of decoupled decay": Slip(
        patched(owner_module, "build_optimiser", _decay_in_the_gradient),
        r"decay|decoupled|adamw|\bL2\b(?! norm)",
        cause="Adam is used in place of AdamW: weight decay is added to the gradient (L2), where "
        "the moments rescale it, instead of shrinking the weights by the rate.",
    ),
    "rate times batch size": Slip(
        in_rates(lambda group: group["lr"] * _BATCH),
        "learning rate|batch size|diverg|explod|too (large|high)",
        cause="The learning rate of every group is multiplied by the batch size (64).",
    ),
    "a stage without gradient": Slip(
        in_network(_stage_without_gradient),
        "no.?grad|detach|stem|first stage|stage ?1|not trained|never (moves|trained)|frozen",
        cause="The first stage of the trunk is computed under no_grad, so stem and first stage "
        "get no gradient and stay at their initial weights.",
    ),
    "finished positions not taught": Slip(
        in_value_loss(lambda loss, batch: loss * batch.has_move),
        "finished|final|no (next )?move|has_move|mask|left out|last position",
        cause="The value loss is multiplied by the mask of positions that have a next move, so "
        "finished positions do not train the value.",
    ),
}
