"""Auxiliary heads: what else the trunk is taught, their shapes and their losses."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

CLASSES = 3  # of a cell: nobody, the colour on the first plane, the one on the second
PLIES_SCALE = 20.0  # plies that the moves-left head calls 1
_PLIES_KNEE = 10.0  # the moves-left loss is squared up to here, linear beyond
_MAP_CHANNELS = 32
_FLAT_INPUTS = 512  # numbers that a head on a small map makes its map of


class CellHead(nn.Module):
    """A class for each cell where the trunk keeps the board's size: two convolutions."""

    def __init__(self, inputs: int, size: int, side: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, _MAP_CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_MAP_CHANNELS, CLASSES, 1),
        )
        margin = (side - size) // 2  # of an edge ring
        self._board = slice(margin, margin + size)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to logits [B, 3, N*N]."""
        out: Tensor = self.layers(features_BCHW)
        return out[:, :, self._board, self._board].flatten(2)


class FlatCellHead(nn.Module):
    """A class for each cell where the trunk's strides have left a map smaller than the board."""

    def __init__(self, inputs: int, size: int, side: int) -> None:
        super().__init__()
        channels = max(_FLAT_INPUTS // side**2, 1)
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, channels, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(channels * side**2, CLASSES * size**2),
        )

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to logits [B, 3, N*N]."""
        out: Tensor = self.layers(features_BCHW)
        return out.view(len(out), CLASSES, -1)


class MovesLeftHead(nn.Module):
    """Mean pooling, then an MLP to one number: plies to the end over PLIES_SCALE."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to [B]."""
        out: Tensor = self.layers(features_BCHW.mean(dim=(2, 3)))
        return out.squeeze(1)


def build_auxiliary_head(name: str, inputs: int, size: int, side: int) -> nn.Module:
    """A head by its name in AUXILIARY_HEADS.

    Args:
        inputs: channels of the trunk's features; side: rows of their map; size: of the board.
    """
    if name == "moves_left":
        return MovesLeftHead(inputs)
    return (CellHead if side >= size else FlatCellHead)(inputs, size, side)


def counted(target: Tensor) -> Tensor:
    """How many entries of a target count, as a scalar."""
    return (target >= 0).sum()


def auxiliary_losses(
    outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Mean loss of each head over what counts, 0 where nothing does; unweighted, in float32.

    Cells: cross-entropy in nats, a mean over cells. Moves left: Huber's loss of plies over
    PLIES_SCALE, as in lc0's tfprocess.py, a mean over positions.

    Args:
        outputs: by head, [B] of `moves_left` and [B, 3, N*N] of the others.
        targets: of the same heads; see hexsearch.data.auxiliary.
    """
    losses = {}
    for name, output in outputs.items():
        target = targets[name]
        counts = target >= 0
        if name == "moves_left":
            plies = 2.0 / PLIES_SCALE * target.clamp(min=0)
            knee = _PLIES_KNEE / PLIES_SCALE
            each = functional.huber_loss(output.float(), plies, reduction="none", delta=knee)
        else:
            classes = target.long()
            each = functional.cross_entropy(
                output.float(), classes, ignore_index=-1, reduction="none"
            )
        losses[name] = (each * counts).sum() / counts.sum().clamp(min=1)
    return losses
