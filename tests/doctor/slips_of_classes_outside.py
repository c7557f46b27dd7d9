"""Scripts of somebody else with slips of stated classes; see `slips_of_classes`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tests.doctor import mistakes_ninth as mistakes
from tests.doctor.outside import Encode, Foreign, Samples, as_played, encoded
from tests.doctor.outside_networks import (
    ALPHAZERO,
    POOLED,
    WDL,
    Pooled,
    Tower,
    absolute,
    canonical,
    cross_entropy,
    for_red,
)


def _always_empty(samples: Samples, encode: Encode) -> Tensor:
    return encoded(samples, _with_empty)


def _with_empty(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    planes = canonical(stones, to_move)
    return np.concatenate([planes, np.zeros_like(planes)])


def _with_copies(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    planes = canonical(stones, to_move)
    return np.concatenate([planes, planes])


def _constant_side(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    return absolute(stones, 1)


def _discounted_to_zero(samples: Samples) -> Tensor:
    return for_red(samples) * 0.95**samples.left


def _linear(samples: Samples) -> Tensor:
    return samples.result * (1 - samples.left / 25.0).clamp(min=0)


def _cut_logit(raw: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        raw.reshape(len(raw)).clamp(-1.5, 1.5), target
    )


def _cut_probability(raw: Tensor, target: Tensor) -> Tensor:
    p = raw.reshape(len(raw)).sigmoid().clamp(0.1, 0.9)
    return functional.binary_cross_entropy(p, target)


class SigmoidEnd(Pooled):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy, value.sigmoid()


class SoftmaxPolicy(Pooled):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy.softmax(dim=1), value


class ClampedEnd(Pooled):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy, value.clamp(-2.0, 2.0)


def _replaced(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    stones[stones == -1] = 2
    return np.stack([stones == 1, stones == 2, np.full(stones.shape, to_move)]).astype(np.float32)


def _one_colour_transposed(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    """Own stones are transposed for Red and the other side's are not."""
    own, other = stones == to_move, stones == -to_move
    if to_move == 0:
        own, other = stones == -1, stones == 1
    return np.stack([own.T if to_move > 0 else own, other]).astype(np.float32)


def _red_mirrored(samples: Samples) -> Tensor:
    size = samples.stones.shape[1]
    row, column = samples.played // size, samples.played % size
    red = (samples.to_move > 0) & (samples.played >= 0)
    return torch.where(red, (size - 1 - column) * size + row, samples.played)


