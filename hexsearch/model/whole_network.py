"""A user's network with trunk and both heads in one, as the three parts that training knows.

The whole module stands where the trunk does, and its answers are its features: one channel for each
policy logit and one for the value, on a map of one cell. The two heads take them apart again, so
that training, evaluation, checkpoints and exports treat it as any other network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.config.trunk import NetworkConfig
from hexsearch.errors import ContractError
from hexsearch.model.plugins import build_plugin, plugin_code

_TRIED = 5  # positions that a network is held to its contract with
_SEED = 0
_TOLERANCE = 1e-4  # between answers that should be equal, relative to their size


class WholeTrunk(nn.Module):
    """Planes [B, C, N, N] to the answers of a user's module, [B, N*N + 1, 1, 1]."""

    def __init__(self, inner: nn.Module, name: str) -> None:
        super().__init__()
        self.inner = inner
        self._name = name

    def forward(self, planes_BCNN: Tensor) -> Tensor:
        """The policy logits, then the value."""
        policy, value = _two_answers(self.inner(planes_BCNN), self._name)
        joined = torch.cat([policy.flatten(1), value.reshape(-1, 1)], dim=1)
        return joined.unsqueeze(2).unsqueeze(3)


class WholePolicy(nn.Module):
    """The policy logits [B, N*N] of a WholeTrunk's features."""

    def forward(self, answers: Tensor) -> Tensor:
        return answers[:, :-1, 0, 0]


class WholeValue(nn.Module):
    """The raw value [B] of a WholeTrunk's features."""

    def forward(self, answers: Tensor) -> Tensor:
        return answers[:, -1, 0, 0]


def build_whole(config: NetworkConfig, planes: int, side: int, size: int) -> nn.Module:
    """The user's module. Called as `factory(planes=C, side=N, size=N, **options)`.

    Args:
        side: rows and columns of the planes, the edge ring included. size: of the board.
    Raises:
        ContractError: it cannot be imported or built.
    """
    given = {"planes": planes, "side": side, "size": size}
    return build_plugin("network", config.family, given, config.options)


