"""Slips in the network, the losses and the steps, of the twenty-sixth set.

See `slips_twenty_sixth_data` for how the set was drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.model.blocks import PreactivationBlock
from hexsearch.model.network import Network
from hexsearch.model.pooling import AttentionPooling
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation import schedule as schedule_module
from hexsearch.training.step import Stepper
from tests.doctor.listed_again.network import softmax_over_heads
from tests.doctor.listed_again.steps import without_pi
from tests.doctor.slips import Around, Slip, each_group, in_network, patched
from tests.doctor.slips_twenty_third_training import circular

_BATCH = 64


def _no_warmup(sound: Any) -> Any:
    def rate(config: Any, progress: float) -> float:
        found: float = sound(config, max(progress, config.warmup))
        return found

    return rate


def _projected_where_they_agree(sound: Any) -> Any:
    """PCGrad between value and policy on the trunk, with the sign of its test turned round."""

    def send_back(self: Any, values: list[Tensor], shared: list[Tensor], junction: Any) -> None:
        if junction is not None or not shared:
            sound(self, values, shared, junction)
            return
        scale, network = self._scaler.scale, self.network
        weights = [p for p in network.parameters() if p.requires_grad]
        of_trunk = {id(p) for p in network.trunk.parameters()}
        kinds: Any = [
            torch.autograd.grad(scale(loss), weights, retain_graph=True, allow_unused=True)
            for loss in (values[0], sum(shared[1:], shared[0]))
        ]
        pairs = [
            (v, s)
            for p, v, s in zip(weights, *kinds, strict=True)
            if id(p) in of_trunk and v is not None and s is not None
        ]
        dot = sum((v * s).sum() for v, s in pairs)
        sizes = [sum(pair[n].square().sum() for pair in pairs) + 1e-12 for n in (0, 1)]
        conflict = dot > 0  # gradients are in conflict where it is < 0
        for p, v, s in zip(weights, *kinds, strict=True):
            parts = [gradient for gradient in (v, s) if gradient is not None]
            total = sum(parts) if parts else None
            if len(parts) == 2 and id(p) in of_trunk and conflict:
                total = (v - dot / sizes[1] * s) + (s - dot / sizes[0] * v)
            if total is not None:
                p.grad = total if p.grad is None else p.grad + total

    return send_back


def _policy_with_layer_of_value(network: Network) -> None:
    policy_head: Any = network.policy_head
    value_head: Any = network.value_head
    own = policy_head.layers[0]
    del own._parameters["weight"]  # a weight of two parts would be stepped twice
    object.__setattr__(own, "weight", value_head.reduce[0].weight)


def _bias_of_convolutions_only(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
        if isinstance(module, nn.BatchNorm2d):
            module.bias.requires_grad_(False)


def _features_without_signs(network: Network) -> None:
    widen: Any = network.trunk.widen
    widen[2] = Around(widen[2], before=torch.abs)


def _in_place(network: Network) -> None:
    stem: Any = network.trunk.stem
    stem[2] = nn.Identity()  # as in He et al.: the first block begins with its own
    for module in network.trunk.modules():
        if isinstance(module, PreactivationBlock):
            module.act1 = nn.ReLU(inplace=True)


def _limit_of_a_sum(sound: Any) -> Any:
    return lambda network, limit: sound(network, limit * _BATCH)


def _weights_by_sorted_name(sound: Any) -> Any:
    def init(self: Any, *arguments: Any, **more: Any) -> None:
        sound(self, *arguments, **more)
        exchanged = dict(zip(sorted(self._taught), self._taught.values(), strict=True))
        self._taught = {name: exchanged[name] for name in self._taught}

    return init


SLIPS: dict[str, Slip] = {
    "softmax of the attention over the groups": Slip(
        patched(AttentionPooling, "forward", softmax_over_heads),
        "attention|softmax|axis|sum to|weights? of the cells|over (the )?(groups|heads|channels)",
        {"value_head": "attention 512->64->1"},
        cause="AttentionPooling takes its softmax over the groups (dim=1) and not over the cells "
        "(dim=2): the weights over the cells of a group do not sum to 1, and the groups compete.",
    ),
    "warm-up forgotten": Slip(
        patched(schedule_module, "learning_rate", _no_warmup),
        "warm-?up|begin\\w* at (the|its) (peak|highest)|schedule|first steps?.* rate|rate.* first "
        "steps?|rate.*too (high|large)",
        cause="The warm-up is skipped: the learning rate is at its peak from the first step on, "
        "where the configuration asks for a rise over a tenth of the budget.",
    ),
    "gradients projected where they agree": Slip(
        patched(Stepper, "_send_back", _projected_where_they_agree),
        "project|surgery|pcgrad|conflict|agree|orthogonal|gradients?.*(not (that|those|the)|other "
        "than|differ)",
        cause="Gradient surgery between value and policy loss on the trunk has the sign of its "
        "test wrong: their common component is projected out where they agree, and kept where "
        "they are in conflict. The trunk's gradient is not that of the weighted sum of losses.",
    ),
    "heads share a layer": Slip(
        in_network(_policy_with_layer_of_value),
        "shar(e|ed|es|ing)\\b|same (weight|layer|tensor|parameter)|\\btied\\b|alias|reference|both "
        "heads",
        {
            "value_head": "reduced 512->32->1",
            "policy_head": {"family": "convolution", "weight": 0.2},
        },
        cause="The first convolution of the policy head uses the weight of the value head's 1x1 "
        "convolution by reference: one tensor serves both heads and gets the gradients of both.",
    ),
    "bias before the norm, none after it": Slip(
        in_network(_bias_of_convolutions_only),
        "bias|frozen|requires_grad|(not|never) trained|no effect|no gradient|cancel",
        cause="The trunk's convolutions have biases that the following batch norm cancels, while "
        "the biases of these batch norms are frozen at 0: no channel can be shifted.",
    ),
    "convolutions padded with the opposite edge": Slip(
        in_network(circular),
        "circular|padding|padded|torus|wrap|opposite edge|far edge|translat|rolled",
        cause="Convolutions of the trunk pad with the opposite edge (circular) and not with zeros: "
        "the board is a torus, whose opposite edges touch.",
    ),
    "cosine of the schedule without pi": Slip(
        patched(schedule_module, "_cosine", without_pi),
        "cosine|schedule|anneal|does not fall|hardly falls|end of (the )?training|warm-?up|rate.* "
        "(end|fall|rise)",
        cause="The cosine of the schedule is taken of the share itself and not of pi times the "
        "share: the learning rate hardly rises in the warm-up, and falls only to 77% of its peak.",
    ),
    "betas of AdamW exchanged": Slip(
        each_group(lambda group: True, betas=(0.999, 0.9)),
        "beta|momentum|moment\\b|moments",
        cause="AdamW's betas are exchanged, (0.999, 0.9): momentum over a thousand steps, and a "
        "second moment over ten.",
    ),
    "signs of features hidden": Slip(
        in_network(_features_without_signs),
        "\\babs|\\bsigns?\\b|negative|activation|\\bfold|always positive",
        cause="Features of the trunk pass through abs() before their last activation: normalised "
        "features of opposite sign become equal, and the ReLU after it does nothing.",
    ),
    "activation in place before the shortcut": Slip(
        in_network(_in_place),
        "in-?place|shortcut|identity|residual|overwrit|skip connection",
        {"trunk": {"preset": "tiny", "block": "preact", "norm": "none", "blocks": [2, 2]}},
        cause="The first ReLU of pre-activation blocks works in place. Without a norm its input is "
        "the block's input, so the identity shortcut carries rectified features.",
    ),
    "clip limit times the batch size": Slip(
        patched(owner_module, "clip_gradients", _limit_of_a_sum),
        "clip|norm limit|limit",
        {"optimiser": {"clip": 0.3}},
        cause="The limit for the gradient norm is multiplied by the batch size (64), so gradients "
        "beyond the configured limit are not clipped.",
    ),
    "auxiliary weights in the order of names": Slip(
        patched(Stepper, "__init__", _weights_by_sorted_name),
        "auxiliary|moves_left|moves left|ownership|future",
        {"auxiliary": {"moves_left": 0.1, "ownership": 1.0, "future_stones": {"weight": 0.02}}},
        cause="The weights of the auxiliary losses are paired with the heads' names in "
        "alphabetical order: moves_left gets ownership's weight, future_stones that of "
        "moves_left, ownership that of future_stones.",
    ),
}
