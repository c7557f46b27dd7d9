"""What a user's network gets at inference for every position of the games that it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.squares import moved_cells
from hexsearch.doctor.hypotheses.truth import SWAPS, Truth, image, truth_of
from hexsearch.doctor.own_training.outputs import Output, tensors_of, value_of
from hexsearch.game.board import BLUE, RED, Stones

Ints = NDArray[np.int64]
Sides = NDArray[np.int8]
Change = Callable[[Stones, Sides], tuple[Stones, Sides]]
GAMES = 60  # games that the function is trained on
_BATCH = 512
_LEVELS = 6  # different numbers of a plane that are compared with stones
_GRAIN = 1000.0  # numbers on planes are compared after rounding to a thousandth


@dataclass(frozen=True)
class Catalogue:
    """Positions of the games of training, as the network gets them.

    Attributes:
        truth: the positions, P of them.
        symmetry: symmetry of Hex under which they are shown.
        to_move: [P] side to move on the board that is shown.
        planes: [P, C, N, N] planes that the user's encoder makes.
        inputs: [P, ...] what the network gets, which a wrapper may have changed.
        raw: [P, K] the value's outputs; None if they could not be seen.
        reported: [P] Red's chance that is reported.
        passes_on: whether the user's model returns the value's outputs as they are.
        width: numbers of the value that the user's model returns for each position.
    """

    truth: Truth
    symmetry: int
    to_move: NDArray[np.int8]
    planes: Tensor
    inputs: Tensor
    raw: Tensor | None
    reported: Tensor
    passes_on: bool
    width: int


def games_of(archive: GameArchive, size: int) -> Ints:
    """Neighbouring games of one size without stones that were set up, to be trained on."""
    usable = np.flatnonzero((archive.sizes == size) & (archive.setups == 0))
    start = max((len(usable) - GAMES) // 2, 0)
    return usable[start : start + GAMES].astype(np.int64)


def played(archive: GameArchive, games: Ints) -> list[tuple[list[int], bool]]:
    """The moves of games, and whether Red won, as a training function gets them."""
    records = [archive.game(int(game)) for game in games]
    return [(list(each.moves), each.winner == RED) for each in records]


def catalogue(
    foreign: ForeignNetwork,
    archive: GameArchive,
    games: Ints,
    kinds: Sequence[str],
    symmetry: int = 0,
    change: Change | None = None,
) -> Catalogue:
    """All positions of some games, encoded as at inference.

    Args:
        kinds: classes of the modules that are trained, the first of which gets the planes.
        symmetry: symmetry of Hex under which boards are shown, as in `image`.
        change: of boards and sides to move before they are encoded.
    """
    lengths = archive.lengths_of(games)
    truth = truth_of(
        archive,
        np.repeat(games, lengths + 1),
        np.concatenate([np.arange(n + 1, dtype=np.int64) for n in lengths]),
    )
    boards = image(truth.boards, symmetry)
    mover = np.where(truth.red_to_move ^ SWAPS[symmetry], RED, BLUE).astype(np.int8)
    told = mover if foreign.for_mover else np.where(truth.finished, 0, mover).astype(np.int8)
    if change is not None:
        boards, told = change(boards, told)
    encoded = [foreign.encoded(board, int(side)) for board, side in zip(boards, told, strict=True)]
    planes = torch.stack([torch.as_tensor(each).float() for each in encoded])
    return Catalogue(truth, symmetry, mover, planes, *_inside(foreign, planes, mover, kinds))


def _inside(
    foreign: ForeignNetwork, planes: Tensor, to_move: NDArray[np.int8], kinds: Sequence[str]
) -> tuple[Tensor, Tensor | None, Tensor, bool, int]:
    """The last five attributes of a Catalogue, seen at the module that is trained."""
    modules = [m for m in modules_of(foreign.model) if type(m).__name__ in kinds]
    given: list[Tensor] = []
    returned: list[tuple[str, Tensor]] = []
    called: dict[str, set[int]] = {}  # modules of each class: those of a committee are several
    is_first = [True]
    within: list[nn.Module] = []

    def enter(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        within.append(module)

    def look(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        within.pop()
        if within:  # a part of another one that is trained
            return
        shown = list(tensors_of(arguments).values())
        called.setdefault(type(module).__name__, set()).add(id(module))
        if is_first[0] and shown:
            given.append(shown[0].detach().clone())
            is_first[0] = False
        if not is_first[0]:
            returned.extend((n, t.detach()) for n, t in tensors_of(output).items())

    inputs, raws, answers, outer = [], [], [], []
    handles: list[Any] = [module.register_forward_pre_hook(enter) for module in modules]
    handles += [module.register_forward_hook(look, always_call=True) for module in modules]
    try:
        for start in range(0, len(planes), _BATCH):
            given.clear()
            returned.clear()
            within.clear()
            is_first[0] = True
            some = planes[start : start + _BATCH]
            raw = foreign.respond(some)[1]
            sides = torch.from_numpy(to_move[start : start + _BATCH].astype(np.int64))
            answers.append(foreign.answered(raw, sides))
            outer.append(raw.reshape(len(some), -1))
            inputs.append(given[0] if given and len(given[0]) == len(some) else some)
            seen = [Output(n, t, 0) for n, t in returned if len(t) == len(some)]
            alone = all(len(modules) == 1 for modules in called.values())
            values = [each for each in seen if each.is_value(foreign.size)]
            inner = value_of(seen, foreign.size) if alone or len(values) == 1 else None
            raws.append((raw if inner is None else inner.tensor).reshape(len(some), -1).float())
    finally:
        for handle in handles:
            handle.remove()
    same = len({each.shape[1:] for each in raws}) == 1
    inner_raw = torch.cat(raws) if same else None
    passes_on = inner_raw is not None and torch.equal(inner_raw, torch.cat(outer).float())
    return torch.cat(inputs), inner_raw, torch.cat(answers), passes_on, outer[0].shape[1]


def modules_of(model: Any) -> list[nn.Module]:
    """The modules of a user's model, which may be an object that holds some."""
    if isinstance(model, nn.Module):
        return list(model.modules())
    held = vars(model).values() if hasattr(model, "__dict__") else ()
    return [m for each in held if isinstance(each, nn.Module) for m in each.modules()]


