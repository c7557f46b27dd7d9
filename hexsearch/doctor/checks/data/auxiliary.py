"""Checks auxiliary targets: owners of cells, and moves to the end of the game."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.data.batch import Batch
from hexsearch.doctor.checks.data.auxiliary_maps import map_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.regions import Columns
from hexsearch.doctor.hypotheses.general.relations import other_positions, relation
from hexsearch.doctor.hypotheses.truth import SWAPS, Flags, Ints, Truth
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial

_MAPS = ("ownership", "winning_chain", "future_stones")
_SCALE, _KNEE = 20.0, 0.5  # plies that moves_left answers as 1, and where its loss gets linear
_SLOPE = 0.1  # accepted difference of a slope, in its size
_WRONG, _SOME = 0.02, 0.05  # accepted shares of rows, whose symmetry may be mistaken


def check_auxiliary(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare targets with the end of the game under the symmetry of the sample."""
    trial = needed(pipeline.watched)
    batch = trial.steps[0].batch if trial.steps else None
    if batch is None or not batch.auxiliary:
        return
    wrong_losses = list(_losses(trial, batch))
    yield from wrong_losses
    compared = pipeline.compared
    if wrong_losses or compared.lost > 0.01:
        return  # with wrong boards the symmetry of a sample is unknown
    rows = np.arange(len(batch))
    truth, symmetry = compared.truth.rows(rows), compared.symmetry[rows]
    for name in _MAPS:
        if name not in batch.auxiliary:
            continue
        target = batch.auxiliary[name].numpy().reshape(len(batch), -1)
        present = truth.planes_under(symmetry).sum(axis=1).reshape(len(batch), -1) > 0
        wrong = _disagrees(target, _owners(truth, symmetry))
        told = (target >= 0)[present]
        if name != "winning_chain" and told.any() and wrong.mean() <= _WRONG:
            yield Finding.error(
                "auxiliary targets",
                f"{told.mean():.0%} of the cells that hold a stone have a target of auxiliary head "
                f"{name}",
                f"auxiliary head {name}: its targets include the stones that are on the board "
                "already (present stones), which the planes show, so it teaches hardly anything",
                "set the target of occupied cells to -1, which is ignored",
                root="auxiliary",
            )
            return
        plies = trial.config.auxiliary.future_stones.plies
        others = _other_owners(truth, symmetry) if wrong.mean() > _WRONG else {}
        fits = {cause: _disagrees(target, owners).mean() for cause, owners in others.items()}
        best = min(fits, key=lambda cause: fits[cause], default="")
        if best and fits[best] < _SOME:
            yield Finding.error(
                "auxiliary targets",
                f"the targets of auxiliary head {name} have other owners than the last position of "
                f"the game in {wrong.mean():.0%} of {len(wrong)} samples",
                f"auxiliary head {name}: {best}",
                "apply the symmetry of the planes and the next move to the target, too",
            )
            return
        if name == "future_stones":
            yield from (counted := list(_future_stones(target, plies, truth)))
            if counted:
                return
        mapped = list(map_findings(name, target, truth, symmetry, plies))
        yield from mapped
        if mapped:
            return
    if "moves_left" in batch.auxiliary:
        keys = {name: key[rows] for name, key in compared.keys.items()}
        yield from _moves_left(batch.auxiliary["moves_left"].numpy(), truth, keys)


def _other_owners(truth: Truth, symmetry: Ints) -> dict[str, Ints]:
    """Owners of cells by another rule, by what it is."""
    right = _owners(truth, symmetry)
    turned, red = SWAPS[symmetry][:, None], truth.red_won[:, None]
    others = {
        "no symmetry is applied to its targets": _owners(truth, np.zeros_like(symmetry)),
        "its targets are not turned with the board (the half turn is left out)": _owners(
            truth, symmetry & 2
        ),
        "its targets are not reflected with the board": _owners(truth, symmetry & 1),
        "the colours of its targets are exchanged": _exchanged(right),
        "its targets are those of the next game": _owners(truth.moved(games=1), symmetry),
        "the colours of its targets are not exchanged where the board is reflected (its classes "
        "are Blue and Red, and not the first and the second plane)": np.where(
            turned, _exchanged(right), right
        ),
        "the colours of its targets are exchanged in games that Red won": np.where(
            red, _exchanged(right), right
        ),
        "the colours of its targets are exchanged in games that Blue won": np.where(
            red, right, _exchanged(right)
        ),
    }
    for words, other in other_positions(truth):
        others[f"its targets are those of {words}"] = _owners(other, symmetry)
    return others


