"""Checks of a user's encoder alone: what it returns twice, and which boards it makes alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hexsearch.doctor.checks.network.shown_boards import knows_the_end, shown_wrongly
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.blank_planes import BlankPlanes, never_filled
from hexsearch.doctor.networks import Observed, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.errors import HexsearchError

Board = NDArray[np.int8]
_BOARDS, _CALLS = 12, 6
_LOOKED_AT = 200  # positions of games whose planes are compared with the stones

_IMAGES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "after a half turn": lambda planes: planes[..., ::-1, ::-1],
    "transposed": lambda planes: planes.swapaxes(-1, -2),
    "mirrored left to right": lambda planes: planes[..., ::-1],
    "upside down": lambda planes: planes[..., ::-1, :],
}


def check_encoder(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """On random boards, which are asymmetrical."""
    foreign = needed(pipeline.foreign)
    boards = random_boards(foreign.size)
    yield from _written(foreign, boards)
    made = [foreign.encoded(board, mover) for board, mover in boards]
    kept = [np.array(foreign.encoded(board, mover)) for board, mover in boards]
    changed = sum(not np.array_equal(a, b) for a, b in zip(made, kept, strict=True))
    if changed:
        if (drawn := _random_planes(foreign, boards)) is not None:
            yield drawn
            return
        shared = sum(np.shares_memory(made[0], each) for each in made[1:])
        yield Finding.error(
            "encoder",
            f"after {len(boards)} boards {changed} of the arrays that encode() returned hold "
            f"something else than when asked again; {shared} share the memory of the first one",
            "encode() fills one array and returns the same array each time (or its answer depends "
            "on earlier calls): all positions of a batch end as the last one",
            "make a new array in each call, or return a copy",
        )
        return
    alike = list(_made_alike(foreign.encoded, boards, kept)) or list(_mover_hidden(foreign, boards))
    yield from alike
    if not alike and pipeline.observed is not None:
        yield from _finished_alike(foreign, pipeline.observed)
        yield from shown_wrongly(foreign, pipeline.observed)
        yield from _blank(foreign, pipeline.observed)


def _random_planes(foreign: ForeignNetwork, boards: list[tuple[Board, int]]) -> Finding | None:
    """The finding for an encoder that draws random numbers; None if it draws none.

    One that keeps the board of an earlier call gives the same planes from the second call on.
    """
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for board, mover in boards:
        first, *later = [np.array(foreign.encoded(board, mover)) for _ in range(_CALLS)][1:]
        pairs += [(first, other) for other in later if not np.array_equal(first, other)]
    if not pairs:
        return None
    turned = [n for n, of in _IMAGES.items() if all(np.array_equal(of(a), b) for a, b in pairs)]
    how = f": the same board {turned[0]}" if turned else ""
    return Finding.error(
        "encoder",
        f"in {_CALLS} calls one after the other for each of {len(boards)} boards, encode() gives "
        f"other planes for the same board in {len(pairs)}{how}",
        f"encode() draws random numbers{how} (an augmentation of training that is still on at "
        "inference), so answers change from call to call, and the policy's cells are those of the "
        "board as it was shown",
        "augment in training only; or average over all images, and turn the policy back",
        root="random encoder",
    )


def _written(foreign: ForeignNetwork, boards: list[tuple[Board, int]]) -> Iterator[Finding]:
    """Report an encoder that writes into the board that it is given."""
    for board, mover in boards:
        foreign.encoded(board, mover)
    for name, what in foreign.written.items():
        if name.startswith("encode"):
            yield Finding.error(
                "encoder",
                f"after a call of {name} the array that it was given holds something else: {what}; "
                "the checks give it copies",
                f"{name} writes into its argument: it changes the caller's board in place (by an "
                "operation such as *= or stones[...] = ...), so a board that is encoded a second "
                "time, or goes on to be played, is another one",
                "copy the array at the beginning: stones = stones.copy(); look at training, too, "
                "if it encodes the boards of a game one after another",
                root="written",
            )


def _blank(foreign: ForeignNetwork, observed: Observed) -> Iterator[Finding]:
    """Report planes that are empty or copies of others on all positions."""
    chosen = np.linspace(0, len(observed.positions) - 1, _LOOKED_AT).astype(np.int64)
    planes = foreign.planes(take(observed.positions, np.unique(chosen)))
    blank = BlankPlanes(planes)
    if not blank.numbers:
        return
    before: bool | None = None
    if isinstance(foreign.model, nn.Module) and blank.empty:
        cells = planes[0, 0].numel()
        before = never_filled(foreign.model, planes.shape[1], cells, blank.empty)
    weights = {
        True: "; the weights of the empty ones in the first layer are still as torch draws them, "
        "so they were empty in training, too",
        False: "; the weights of the empty ones in the first layer are not those that torch draws",
        None: "",
    }[before]
    yield Finding.warning(
        "encoder",
        f"on {len(planes)} positions {blank}{weights}",
        f"{blank} in every position: what should be on them (the stones of a colour, a history) "
        + (
            "was never shown to the network, which could not learn from it"
            if before
            else "is not shown, so the network gets other planes than in training, unless they "
            "were the same there"
        ),
        "fill these planes as the network's description says, in training and at inference alike; "
        "if they are spare on purpose, leave them out",
        root="blank planes",
    )


def _mover_hidden(foreign: ForeignNetwork, boards: list[tuple[Board, int]]) -> Iterator[Finding]:
    """Report a value of the side to move whose encoder does not show who is to move."""
    if not foreign.for_mover:
        return
    if all(
        np.array_equal(foreign.encoded(board, 1), foreign.encoded(board, -1)) for board, _ in boards
    ):
        yield Finding.error(
            "encoder",
            f"on {len(boards)} random boards the planes are the same whoever is to move, while "
            "win_prob_red(raw, to_move) takes the value for that of the side to move",
            "the value belongs to the side to move, and no plane shows who is to move: the encoder "
            "ignores the side to move, so the network cannot know whose chance it should give",
            "add a plane that says who is to move, or show the board from its side (reflected, "
            "with colours exchanged); then train again",
        )


def _finished_alike(foreign: ForeignNetwork, observed: Observed) -> Iterator[Finding]:
    """Report an encoder that shows all finished boards, where nobody is to move, alike."""
    ended = np.flatnonzero(observed.positions.finished)[:_LOOKED_AT]
    if len(ended) < _BOARDS or (foreign.for_mover and knows_the_end(observed)):
        return
    boards = take(observed.positions, ended).stones
    try:
        planes = np.stack([foreign.encoded(board, 0) for board in boards])
    except HexsearchError:  # it takes no 0, so training cannot have given it one
        return
    if not (planes == planes[:1]).all():
        return
    shown = "without any stone" if not planes.any() else "by the same planes"
    yield Finding.warning(
        "encoder",
        f"{len(ended)} finished boards of these games are all shown {shown} if to_move is 0; "
        "nobody is to move there",
        f"the encoder shows every finished board {shown}: the stones are multiplied by the side "
        "to move, which is 0, or looked up by it, so the network cannot have learnt such boards",
        "encode a finished board from one fixed side, by code that does not need a side to move; "
        "then train again",
        root="encoder",
    )


def _made_alike(
    encoded: Callable[[Board, int], NDArray[Any]],
    boards: list[tuple[Board, int]],
    kept: list[NDArray[Any]],
) -> Iterator[Finding]:
    """Boards that differ, and whose planes do not."""

    def alike(change: Callable[[Board, int], tuple[Board, int]]) -> bool:
        return all(
            np.array_equal(planes, encoded(*change(board, mover)))
            for (board, mover), planes in zip(boards, kept, strict=True)
        )

    if alike(lambda board, mover: (np.ascontiguousarray(-board), mover)):
        yield Finding.error(
            "encoder",
            f"on {len(boards)} random boards the planes stay the same when colours are exchanged",
            "the encoder shows both colours alike: the network cannot tell whose stones they are",
            "give each colour a plane of its own, or its own sign",
        )
    elif alike(lambda board, mover: (np.ascontiguousarray(-board), -mover)):
        yield Finding.error(
            "encoder",
            f"on {len(boards)} random boards the planes stay the same when colours and side to "
            "move are exchanged and the board is not reflected",
            f"{_left_empty(kept)}the board is shown for the side to move without being reflected "
            "(multiplied by the player): the network cannot see which edges the side to move has "
            "to connect",
            "transpose the board wherever colours are exchanged, in training and inference alike, "
            "or add a plane that says who is to move; then train again",
        )
    elif alike(lambda board, mover: (np.ascontiguousarray(board.T), mover)):
        yield Finding.error(
            "encoder",
            f"on {len(boards)} random boards the planes stay the same when rows and columns are "
            "exchanged",
            "the encoder does not keep where stones lie: rows and columns are mixed",
            "fill plane[row, column] from stones[row, column]",
        )


def _left_empty(planes: list[NDArray[Any]]) -> str:
    """In words, that planes which could show the side to move are empty; "" if none are."""
    empty = np.flatnonzero(~np.stack(planes).any(axis=(0, 2, 3)))
    if not len(empty):
        return ""
    told = ", ".join(map(str, empty))
    return (
        f"no plane shows who is to move, and plane(s) {told} (from 0) are empty on every board: "
        "the plane of the side to move is written to another one's place (an offset, an index), or "
        "not at all; besides, "
    )


def random_boards(size: int) -> list[tuple[Board, int]]:
    """Random boards with their side to move."""
    rng = np.random.default_rng(SEED)
    boards = []
    for number in range(_BOARDS):
        count = 2 + number % max(size * size - 3, 1)
        stones = np.zeros(size * size, dtype=np.int8)
        cells = rng.permutation(size * size)[:count]
        stones[cells[::2]], stones[cells[1::2]] = -1, 1
        boards.append((stones.reshape(size, size), -1 if count % 2 == 0 else 1))
    return boards