def keys_of(rows: Tensor) -> list[bytes]:
    """One key for each row of planes; rows whose numbers are equal have equal keys."""
    flat = rows.detach().reshape(len(rows), -1).float()
    grains = (flat.nan_to_num(0.0, 1e6, -1e6).clamp(-1e6, 1e6) * _GRAIN).round()
    return [row.tobytes() for row in grains.to(torch.int64).numpy()]


def frames(found: Catalogue) -> dict[int, str]:
    """How the encoder lays the board for each side to move: as it is (""), or as a symmetry.

    For each side the symmetry of the square under which some plane holds the stones of a colour.
    """
    told: dict[int, str] = {}
    size = found.truth.size
    cells = np.arange(size * size, dtype=np.int64)
    maps = {"": cells, **moved_cells(cells, size)}
    boards = image(found.truth.boards, found.symmetry).reshape(-1, size * size)
    planes = found.planes.numpy()
    margin = (planes.shape[-1] - size) // 2
    if planes.ndim != 4 or planes.shape[-1] != size + 2 * margin or margin not in (0, 1):
        return {}
    planes = planes[:, :, margin : margin + size, margin : margin + size]
    levels = [np.unique(planes[:, plane])[:_LEVELS] for plane in range(planes.shape[1])]
    flat = planes.reshape(len(planes), planes.shape[1], -1)
    told_of = (found.truth.ply > 2) & ~found.truth.finished  # nobody may be to move on these
    for mover in (BLUE, RED):
        rows = np.flatnonzero((found.to_move == mover) & told_of)
        if len(rows) < 8:
            continue
        for name, to in maps.items():
            moved = np.zeros_like(boards[rows])
            moved[:, to] = boards[rows]
            if any(
                np.array_equal(flat[rows, plane] == level, moved == colour)
                for plane in range(flat.shape[1])
                for level in levels[plane]
                for colour in (BLUE, RED)
            ):
                told[mover] = name
                break
    return told
