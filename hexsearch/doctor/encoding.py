"""Checks of what a network is shown: boards, movers, labels and moves under every symmetry.

Everything is worked out again from the games, without the encoder and the symmetry tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hexsearch.data.baselines import stones_at
from hexsearch.data.batches import Batch
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.game.board import BLUE, RED, Stones

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class EncodedBoards:
    """Samples beside what they should be.

    Attributes:
        images: [B, 4] whether the planes show the game's board under each symmetry.
        twisted: share of the other boards that fit a known mistake, by its name.
        always: whether even the boards that are meant to be shown unreflected are no such image. A
            mistake of augmentation spares those; one of reading spares none, and `twisted` is then
            about them alone, as a reflection on top of it would hide which mistake it is.
        swapped: [B, 4] symmetry exchanges the colours: False, False, True, True.
    """

    batch: Batch
    size: int
    images: Flags
    twisted: dict[str, float]
    always: bool
    cells: NDArray[np.int64]  # [B, 4] where the next move lies under each symmetry
    has_move: Flags
    finished: Flags
    red_won: Flags
    red_to_move: Flags


_SWAPS = np.array([False, False, True, True])
_COLOURS_ONLY = "colours exchanged without reflecting the board"
_BOARD_ONLY = "the board reflected without exchanging the colours"
# What the same two mean where not even the samples that stay unreflected are spared.
_READ = {
    _COLOURS_ONLY: "the first mover is on the wrong edges: Blue's stones stand on Red's plane and "
    "Red's on Blue's, in every sample",
    _BOARD_ONLY: "moves are read column-major: every board is transposed, its colours are not",
}


def encoded_boards(pipeline: ExaminedPipeline) -> EncodedBoards:
    """The training samples of a pipeline, worked out again."""
    assert pipeline.batches is not None and pipeline.archive is not None
    batch = Batch.joined(pipeline.batches)
    archive = pipeline.archive
    games, plies = batch.game.numpy(), batch.ply.numpy()
    boards = stones_at(archive, games, plies)
    size = boards.shape[1]
    planes = inside_ring(batch.planes.numpy(), size)
    seen = (RED * planes[:, 1] + BLUE * planes[:, 0]).astype(np.int8)
    images = np.stack([_same(seen, image(boards, s)) for s in range(4)], axis=1)
    lost: Flags = ~np.any(images, axis=1)
    twisted = {}
    complement = batch.complement.numpy()
    upright = complement if planes.shape[1] == 2 else ~complement
    upright = upright & boards.any(axis=(1, 2))  # not in place: the batch owns this memory
    always = bool(upright.any() and lost[upright].mean() > 0.9)
    if always:
        lost = lost & upright
    if lost.any():
        some, there = seen[lost], boards[lost]
        mistakes = {
            _COLOURS_ONLY: [-image(there, s) for s in (0, 1)],
            _BOARD_ONLY: [-image(there, s) for s in (2, 3)],
            "the board turned by a quarter or flipped, which is no symmetry of Hex": [
                there[:, ::-1],
                there[:, :, ::-1],
                -there[:, ::-1],
                -there[:, :, ::-1],
            ],
        }
        twisted = {
            name: float(np.any([_same(some, board) for board in made], axis=0).mean())
            for name, made in mistakes.items()
        }
    lengths = archive.lengths[games]
    starts = archive.offsets[games].astype(np.int64)
    has_move = plies < lengths
    following = archive.moves[np.where(has_move, starts + plies, starts)].astype(np.int64)
    row, column = np.divmod(following, size)
    last = size - 1
    return EncodedBoards(
        batch=batch,
        size=size,
        images=images,
        twisted=twisted,
        always=always,
        cells=np.stack(
            [
                following,
                (last - row) * size + last - column,
                column * size + row,
                (last - column) * size + last - row,
            ],
            axis=1,
        ),
        has_move=has_move,
        finished=(plies == lengths) & (archive.finished[games] == 1),
        red_won=archive.winners[games] == RED,
        red_to_move=plies % 2 == 1,
    )


def inside_ring(planes: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Planes [B, C, N, N] without the ring that an encoder may paint round the board."""
    margin = (planes.shape[-1] - size) // 2
    return planes[:, :, margin : margin + size, margin : margin + size]


def image(boards: Stones, symmetry: int) -> Stones:
    """Boards [B, N, N] under a symmetry of Hex: half turn, long and short diagonal."""
    if symmetry == 0:
        return boards
    if symmetry == 1:
        return boards[:, ::-1, ::-1]
    turned = -boards.transpose(0, 2, 1)
    return turned if symmetry == 2 else turned[:, ::-1, ::-1]


