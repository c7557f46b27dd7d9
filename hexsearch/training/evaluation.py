"""A network's answers on a set of positions, gathered without waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.config.auxiliary import AuxiliaryConfig
from hexsearch.data.batches import Batch, BatchBuilder, evaluation_batches
from hexsearch.data.position_set import PositionSet
from hexsearch.model.auxiliary import auxiliary_losses, counted
from hexsearch.model.network import Network, NetworkOutput, taught
from hexsearch.model.policy_head import policy_loss
from hexsearch.training.metrics import Evaluation
from hexsearch.training.monitors.activations import ActivationHealth, ActivationMonitor

_AUXILIARY_POSITIONS, _AUXILIARY_BATCH = 4096, 1024  # that auxiliary heads are judged on, at most
_COLUMNS = ("red_won", "stage", "to_end", "final", "game", "ply")


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

    def answer(batch: Batch) -> tuple[list[Tensor], Tensor]:
        output = forward(batch)
        return [reported(output.value_raw, batch)], output.policy_logits

    evaluations, mean_policy_loss = evaluate_heads(batches, answer)
    return evaluations[0], mean_policy_loss


@torch.inference_mode()
def evaluate_heads(
    batches: Iterable[Batch], answer: Callable[[Batch], tuple[list[Tensor], Tensor]]
) -> tuple[list[Evaluation], float]:
    """The same of K heads on one trunk, which share a pass of it.

    Args:
        answer: win_prob_red [B] of each head, and the policy logits [B, N*N].
    """
    columns: dict[str, list[Tensor]] = {name: [] for name in _COLUMNS}
    answers: list[list[Tensor]] = []
    policy_sums, moves = [], []
    for batch in batches:
        answered, policy_logits = answer(batch)
        answers.append(answered)
        count = batch.has_move.sum()
        policy = policy_loss(policy_logits, batch.policy_target, batch.has_move)
        policy_sums.append(count * policy)
        moves.append(count)
        for name in _COLUMNS:
            columns[name].append(getattr(batch, name))
    arrays = {name: torch.cat(tensors).cpu().numpy() for name, tensors in columns.items()}
    arrays["red_won"] = arrays["red_won"].astype(np.float64)
    evaluations = [
        Evaluation(win_prob_red=torch.cat(seen).cpu().numpy().astype(np.float64), **arrays)
        for seen in zip(*answers, strict=True)
    ]
    mean_policy_loss = torch.stack(policy_sums).sum() / torch.stack(moves).sum().clamp(min=1)
    return evaluations, float(mean_policy_loss)


@torch.inference_mode()
def evaluate_auxiliary(
    builder: BatchBuilder,
    positions: PositionSet,
    wanted: AuxiliaryConfig,
    heads: nn.ModuleDict,
    features: Callable[[Batch], Tensor],
) -> dict[str, float]:
    """Mean loss of each auxiliary head over what counts, on positions at equal distances.

    Args:
        features: the trunk's, in eval mode.
    """
    if not wanted.weights:
        return {}
    every = -(-len(positions) // _AUXILIARY_POSITIONS)
    sums: dict[str, list[Tensor]] = {name: [] for name in wanted.weights}
    counts: dict[str, list[Tensor]] = {name: [] for name in wanted.weights}
    for batch in evaluation_batches(builder, positions, _AUXILIARY_BATCH, every, wanted):
        losses = auxiliary_losses(taught(heads, features(batch)), batch.auxiliary)
        for name, loss in losses.items():
            count = counted(batch.auxiliary[name])
            counts[name].append(count)
            sums[name].append(loss * count)
    return {
        name: float(torch.stack(each).sum() / torch.stack(counts[name]).sum().clamp(min=1))
        for name, each in sums.items()
    }


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
