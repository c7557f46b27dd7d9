"""The check that a network computes the same in train mode, but for its norms and dropouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial

_COMPARED = 16
_IN_EACH = "in each"  # output: a constant is added
_DIFFERS, _NOISY = 0.05, 4.0  # gaps in standard deviations, and in what two passes differ by
_SAME = 1e-5  # relative difference of equal inputs
_MANY = 0.1  # share of numbers that are 0 in train mode alone


@dataclass
class _Call:
    """A call of a module: its name and class, what it was given and what it put out."""

    name: str
    kind: str
    given: list[Tensor]
    told: list[Tensor]


def check_train_mode(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """With norms and dropouts in eval mode, the rest must compute the same in both modes.

    What is random in training is left to check `randomness`.
    """
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[:_COMPARED])
    kept = {name: tensor.clone() for name, tensor in trial.network.state_dict().items()}
    plain, first, second = (_calls(trial, planes, mode) for mode in (False, True, True))
    trial.network.load_state_dict(kept)
    if [call.name for call in first] != [call.name for call in second]:
        return
    if [call.name for call in plain] != [call.name for call in first]:
        plain, first, second = plain[-1:], first[-1:], second[-1:]  # the whole network
    # Calls are in the order in which they end, so that the innermost module is named.
    for own, other, again in zip(plain, first, second, strict=False):
        if len(own.told) != len(other.told) or not _all_equal(own.given, other.given):
            continue
        for told, trained, repeated in zip(own.told, other.told, again.told, strict=False):
            gap = _gap(told, trained, repeated)
            if gap:
                yield _finding(own, gap, len(planes))
                return


def _finding(call: _Call, gap: str, count: int) -> Finding:
    name = call.name or "the network's own forward()"
    return Finding(
        "modes",
        "error" if gap.endswith(_IN_EACH) else "warning",
        f"for the same {count} inputs {name} ({call.kind}) puts out other numbers in train mode "
        f"than in eval mode, though its norms and dropouts are in eval mode both times: {gap}",
        f"{name} computes something else in training than at inference: {gap} (something "
        "that is done only if self.training is set, such as a mean that is subtracted, a scale or "
        "a mask), beside its norms and dropouts",
        "do the same in both modes, or undo at inference what training does; if it is a norm of "
        "your own, all is well",
        root="train mode",
    )


def _calls(trial: WatchedTrial, planes: Tensor, training: bool) -> list[_Call]:
    """Each call of a module with one tensor or more, in the order in which calls end."""
    network, found = trial.network, list[_Call]()
    names = {module: name for name, module in network.named_modules()}
    waiting: dict[nn.Module, list[list[Tensor]]] = {}

    def begin(module: nn.Module, given: tuple[object, ...]) -> None:
        waiting.setdefault(module, []).append(_tensors(given))

    def end(module: nn.Module, given: tuple[object, ...], told: object) -> None:
        inputs = waiting[module].pop()
        outputs = _tensors(told if isinstance(told, tuple | list) else (told,))
        found.append(_Call(names[module], type(module).__name__, inputs, outputs))

    with torch.no_grad(), ExitStack() as stack:
        for module in names:
            stack.callback(setattr, module, "training", module.training)
            stack.callback(module.register_forward_pre_hook(begin).remove)
            stack.callback(module.register_forward_hook(end).remove)
            by_mode = isinstance(module, _BatchNorm | _DropoutNd | _InstanceNorm)
            module.training = training and not by_mode
        network(trial.execution.show(planes))
    return found


def _tensors(values: tuple[object, ...] | list[object]) -> list[Tensor]:
    return [each.detach().clone().float() for each in values if isinstance(each, Tensor)]


def _all_equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return len(some) == len(others) and all(
        own.shape == other.shape
        and float((own - other).abs().max()) <= _SAME * (1 + float(own.abs().max()))
        for own, other in zip(some, others, strict=True)
        if own.numel()
    )


def _gap(plain: Tensor, first: Tensor, second: Tensor) -> str:
    """In words, how outputs in train mode differ from those in eval mode; empty if they do not."""
    if not plain.shape == first.shape == second.shape or not plain.numel():
        return ""
    gap, noise = first - plain, float((first - second).abs().max())
    if not float(gap.abs().max()) > max(_DIFFERS * float(plain.std()), _NOISY * noise, 1e-6):
        return ""
    if float(gap.std()) < _DIFFERS * float(gap.abs().mean()):
        return f"they are {float(gap.mean()):+.3g} {_IN_EACH}"
    lost = float(((first == 0) & (plain != 0)).float().mean())
    if lost > _MANY:
        return f"{lost:.0%} of them are 0 in train mode alone"
    largest, spread = float(gap.abs().max()), float(plain.std())
    return f"they differ by up to {largest:.3g} (standard deviation {spread:.3g})"
