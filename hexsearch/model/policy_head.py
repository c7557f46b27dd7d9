"""Policy heads: from trunk features to one logit for each cell of the board."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.config.policy_head import PolicyHeadConfig
from hexsearch.config.section import is_import_path
from hexsearch.model.plugins import build_plugin, plugin_code

_MAP_CHANNELS = 32


class LinearPolicyHead(nn.Module):
    """Mean pooling, then one linear layer, as in the original project's network."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, size * size)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to policy logits [B, N*N], before masking and softmax."""
        out: Tensor = self.output(features_BCHW.mean(dim=(2, 3)))
        return out


class ConvolutionPolicyHead(nn.Module):
    """A logit for each cell from what lies around it, for boards of any size.

    Where the trunk's strides leave a smaller map, each of its places answers for a square of cells.

    Args:
        size: side of the board; side: rows of the feature map. A map that is larger than the board
            has an edge ring around it.
    """

    def __init__(self, inputs: int, size: int, side: int) -> None:
        super().__init__()
        self.size = size
        scale = -(-size // side)
        kernel = 3 if scale == 1 else 1
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, _MAP_CHANNELS, kernel, padding=kernel // 2),
            nn.ReLU(),
            nn.Conv2d(_MAP_CHANNELS, scale**2, 1),
            nn.PixelShuffle(scale),
        )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to policy logits [B, N*N], before masking and softmax."""
        logits: Tensor = self.layers(features_BCHW)[:, 0]
        margin = (logits.shape[1] - self.size) // 2
        board = slice(margin, margin + self.size)
        return logits[:, board, board].flatten(1)


def build_policy_head(config: PolicyHeadConfig, inputs: int, size: int, side: int) -> nn.Module:
    """The policy head of a configuration.

    A plug-in is called as `factory(inputs=C, size=N, **options)`, where N is the board's side. It
    must return an `nn.Module` from [B, C, H, W] to logits [B, N*N].

    Args:
        inputs: channels of the feature map; side: its rows; size: side of the board.

    Raises:
        ContractError: a plug-in cannot be imported or built.
    """
    if is_import_path(config.family):
        given = {"inputs": inputs, "size": size}
        return build_plugin("policy_head", config.family, given, config.options)
    if config.family == "convolution":
        return ConvolutionPolicyHead(inputs, size, side)
    return LinearPolicyHead(inputs, size)


def check_policy_head(head: nn.Module, inputs: int, size: int, side: int, name: str) -> list[str]:
    """Faults of a policy head as sentences: shape, finiteness, gradient to the trunk.

    Args:
        size: rows of the board.
        side: rows of the feature map.
    """
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, inputs, side, side, generator=generator, requires_grad=True)
    with plugin_code(f"policy head '{name}': its forward()"):
        logits = deepcopy(head)(features)  # a forward pass changes batch-norm statistics
    who, wanted = f"policy head '{name}'", (3, size * size)
    if not isinstance(logits, Tensor) or logits.shape != wanted:
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        return [f"{who} returned {got}, expected {list(wanted)}: one logit for each cell"]
    if not bool(torch.isfinite(logits).all()):
        return [f"{who} returned non-finite logits for standard normal features"]
    if not logits.requires_grad:
        return [f"{who} passes no gradient to the trunk: its result is detached"]
    # The weights are unequal, since the plain sum would be constant after a softmax.
    weighed = (logits * torch.arange(size * size)).sum()
    (gradient,) = torch.autograd.grad(weighed, features, allow_unused=True)
    if gradient is None or not bool(gradient.any()):
        return [f"{who} passes no gradient to the trunk"]
    return []


def policy_loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
    """Mean cross-entropy over the positions that have a next move; 0 if none has.

    Args:
        logits: [B, N*N].
        target: [B] int64, cell of the next move.
        has_move: [B] bool, whether there is a next move.
    """
    losses = functional.cross_entropy(logits.float(), target, reduction="none")
    mask = has_move.to(losses.dtype)
    return (losses * mask).sum() / mask.sum().clamp(min=1.0)
