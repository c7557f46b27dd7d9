"""Edits of the sums round blocks: an input that is added, or not added, to what a block gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.activations import parts_by_role
from hexsearch.doctor.hypotheses.edits.edit import Edit, hooked

_SHARES = (0.05, 0.1, 0.2, 0.5, 2.0)
_WAYS = (
    (
        1.0,
        "the input of {} added to its output",
        "the sum round {} is left out: training added its input to its output (a skip connection)",
    ),
    (
        -1.0,
        "the input of {} taken off its output",
        "the input of {} is added to its output once more than in training",
    ),
)


def skip_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """Each kind of part whose output has the shape of its input, with its input added or less it.

    Args:
        planes: [P, C, N, N] as the encoder gives them.
    """
    roles = parts_by_role(network)
    alike = _keeping_shape(network, planes, roles)
    for role in alike:
        for share in _SHARES:
            yield Edit(
                "branches",
                f"what {role} adds to its input times {share:g}",
                f"what {role} adds to its input counts otherwise than in training: times {share:g} "
                "the answers are better (a scale of each block's branch, such as the layer scale "
                "of ConvNeXt or that of drop path, that was left out or applied twice)",
                "load the scale of each branch, and multiply by it once",
                partial(_adding, roles[role], 1.0 - share, share),
            )
        for sign, words, cause in _WAYS:
            yield Edit(
                "sums",
                words.format(role),
                cause.format(role),
                "add up what training added up: the input of each block once",
                partial(_adding, roles[role], sign, 1.0),
            )


def _keeping_shape(
    network: nn.Module, planes: Tensor, roles: dict[str, list[nn.Module]]
) -> list[str]:
    """The roles of parts with parameters that give tensors of the shape that they get."""
    kept: set[str] = set()

    def note(module: nn.Module, inputs: Any, output: Any, role: str) -> None:
        given = inputs[0] if inputs else None
        if isinstance(given, Tensor) and isinstance(output, Tensor) and given.ndim > 1:
            kept.update({role} if given.shape == output.shape else ())

    first = {role: modules[0] for role, modules in roles.items()}
    with ExitStack() as hooks, torch.no_grad():
        for role, module in first.items():
            if any(True for _ in module.parameters()):
                hooks.enter_context(hooked([module], partial(note, role=role)))
        network(planes[:2])
    return [role for role in roles if role in kept]


def _adding(
    modules: list[nn.Module], of_input: float, of_output: float
) -> AbstractContextManager[None]:
    """Let modules give so much of their input and of their output."""

    def add(module: nn.Module, inputs: Any, output: Any) -> Any:
        given = inputs[0] if inputs else None
        if not isinstance(given, Tensor) or not isinstance(output, Tensor):
            return output
        if given.shape != output.shape:
            return output
        return of_output * output + of_input * given

    return hooked(modules, add)