def check_boards(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Stones, outcome, mover, next move and perspective must go through one symmetry."""
    shown = encoded_boards(pipeline)
    batch, mover_view = shown.batch, shown.batch.planes.shape[1] == 2
    yield from _lost_boards(shown)
    kept = shown.images
    if mover_view:
        # Whoever is to move must be shown connecting top to bottom.
        right_side = shown.finished[:, None] | (_SWAPS[None] == shown.red_to_move[:, None])
        yield from _mismatch(
            "side to move",
            kept,
            right_side,
            "the board is shown from the side that is not to move",
            "reflect and recolour exactly where Red is to move",
        )
        outcome = ~(shown.red_won[:, None] ^ _SWAPS[None])
    else:
        outcome = shown.red_won[:, None] ^ _SWAPS[None]
        plane = batch.planes[:, 2].mean(dim=(1, 2)).numpy()[:, None]
        expected = (shown.red_to_move[:, None] ^ _SWAPS[None]).astype(np.float32)
        fits = shown.finished[:, None] | (np.abs(plane - expected) < 1e-3)
        yield from _mismatch(
            "side to move",
            kept,
            fits,
            "the side-to-move plane is not exchanged together with the colours",
            "exchange the mover wherever the colours are exchanged; never count it from stones",
        )
    yield from _mismatch(
        "outcome",
        kept,
        (batch.outcome.numpy() > 0.5)[:, None] == outcome,
        "the label is not exchanged together with the colours",
        "exchange the winner wherever the colours are exchanged",
    )
    target = batch.policy_target.numpy()[:, None]
    yield from _mismatch(
        "policy target",
        kept,
        (shown.cells == target) | ~shown.has_move[:, None],
        _policy_cause(shown, kept),
        "send the move through the very symmetry that the stones went through",
    )
    yield from _mismatch(
        "perspective",
        kept,
        batch.complement.numpy()[:, None] == (~_SWAPS if mover_view else _SWAPS)[None],
        "the answer would be carried back for the wrong colour: Red's chance is shown as Blue's",
        "take 1 - p exactly where the network answers for Blue",
    )


def _lost_boards(shown: EncodedBoards) -> Iterator[Finding]:
    """Boards that are no image of the game's, and what they are instead."""
    lost: Flags = ~np.any(shown.images, axis=1)
    if lost.any():
        cause, share = max(shown.twisted.items(), key=lambda item: item[1])
        cause = _READ.get(cause, cause) if shown.always else cause
        if share < 0.5:
            cause = "the planes are built from other moves, or in another order (row and column)"
        yield Finding(
            "boards",
            "error",
            f"{lost.sum():,} of {len(lost):,} training samples show a board that is no symmetric "
            "image of the game's",
            cause if share < 0.5 else f"{cause} ({share:.0%} of them)",
            "move stones and colours together: the half turn keeps colours, both reflections "
            "exchange them",
        )


def _mismatch(what: str, images: Flags, fits: Flags, cause: str, remedy: str) -> Iterator[Finding]:
    """A finding where under none of the symmetries that the board allows it fits."""
    known: Flags = np.any(images, axis=1)
    wrong: Flags = known & ~np.any(images & fits, axis=1)
    if not wrong.any():
        return
    reflected: Flags = known & ~np.any(images[:, :2], axis=1)
    share = wrong[reflected].mean() if reflected.any() else 0.0
    yield Finding(
        "boards",
        "error",
        f"{what}: wrong in {wrong.sum():,} of {known.sum():,} training samples "
        f"({share:.0%} of those whose colours are exchanged)",
        cause,
        remedy,
    )


def _policy_cause(shown: EncodedBoards, images: Flags) -> str:
    """Which cell the target is, if not the right one."""
    target = shown.batch.policy_target.numpy()
    unmoved = target == shown.cells[:, 0]
    size = shown.size
    exchanged = (target % size) * size + target // size
    wrong: Flags = shown.has_move & ~np.any(images & (shown.cells == target[:, None]), axis=1)
    if wrong.any() and unmoved[wrong].mean() > 0.9:
        return "the symmetry is applied to the planes but not to the next move"
    columns: Flags = np.any(images & (shown.cells == exchanged[:, None]), axis=1)
    if wrong.any() and columns[wrong].mean() > 0.9:
        return "the move's cell is counted down the columns (column-major), the planes by rows"
    return "the next move goes through another symmetry than the stones"


def check_finished(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Finished positions: no mover, and no policy target."""
    shown = encoded_boards(pipeline)
    batch = shown.batch
    over = ~shown.has_move
    claimed = over & batch.has_move.numpy()
    if claimed.any():
        cells = np.unique(batch.policy_target.numpy()[claimed])
        yield Finding(
            "finished boards",
            "error",
            f"{claimed.sum():,} of {over.sum():,} positions without a next move carry a policy "
            f"target (cell {', '.join(map(str, cells[:3]))})",
            "an empty policy vector is read as cell 0: the policy head learns to play a1 on "
            "finished boards",
            "mask the policy loss where there is no next move",
        )
    if batch.planes.shape[1] != 3 or not shown.finished.any():
        return
    plane = batch.planes[:, 2].mean(dim=(1, 2)).numpy()[shown.finished]
    if np.abs(plane - 0.5).max() > 1e-3:
        yield Finding(
            "finished boards",
            "error",
            f"{(np.abs(plane - 0.5) > 1e-3).mean():.0%} of {len(plane):,} finished positions show "
            "a side to move",
            "on a finished board the side to move is always the loser: the network can read the "
            "winner off that plane without looking at the stones",
            "show finished positions with the side-to-move plane at 0.5",
        )


def _same(some: Stones, others: Stones) -> Flags:
    equal: Flags = np.all(np.equal(some, others), axis=(1, 2))
    return equal