def whole_parts(
    config: NetworkConfig, planes: int, side: int, size: int
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """A user's network as trunk, value head and policy head, held to shape and gradients.

    Raises:
        ContractError: it cannot be built, or breaks its contract.
    """
    inner = build_whole(config, planes, side, size)
    problems = check_answers(inner, config.name, planes, side, size)
    if problems:
        raise ContractError("\n".join(problems))
    return WholeTrunk(inner, config.name), WholeValue(), WholePolicy()


def check_whole(config: NetworkConfig, planes: int, side: int, size: int) -> list[str]:
    """What is wrong with a user's network, in words.

    Shapes, finite answers, gradients of both answers, equal weights and answers from an equal seed,
    answers that do not depend on earlier calls or on the rest of the batch, and weights that can be
    stored and loaded.
    """
    first, second = (_seeded(config, planes, side, size) for _ in range(2))
    problems = check_answers(first, config.name, planes, side, size)
    if problems:
        return problems
    who = f"network '{config.name}'"
    own, again = first.state_dict(), second.state_dict()
    if own.keys() != again.keys() or not all(torch.equal(own[n], again[n]) for n in own):
        return [
            f"{who}: built twice from one seed, it has other weights; draw them from torch's "
            "generator, which is seeded, and from nothing else"
        ]
    shown = _boards(planes, side)
    first.eval()
    with plugin_code(f"{who}: its forward()"), torch.no_grad():
        answered = _joined(first, shown, config.name)
        repeated = _joined(first, shown, config.name)
        alone = torch.cat([_joined(first, row[None], config.name) for row in shown])
    if not _equal(answered, repeated):
        problems.append(
            f"{who} answers the same boards differently in eval mode: dropout or other randomness "
            "must rest there"
        )
    elif not _equal(answered, alone):
        problems.append(
            f"{who} answers a board differently alone and in a batch: nothing may be computed over "
            "the batch in eval mode"
        )
    other = _seeded(config, planes, side, size, _SEED + 1)
    return problems + _storing_problems(first, other, shown, answered, config.name)


def check_answers(inner: nn.Module, name: str, planes: int, side: int, size: int) -> list[str]:
    """Shapes, finite answers, and a gradient from each answer to the weights."""
    who = f"network '{name}'"
    with plugin_code(f"{who}: its forward()"):
        trial = deepcopy(inner)  # a forward pass moves batch-norm statistics
        answer = trial(_boards(planes, side))
    try:
        policy, value = _two_answers(answer, name)
    except ContractError as error:
        return [str(error)]
    problems = []
    wanted = [_TRIED, size * size]
    if policy.ndim < 2 or list(policy.flatten(1).shape) != wanted:
        problems.append(
            f"{who} returned policy {list(policy.shape)}, expected {wanted}: one logit for each "
            "cell, by row * N + column"
        )
    if list(value.shape) not in ([_TRIED], [_TRIED, 1]):
        problems.append(
            f"{who} returned value {list(value.shape)}, expected [{_TRIED}] or [{_TRIED}, 1]: one "
            "number, which the read-out turns into a probability"
        )
    if problems:
        return problems
    for what, answers in (("policy", policy), ("value", value)):
        if not bool(torch.isfinite(answers).all()):
            problems.append(f"{who} returned a {what} that is not finite for random stones")
        elif not _reaches_weights(answers, trial):
            problems.append(f"{who}: no gradient of its {what} reaches a weight; is it detached?")
    return problems


def _two_answers(answer: Any, name: str) -> tuple[Tensor, Tensor]:
    """(policy, value) of what a module returned."""
    if isinstance(answer, Mapping) and {"policy", "value"} <= answer.keys():
        answer = (answer["policy"], answer["value"])
    if not isinstance(answer, tuple | list) or len(answer) < 2:
        raise ContractError(
            f"network '{name}' returned a {type(answer).__name__}, expected (policy, value)"
        )
    policy, value = answer[:2]
    if not isinstance(policy, Tensor) or not isinstance(value, Tensor):
        raise ContractError(
            f"network '{name}' returned ({type(policy).__name__}, {type(value).__name__}), "
            "expected two tensors (policy, value)"
        )
    return policy, value


def _storing_problems(
    first: nn.Module, other: nn.Module, shown: Tensor, answered: Tensor, name: str
) -> list[str]:
    """Whether an instance of another seed answers alike once it has the stored weights."""
    who = f"network '{name}'"
    with plugin_code(f"{who}: load_state_dict()"):
        other.load_state_dict(first.state_dict())
    other.eval()
    with plugin_code(f"{who}: its forward()"), torch.no_grad():
        loaded = _joined(other, shown, name)
    if _equal(answered, loaded):
        return []
    return [
        f"{who} answers differently once its weights were stored and loaded: register what it "
        "learns as parameters or buffers"
    ]


def _seeded(
    config: NetworkConfig, planes: int, side: int, size: int, seed: int = _SEED
) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_whole(config, planes, side, size)


def _joined(module: nn.Module, shown: Tensor, name: str) -> Tensor:
    policy, value = _two_answers(module(shown), name)
    return torch.cat([policy.flatten(1), value.reshape(-1, 1)], dim=1)


def _reaches_weights(answers: Tensor, module: nn.Module) -> bool:
    if not answers.requires_grad:
        return False
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    # Weighed unequally: over a softmax the plain sum would be constant.
    weighed = (answers.flatten() * torch.arange(1.0, answers.numel() + 1)).sum()
    found: Iterator[Tensor | None] = iter(
        torch.autograd.grad(weighed, weights, retain_graph=True, allow_unused=True)
    )
    return any(gradient is not None and bool(gradient.any()) for gradient in found)


def _boards(planes: int, side: int) -> Tensor:
    generator = torch.Generator().manual_seed(_SEED)
    return (torch.rand(_TRIED, planes, side, side, generator=generator) < 0.3).float()


def _equal(one: Tensor, other: Tensor) -> bool:
    gap = float((one - other).abs().max())
    return gap <= _TOLERANCE * max(float(one.abs().max()), 1.0)
