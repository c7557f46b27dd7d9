"""Slips in the losses, the optimiser and the network, of the twenty-first set.

See `slips_twenty_first_data` for how the set was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.training import step as step_module
from hexsearch.training.optimisation import owner as owner_module
from tests.doctor.slips import Inject, Patch, Slip, in_batches, in_network


def _freeze(network: Network) -> None:
    trunk = network.trunk
    parts = [getattr(trunk, name) for name in ("stem", "stages", "finish") if hasattr(trunk, name)]
    for part in parts or [trunk]:
        part.requires_grad_(False)


_BATCH = 64


def _balanced(batch: Batch, stream: Any, cursor: int) -> Batch:
    weights: list[Tensor] = []
    stages: Any = batch.stage
    for stage in stages.split(_BATCH):
        one_hot = functional.one_hot(stage.long(), 3).float()
        counts = one_hot.sum(0)
        present = int((counts > 0).sum())
        each = len(stage) / (present * counts + 1e-8)
        weights.append(each[stage.long()])
    return replace(batch, weight=torch.cat(weights))


class _AlwaysDropout(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.p)


def _always_drop(network: Network) -> None:
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(module, name, _AlwaysDropout(child.p))


def _late_head(patch: Patch) -> None:
    sound = owner_module.build_optimiser  # type: ignore[attr-defined]

    def build(network: Any, *arguments: Any) -> Any:
        optimiser = sound(network, *arguments)
        head = network.parts().get("value_head")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(10)
            for module in head.modules() if head is not None else ():
                for name, old in list(module._parameters.items()):
                    if old is None:
                        continue
                    new = old.detach().clone()
                    if new.ndim >= 2:
                        nn.init.normal_(new, std=0.1 / math.sqrt(new[0].numel()))
                    module._parameters[name] = nn.Parameter(new)
        return optimiser

    patch.setattr(owner_module, "build_optimiser", build)


def _in_policy_loss(change: Callable[..., Any]) -> Inject:
    """Another policy loss in training; evaluation keeps the usual one."""

    def inject(patch: Patch) -> None:
        sound = step_module.policy_loss  # type: ignore[attr-defined]

        def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Any:
            return change(sound, logits, target, has_move)

        patch.setattr(step_module, "policy_loss", loss)

    return inject


def _over_cells(sound: Any, logits: Tensor, target: Tensor, has_move: Tensor) -> Any:
    return sound(logits, target, has_move) / logits.shape[1]


def _smoothed_policy(sound: Any, logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
    losses = functional.cross_entropy(logits.float(), target, reduction="none", label_smoothing=0.3)
    mask = has_move.to(losses.dtype)
    return (losses * mask).sum() / mask.sum().clamp(min=1.0)


def _constant_stem(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            with torch.no_grad():
                module.weight.fill_(1.0 / math.sqrt(module.weight[0].numel()))
            return


SLIPS: dict[str, Slip] = {
    "most of the trunk is frozen": Slip(
        in_network(_freeze),
        "frozen|freez|requires_grad|not trainable|(trunk|stem|stage|block|layer|weight|parameter"
        ")s?\\b.{0,80}(never (chang|mov|updat|train)|not (updat|train|learn|mov|in the optim|chang"
        ")|no gradient|without gradient|do(es)? not (learn|train|mov|chang)|missing from the optim"
        "|left out)|no gradient.{0,60}(trunk|stem|stage|block)",
        cause="Stem and stages of the trunk have requires_grad False, so only the layers after "
        "them and the heads are trained.",
        report="own imagination",
    ),
    "stage weights balanced within each batch": Slip(
        in_batches(_balanced),
        "(stage|sample|position|loss|importance)?.{0,20}weight\\w*.{0,100}(stage|batch|not (those|"
        "the)|differ|other|configur|stage_weights|count|rare|balanc|equal|frequen|huge|uneven|larg"
        "e)|(stage|early|middle|late).{0,60}weigh",
        {"curriculum": {"stage_weights": {"late": 2.0}}},
        cause="The weights of positions are one over the count of their stage in the batch, so "
        "stages have equal sums in each batch whatever stage_weights says, and positions of rare "
        "stages have huge weights.",
        report="own imagination",
    ),
    "dropout active in evaluation": Slip(
        in_network(_always_drop),
        "drop.?out|(random|stochastic|noisy|differ|not (determin|repeat|reproduc))\\w*.{0,80}(eval"
        "|answer|inference|predict|twice)|(eval|answer|inference|predict|asked twice)\\w*.{0,80}(r"
        "andom|stochastic|noisy|vary|varies|not (determin|repeat|reproduc)|two answers|differ)",
        {"value_head": "512->64->1 dropout 0.3"},
        cause="The dropout of the value head is active in eval mode too, so answers are random.",
        report="own imagination",
    ),
    "value head is not in the optimiser": Slip(
        _late_head,
        "(value.?head|head|parameter|weight)s?\\b.{0,100}(not (in|part|held|known|train|updat|mov|l"
        "earn|chang|own)|missing|never (mov|updat|train|chang|learn|step)|left out|no (optim|group|"
        "step)|stay|frozen|outside|do(es)? not (mov|chang|learn|train)|unchanged|stand still|absent"
        ")|optimi[sz]er.{0,100}(not|miss|lack|without|other|old|stale|no longer|never).{0,60}(head|"
        "parameter|weight)|gradients?.{0,60}(never (clear|zero)|not (clear|zero)|accumulat|pile)",
        cause="The value head has new parameters since the optimiser was built, so the optimiser "
        "holds the old ones and the head never learns.",
        report="own imagination",
    ),
    "policy loss divided by the number of cells": Slip(
        _in_policy_loss(_over_cells),
        "policy.{0,120}(scale|small|divid|weak|factor|reduc|mean|averag|cells|hardly|barely|low|ti"
        "ny|share|weight|times|unlike|differ|not (the|that)|below)|(scale|divid|weak|small|reduc)\\"
        "w*.{0,80}policy",
        {"optimiser": {"name": "sgd", "learning_rate": 0.05}, "policy_head": {"weight": 1.0}},
        cause="The policy loss in training is averaged over cells as well, so it is N*N times too "
        "small.",
        report="own imagination",
    ),
    "label smoothing of the policy over occupied cells": Slip(
        _in_policy_loss(_smoothed_policy),
        "smooth|policy.{0,120}(occupied|illegal|legal|uniform|flat|spread|soft|every cell|all cel"
        "ls|other cells|not (the|that|those|cross)|unlike|differ|target)|(occupied|illegal|unifor"
        "m|flat|cross.?entropy).{0,100}policy",
        {"policy_head": {"weight": 1.0}},
        cause="The policy loss in training has a label smoothing of 0.3 over all cells, occupied "
        "ones included.",
        report="own imagination",
    ),
    "constant stem": Slip(
        in_network(_constant_stem),
        r"(initial|start|begin|first)\w*.{0,80}(constant|equal|same|identical|symmetr)|(constant|e"
        r"qual|same|identical|duplicat|symmetr|redundan|alike)\w*.{0,80}(weight|channel|filter|ker"
        r"nel|stem|feature|unit|convolution)|(channel|filter|kernel|stem|unit|weight|convolution|f"
        r"eature)s?\b.{0,80}(constant|equal|same|identical|duplicat|symmetr|redundan|alike|one val"
        r"ue|do not differ|rank)",
        cause="All weights of the first convolution start with one constant, so its channels are "
        "all equal.",
        report="own imagination",
    ),
}
