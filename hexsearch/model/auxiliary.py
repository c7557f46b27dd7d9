"""Auxiliary heads, which give the trunk further targets: their shapes and their losses."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional

CLASSES = 3  # classes of a cell: nobody, the colour on the first plane, or on the second plane
PLIES_SCALE = 20.0  # number of plies for which the moves-left head answers 1
_PLIES_KNEE = 10.0  # error in plies up to which the moves-left loss is quadratic, then linear
_MAP_CHANNELS = 32
_FLAT_INPUTS = 512  # inputs of the last layer of a head on a small map


class CellHead(nn.Module):
    """Two convolutions to a class for each cell, for a trunk that keeps the board's size."""

    def __init__(self, inputs: int, size: int, side: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, _MAP_CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_MAP_CHANNELS, CLASSES, 1),
        )
        margin = (side - size) // 2  # width of the edge ring
        self._board = slice(margin, margin + size)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """[B, C, H, W] to logits [B, 3, N*N]."""
        out: Tensor = self.layers(features_BCHW)
        return out[:, :, self._board, self._board].flatten(2)


class FlatCellHead(nn.Module):
    """A class for each cell, for a trunk whose map is smaller than the board."""

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
        inputs: channels of the trunk's features.
        size: rows of the board.
        side: rows of the feature map.
    """
    if name == "moves_left":
        return MovesLeftHead(inputs)
    return (CellHead if side >= size else FlatCellHead)(inputs, size, side)


def counted(target: Tensor) -> Tensor:
    """Number of entries of a target that are not ignored, as a scalar."""
    return (target >= 0).sum()


def auxiliary_losses(
    outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Mean loss of each head over the entries that are not ignored; 0 if all are ignored.

    The losses are unweighted, in float32. For cells it is the cross-entropy in nats, averaged over
    cells. For moves left it is Huber's loss of plies divided by PLIES_SCALE, averaged over
    positions, as in lc0's tfprocess.py.

    Args:
        outputs: outputs by head: [B] for `moves_left`, [B, 3, N*N] for the others.
        targets: targets of the same heads; see hexsearch.data.auxiliary.
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