def _future_stones(target: Ints, plies: int, truth: Truth) -> Iterator[Finding]:
    """Compare the number of stones that head future_stones is to predict with the setting."""
    lengths = truth.archive.lengths[truth.game].astype(np.int64)
    right = np.minimum(lengths - truth.ply, plies)
    known = (target >= 0).any(axis=1)
    found = (target > 0).sum(axis=1)
    wrong = known & (found != right)
    if wrong.mean() <= _WRONG:
        return
    forms = {
        f"the stones up to ply {plies} of the game, and not of the next {plies} plies": np.clip(
            np.minimum(lengths, plies) - truth.ply, 0, None
        ),
        "all stones to the end of the game": lengths - truth.ply,
    }
    for other in (plies - 1, plies + 1, 2 * plies, plies // 2):
        forms[f"the stones of the next {other} plies"] = np.minimum(lengths - truth.ply, other)
    what = next((words for words, n in forms.items() if (n == found)[known].mean() > 0.95), "")
    if not what:
        return
    yield Finding.error(
        "auxiliary targets",
        f"the targets of auxiliary head future_stones have {found[known].mean():.1f} stones on "
        f"average in {known.sum()} samples, and {right[known].mean():.1f} are to come in the next "
        f"{plies} plies",
        f"auxiliary head future_stones: its targets are {what}",
        f"use the stones that are placed within {plies} plies after the position",
    )


def _moves_left(target: Ints, truth: Truth, keys: Columns) -> Iterator[Finding]:
    """Compare the targets of head moves_left with the lengths of the games."""

    def of(positions: Truth) -> Ints:
        lengths = positions.archive.lengths[positions.game].astype(np.int64)
        pairs: Ints = (lengths - positions.ply + 1) // 2
        return np.where(target < 0, target, pairs)

    known = (target >= 0) & (truth.archive.finished[truth.game] == 1)
    right = of(truth)
    wrong = known & (target != right)
    if wrong.any():
        what = relation(target, right, truth, of, keys, len(target))
        yield Finding.error(
            "auxiliary targets",
            f"the targets of auxiliary head moves_left are not half the number of plies to the end "
            f"in {wrong.sum()} of {known.sum()} samples",
            "auxiliary head moves_left: "
            + (
                f"its target is another number, {what}"
                if what
                else "its targets are counted from the other end, in another unit or in another "
                "game"
            ),
            "use the number of plies to the end, halved and rounded up",
        )


def _owners(truth: Truth, symmetry: Ints) -> Ints:
    """[B, N*N] owner of each cell in the last position, as encoded: 0 nobody, 1 Blue, 2 Red."""
    planes = truth.at_the_end().planes_under(symmetry)
    owners: Ints = (planes[:, 0] + 2 * planes[:, 1]).astype(np.int64)
    return owners.reshape(len(symmetry), -1)


def _exchanged(owners: Ints) -> Ints:
    return np.where(owners > 0, 3 - owners, 0)


def _disagrees(target: Ints, owners: Ints) -> Flags:
    """[B] whether any target names another owner than that of its cell."""
    wrong: Flags = ((target > 0) & (target != owners)).any(axis=1)
    return wrong


def _losses(trial: WatchedTrial, batch: Batch) -> Iterator[Finding]:
    """Compute auxiliary losses and their slopes again from the same outputs and targets."""
    given, outputs = _auxiliary_losses(trial, batch)
    for name, made in outputs.items():
        loss, target = given.get(name, torch.zeros(())), batch.auxiliary[name]
        output, slope = _used(loss, made)
        own = output.detach().float().requires_grad_(True)
        right = own_loss(name, own, target)
        told, wanted = float(loss.detach()), float(right.detach())
        if abs(told - wanted) > 0.01 * max(abs(wanted), 0.01):
            counted = float(own_loss(name, own, target.clamp(min=0)).detach())
            yield Finding.error(
                "auxiliary targets",
                f"the loss of auxiliary head {name} is {told:.4f}; recomputed from the same "
                f"outputs and targets it is {wanted:.4f}",
                f"the loss of auxiliary head {name} counts entries that are to be ignored (-1) as "
                "class 0, nobody"
                if abs(told - counted) < 1e-3 * counted
                else f"the loss of auxiliary head {name} is {told / max(wanted, 1e-9):.4g} times "
                "what it should be (targets or losses are not normalised, or summed and not "
                "averaged)" + (": it swamps the value loss" if told > 3 * wanted else ""),
                "average over the entries that count, in the units that the head is trained in",
                root="auxiliary",
            )
            return
        if slope is None or not right.requires_grad:
            continue
        (usual,) = torch.autograd.grad(right, own)
        gap = float((slope.float() - usual).norm() / usual.norm().clamp(min=1e-12))
        if gap > _SLOPE:
            pairs = _every_pair(name, own, target)
            crossed = pairs is not None and float((slope.float() - pairs).norm()) < 0.05 * float(
                pairs.norm()
            )
            yield Finding.error(
                "auxiliary targets",
                f"the loss of auxiliary head {name} is {told:.4f}, as it should be, but its slope "
                f"at the outputs differs from the right one by {gap:.0%} of that",
                f"the loss of auxiliary head {name} does not compare each output with its own "
                "target"
                + (
                    ": each is compared with every target of the batch (a column [B, 1] against a "
                    "row [B] is broadcast to [B, B])"
                    if crossed
                    else " (targets of other rows, or another formula)"
                ),
                "give output and target the same shape [B] before they are compared",
                root="auxiliary",
            )
            return


def _auxiliary_losses(
    trial: WatchedTrial, batch: Batch
) -> tuple[Mapping[str, Tensor], dict[str, list[Tensor]]]:
    """The losses of a batch by head, and all outputs of each head meanwhile."""
    outputs: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def look(module: nn.Module, inputs: object, output: Tensor) -> None:
            outputs.setdefault(name, []).append(output)

        return look

    heads = trial.network.auxiliary.items()
    handles = [head.register_forward_hook(keep(name)) for name, head in heads]
    try:
        with in_eval_mode(trial.network.modules()):
            given = trial.losses(batch).auxiliary
    finally:
        for handle in handles:
            handle.remove()
    return given, outputs


def _used(loss: Tensor, outputs: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    """The output that a loss was computed from, and the slope of the loss there."""
    if loss.requires_grad:
        usable = [output for output in outputs if output.requires_grad]
        slopes = torch.autograd.grad(loss, usable, allow_unused=True) if usable else ()
        for output, slope in zip(usable, slopes, strict=True):
            if slope is not None:
                return output, slope
    return outputs[-1], None


def _every_pair(name: str, output: Tensor, target: Tensor) -> Tensor | None:
    """The slope if each output was compared with each target; None for targets of cells."""
    if name != "moves_left":
        return None
    count = len(output)
    loss = own_loss(name, output.repeat_interleave(count), target.repeat(count))
    return torch.autograd.grad(loss, output)[0]


def own_loss(name: str, output: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of the cells that count; Huber's loss of plies / 20 for moves_left."""
    known = target >= 0
    if not bool(known.any()):
        return torch.zeros(())
    if name == "moves_left":
        gap = (output - 2 * target.clamp(min=0) / _SCALE).abs()
        each = torch.where(gap < _KNEE, 0.5 * gap.square(), _KNEE * (gap - 0.5 * _KNEE))
    else:
        log_p = output.log_softmax(dim=1)
        each = -log_p.gather(1, target.clamp(min=0).long()[:, None])[:, 0]
    return each[known].mean()
