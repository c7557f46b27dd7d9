"""A network's answers on a set of positions, gathered without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.batches import Batch
from hexsearch.model.network import Network, NetworkOutput
from hexsearch.model.policy_head import policy_loss
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.activations import ActivationHealth, ActivationMonitor

_COLUMNS = ("red_won", "stage", "to_end", "final", "game", "ply")


@torch.inference_mode()
def evaluate_batches(
    batches: Iterable[Batch],
    forward: Callable[[Batch], NetworkOutput],
    reported: Callable[[Tensor, Batch], Tensor],
) -> tuple[Evaluation, float]:
    """Answers on every position, and the mean policy loss of those with a next move, in nats.

    Args:
        forward: the network, in eval mode.
        reported: raw values [B] of a batch to win_prob_red [B].
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in ("win_prob_red", *_COLUMNS)}
    policy_sums, moves = [], []
    for batch in batches:
        output = forward(batch)
        count = batch.has_move.sum()
        policy = policy_loss(output.policy_logits, batch.policy_target, batch.has_move)
        policy_sums.append(count * policy)
        moves.append(count)
        parts["win_prob_red"].append(reported(output.value_raw, batch))
        for name in _COLUMNS:
            parts[name].append(getattr(batch, name))
    arrays = {name: torch.cat(tensors).cpu().numpy() for name, tensors in parts.items()}
    for name in ("win_prob_red", "red_won"):
        arrays[name] = arrays[name].astype(np.float64)
    mean_policy_loss = torch.stack(policy_sums).sum() / torch.stack(moves).sum().clamp(min=1)
    return Evaluation(**arrays), float(mean_policy_loss)


@torch.inference_mode()
def watch_answers(
    network: Network, planes: Tensor, outcome: Tensor, win_prob: Callable[[Tensor], Tensor]
) -> dict[str, ActivationHealth]:
    """Activations in eval mode on one batch, by place.

    Args:
        planes: [B, C, N, N]; outcome: [B], in the network's own perspective.
        win_prob: the read-out's.
    """
    monitor = ActivationMonitor(network.eval(), win_prob)
    with monitor.watching(outcome):
        network(planes)
    return monitor.health()
