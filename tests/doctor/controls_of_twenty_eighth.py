"""Unusual but sound pipelines beside the blind slips, which must raise no error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.data import batches as batches_module
from hexsearch.model.network import Network
from hexsearch.training import step as step_module
from hexsearch.training import trial as trial_module
from hexsearch.training.optimisation.average import AveragedNetwork
from tests.doctor.slips import Patch, Slip, each_group, in_network, patched


def _by_gather(_: Any) -> Any:
    def policy_loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        logs = logits.float().log_softmax(dim=1).gather(1, target[:, None]).squeeze(1)
        return -torch.where(has_move, logs, 0.0).sum() / has_move.sum().clamp(min=1)

    return policy_loss


def _built_by_torch(patch: Patch) -> None:
    sound = batches_module.BatchBuilder.__post_init__

    def post_init(self: Any) -> None:
        object.__setattr__(self, "backend", "torch")
        sound(self)

    patch.setattr(batches_module.BatchBuilder, "__post_init__", post_init)


def _by_hand(_: Any) -> Any:
    @torch.no_grad()
    def update(self: Any, size: int, positions_seen: int) -> None:
        kept = 0.5 ** (size / min(self._half_life, 0.1 * positions_seen))
        for average, weight in zip(self._averages, self._weights, strict=True):
            average.mul_(kept).add_(weight, alpha=1.0 - kept)

    return update


def _uniform(network: Network) -> None:
    generator = torch.Generator().manual_seed(5)
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(
                module.weight, mode="fan_out", nonlinearity="relu", generator=generator
            )


def _other_names(sound: Any) -> Any:
    return lambda seed, purpose: sound(seed, f"stream/{purpose}")


CONTROLS: dict[str, Slip] = {
    "policy loss by log-softmax and gather": Slip(
        patched(step_module, "policy_loss", _by_gather),
        "$^",
        cause="Sound: the cross-entropy of the policy, written with log_softmax and gather.",
    ),
    "batches built by torch on the CPU": Slip(
        _built_by_torch,
        "$^",
        cause="Sound: batches are built by the torch backend, equal bit for bit to numpy's.",
    ),
    "optimiser not fused": Slip(
        each_group(lambda group: True, fused=False, foreach=False),
        "$^",
        cause="Sound: AdamW steps parameter by parameter in place of the fused kernel.",
    ),
    "average by hand": Slip(
        patched(AveragedNetwork, "update", _by_hand),
        "$^",
        {"optimiser": {"ema_half_life": 200}},
        cause="Sound: the averaged weights are computed by a product and a sum, not by lerp.",
    ),
    "uniform initial kernels": Slip(
        in_network(_uniform),
        "$^",
        cause="Sound: kernels of the trunk begin uniform, with the variance of He's normal ones.",
    ),
    "order from another derived seed": Slip(
        patched(trial_module, "derive_seed", _other_names),
        "$^",
        cause="Sound: the seed of the order is derived under another name from the trial's seed.",
    ),
}