_SIGMOID = lambda raw: raw.reshape(len(raw)).sigmoid()  # noqa: E731
FOREIGN: dict[str, Foreign] = {
    "a: logit clamped in loss and answer": replace(
        POOLED,
        loss=_cut_logit,
        decode=lambda raw: raw[:, 0].clamp(-1.5, 1.5).sigmoid(),
        named_by="clamp|clip|cut off",
        cause="The logit is clamped to -1.5..1.5 in the loss and in the answer.",
    ),
    "a: value clamped in the network": replace(
        POOLED,
        network=ClampedEnd,
        loss=cross_entropy,
        decode=_SIGMOID,
        named_by="clamp|clip",
        cause="The network clamps its value to -2..2, and a sigmoid is applied to it.",
    ),
    "a: probability clamped in the loss (foreign)": replace(
        POOLED,
        loss=_cut_probability,
        decode=_SIGMOID,
        named_by="clamp|clip|cut off",
        cause="The loss clamps the probability to 0.1..0.9: nothing teaches surer answers.",
    ),
    "b: history always empty": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=4),
        planes=_always_empty,
        asked=_with_empty,
        named_by="planes? .*(empty|constant|0|zero)",
        cause="Planes 2 and 3 are empty in training and at inference.",
    ),
    "b: history is a copy of now": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=4),
        encode=_with_copies,
        named_by="cop(y|ies)|same as plane|equal|duplicat",
        cause="Planes 2 and 3 are copies of planes 0 and 1.",
    ),
    "b: history a copy of now at inference": replace(
        ALPHAZERO,
        network=lambda size: Tower(size, planes=4),
        planes=mistakes.with_history,
        asked=_with_copies,
        named_by="cop(y|ies)|same as plane|equal|duplicat",
        cause="Planes 2 and 3 show the position before in training and this one at inference.",
    ),
    "b: side to move constant at inference": replace(
        WDL,
        asked=_constant_side,
        named_by="plane.*(constant|always|same)|side to move",
        cause="At inference the plane of the side to move is always 1.",
    ),
    "c: discounted towards zero": replace(
        POOLED,
        targets=_discounted_to_zero,
        named_by="discount",
        cause="Red's win counts 0.95 for each ply to the end and his loss 0.",
    ),
    "c: result fades linearly": replace(
        ALPHAZERO,
        targets=_linear,
        named_by="discount|fade",
        cause="The result is multiplied by 1 - left / 25.",
    ),
    "c: result times 0.6": replace(
        ALPHAZERO,
        targets=lambda samples: 0.6 * samples.result,
        named_by="scale|factor|times|smooth",
        cause="The result is multiplied by 0.6.",
    ),
    "d: sigmoid in the network and in the loss": replace(
        POOLED,
        network=SigmoidEnd,
        loss=cross_entropy,
        decode=lambda raw: raw[:, 0],
        named_by="two sigmoids|sigmoid.*twice",
        cause="The network ends in a sigmoid, and the loss applies another one.",
    ),
    "d: sigmoid twice in loss and answer": replace(
        POOLED,
        network=SigmoidEnd,
        loss=cross_entropy,
        decode=_SIGMOID,
        named_by="two sigmoids|sigmoid.*twice",
        cause="The network ends in a sigmoid, and loss and answer apply another one.",
    ),
    "d: softmax in the policy and in its loss": replace(
        POOLED,
        network=SoftmaxPolicy,
        named_by="softmax",
        cause="The policy ends in a softmax, and its loss applies another one.",
    ),
    "d: negative log likelihood of softmax": replace(
        WDL,
        loss=lambda raw, target: functional.nll_loss(raw.softmax(dim=1), target),
        named_by="likelihood|logarithm|log_softmax|over-?confident|sure",
        cause="nll_loss gets probabilities instead of their logarithms.",
    ),
    "d: negative log likelihood of logits (foreign)": replace(
        WDL,
        loss=lambda raw, target: functional.nll_loss(raw, target),
        named_by="log_?softmax|normalis|unbounded|over-?confident|sure",
        cause="nll_loss gets logits that no log_softmax has normalised.",
    ),
    "e: encoder turns the board in place": replace(
        ALPHAZERO,
        asked=mistakes.in_place,
        named_by="in place|argument|writes",
        cause="The encoder exchanges colours and transposes in the caller's array.",
    ),
    "e: encoder replaces numbers in place": replace(
        WDL,
        asked=_replaced,
        named_by="in place|argument|writes",
        cause="The encoder replaces -1 by 2 in the caller's array.",
    ),
    "f: Red's moves not transposed": replace(
        ALPHAZERO,
        moves=as_played,
        named_by="(policy|move).*(transpos|reflect|Red)",
        cause="The board is transposed for Red, and Red's move is not.",
    ),
    "f: Red's moves turned in place of transposed": replace(
        ALPHAZERO,
        moves=_red_mirrored,
        named_by="(policy|move).*(turn|mirror|Red)",
        cause="The board is transposed for Red, and Red's move is turned by a quarter.",
    ),
    "f: one colour's plane not transposed": replace(
        ALPHAZERO,
        encode=_one_colour_transposed,
        named_by="plane 1.*(transpos|reflect)|transpos.*plane",
        cause="For Red the own stones are transposed, and the other side's are not.",
    ),
    "g: policy by columns (foreign)": replace(
        WDL,
        moves=mistakes.cells_by_columns,
        named_by="column|transpos",
        cause="The policy is numbered column * N + row.",
    ),
}
