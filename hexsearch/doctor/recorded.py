"""The record of one training step, and a read-out that keeps the targets of its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hexsearch.data.batch import Batch
from hexsearch.model.readout import Readout

Flat = dict[str, Tensor]  # for each part of the network, all its numbers as one vector


class WatchedReadout(Readout):
    """Passes every call on to another read-out, and keeps the targets of its loss."""

    def __init__(self, inner: Readout) -> None:
        self.inner, self.proper, self.control = inner, inner.proper, inner.control
        self.targets: list[Tensor] = []

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        self.targets.append(target.detach().clone())
        return self.inner.loss(raw, target)

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


@dataclass
class WatchedStep:
    """The record of one training step on a batch of B positions.

    Attributes:
        batch: the batch.
        planes: [B, C, N, N] planes at the input of the network.
        raw: [B] raw values.
        policy_logits: [B, N*N] policy logits.
        targets: [B] targets at the loss of the read-out; None if it was never called.
        value: [B] value loss of each position.
        policy: mean policy loss.
        eval_modules: names of batch norms and dropouts that are in eval mode in training, one of
            each class.
        value_gradient, policy_gradient, other_gradient: gradients of the unweighted value and
            policy loss, and of the weighted sum of the auxiliary losses.
        taught: gradient of each unweighted auxiliary loss, by its head.
        sent: how often backward() added to the gradient of a weight.
        given: gradients that the optimiser gets, after clipping.
        before, after: weights before and after the optimiser's step.
        late: weights at the start of the next training step, if there is one.
        rates: learning rate of each parameter group.
        progress: share of the budget that was used before the step.
        calls: number of calls of optimiser.step().
        without_graph: names of the losses that have no graph, so that no gradient comes from them.
        parts: gradient of the weighted losses of each micro-batch, if there are micro-batches.
        random: state of torch's generator when the network is called first.
    """

    batch: Batch
    planes: Tensor = field(default_factory=lambda: torch.zeros(0))
    raw: Tensor = field(default_factory=lambda: torch.zeros(0))
    policy_logits: Tensor = field(default_factory=lambda: torch.zeros(0))
    targets: Tensor | None = None
    value: Tensor = field(default_factory=lambda: torch.zeros(0))
    policy: float = 0.0
    eval_modules: tuple[str, ...] = ()
    value_gradient: Flat = field(default_factory=dict)
    policy_gradient: Flat = field(default_factory=dict)
    other_gradient: Flat = field(default_factory=dict)
    taught: dict[str, Flat] = field(default_factory=dict)
    sent: int = 0
    given: Flat = field(default_factory=dict)
    before: Flat = field(default_factory=dict)
    after: Flat = field(default_factory=dict)
    late: Flat = field(default_factory=dict)
    rates: tuple[float, ...] = ()
    progress: float = 0.0
    calls: int = 0
    without_graph: tuple[str, ...] = ()
    parts: list[Flat] = field(default_factory=list)
    random: Tensor | None = None


def by_tensor(of: Flat, parts: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The numbers of each trained tensor in its shape, by part and name.

    Parts whose tensors have changed since are left out.

    Args:
        parts: of the network, by their names.
    """
    found: dict[str, Tensor] = {}
    for part, module in parts.items():
        trained = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        sizes = [parameter.numel() for _, parameter in trained]
        if part in of and sum(sizes) == len(of[part]):
            for (name, parameter), piece in zip(trained, torch.split(of[part], sizes), strict=True):
                found[f"{part}.{name}"] = piece.reshape(parameter.shape)
    return found


def as_taken(batch: Batch, parts: list[Batch]) -> Batch:
    """A batch with its rows in the order in which a step takes them, if that is another one."""
    if sum(map(len, parts)) != len(batch):
        return batch
    taken = Batch.joined(parts)
    order = [torch.stack([each.game, each.ply]) for each in (batch, taken)]
    if torch.equal(*order):
        return batch
    kept = [torch.unique(each, dim=1, return_counts=True) for each in order]
    same = all(map(torch.equal, *kept)) if kept[0][0].shape == kept[1][0].shape else False
    return taken if same else batch
