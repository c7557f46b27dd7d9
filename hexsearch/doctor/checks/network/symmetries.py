"""Checks that answers change with the board: a flipped or recoloured board is another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.errors import PluginError

Respond = Callable[[Tensor], tuple[Tensor, Tensor]]
Change = Callable[[Tensor], Tensor]
_SAME = 1e-3  # largest difference of equal outputs, in their standard deviations
_BOARDS = 8  # boards that are changed
_TRANSPOSED = "transposed (rows and columns exchanged)"
_EXCHANGED = "with its colours exchanged"
_ANY_ORDER = "with its cells in any other order"
_PATCHED = "with its patches of "
_PATCHES = (2, 3, 4)  # cells along a patch
_ALONE = 2  # boards that are changed first
_SQUARE: dict[str, Change] = {
    "upside down": lambda p: p.flip(2),
    "left and right exchanged": lambda p: p.flip(3),
    "after a quarter turn": lambda p: p.rot90(1, (2, 3)),
}
_REFLECTIONS: dict[str, Change] = {
    _TRANSPOSED: lambda p: p.transpose(2, 3),
    "mirrored in the other diagonal": lambda p: p.transpose(2, 3).flip(2, 3),
}
_AVERAGE = (
    "average over the half turn only, or also over the two reflections with colours exchanged and "
    "1 - p; move the cells of each policy back before you average"
)


def symmetry_findings(
    respond: Respond, planes: Tensor, answers: tuple[Tensor, Tensor], for_mover: bool = False
) -> Iterator[Finding]:
    """Report changes of the board that leave value or policy as they are, and must not.

    Args:
        respond: the network, from planes to policy and value.
        planes: [P, C, N, N] planes of different positions.
        answers: policy and value of these planes.
        for_mover: whether the value belongs to the side to move, and so stays the same if the
            board is reflected and colours and the side to move are exchanged.
    """
    stones = planes.flatten(2).std(dim=2) > 1e-6
    chosen = stones.any(dim=1)
    some = planes[chosen][:_BOARDS]
    policy, value = (each[chosen][:_BOARDS].float() for each in answers)
    if len(some) < _BOARDS or float(value.std()) < 1e-5:
        return
    cells = torch.randperm(planes[0, 0].numel(), generator=torch.Generator().manual_seed(0))
    changes: dict[str, Change] = {**_SQUARE, **_REFLECTIONS}
    changes[_ANY_ORDER] = lambda p: p.flatten(2)[:, :, cells].reshape(p.shape)
    varied = [n for n in range(planes.shape[1]) if bool(stones[:, n].any())]
    if len(varied) >= 2:
        order = list(range(planes.shape[1]))
        order[varied[0]], order[varied[1]] = varied[1], varied[0]
        changes[_EXCHANGED] = lambda p: p[:, order]
        flags = [n for n in range(planes.shape[1]) if n not in varied]
        for name, change in _REFLECTIONS.items():
            changes[f"{name} and {_EXCHANGED}"] = _recoloured(change, order, [], _negative)
            for kind, invert in () if for_mover else _INVERSIONS:
                changes[f"{name}, the side to move inverted{kind} and {_EXCHANGED}"] = _recoloured(
                    change, order, flags, invert
                )
    same = []
    spread_of_value = float(value.std(dim=0).max())  # a list has a column for each outcome
    for name, change in changes.items():
        try:
            changed = respond(change(some).contiguous())[1].float()
        except PluginError:  # a network that looks a plane up in a table takes no other numbers
            continue
        if float((changed - value).abs().max()) < _SAME * spread_of_value:
            same.append(name)
    same = same or _of_patches(respond, some, value)
    if same:
        yield _of_value(same)
        return
    turned = respond(some.flip(2, 3).contiguous())[0].float()
    spread = max(float(policy.std()), 1e-4)
    if float(policy.std()) > 1e-5 and float((turned - policy).abs().max()) < _SAME * spread:
        yield Finding.error(
            "modes",
            "the policy stays the same, cell by cell, when the board is turned by 180 degrees",
            "the policy is averaged over the half turn without moving its cells back, or it does "
            "not depend on the places of the stones",
            _AVERAGE,
            root="modes",
        )


def _of_patches(respond: Respond, some: Tensor, value: Tensor) -> list[str]:
    """The patches whose order makes no difference to the value, in words; empty if it does.

    Only networks with attention, or with layers along the cells, have such patches.
    """
    spread = float(value.std(dim=0).max())
    for side in _PATCHES:
        for start in range(side):
            boards = _reordered(some, side, start)
            if not bool((boards != some).flatten(1).any(dim=1).all()):
                continue
            few = respond(boards[:_ALONE])[1].float()
            if float((few - value[:_ALONE]).abs().max()) > _SAME * spread:
                continue
            changed = respond(boards)[1].float()
            if float((changed - value).abs().max()) < _SAME * spread:
                return [f"{_PATCHED}{side}x{side} cells in any other order"]
    return []


def _reordered(planes: Tensor, side: int, start: int) -> Tensor:
    """Planes whose whole patches, counted from a row and column, are put in another order."""
    count = (planes.shape[-1] - start) // side
    end = start + count * side
    inner = planes[:, :, start:end, start:end]
    shape = (*planes.shape[:2], count, side, count, side)
    parts = inner.reshape(shape).transpose(3, 4).flatten(2, 3)
    order = torch.randperm(count * count, generator=torch.Generator().manual_seed(side))
    mixed = parts[:, :, order].reshape(*planes.shape[:2], count, count, side, side)
    out = planes.clone()
    out[:, :, start:end, start:end] = mixed.transpose(3, 4).reshape(inner.shape)
    return out


def _recoloured(change: Change, order: list[int], flags: list[int], invert: Change) -> Change:
    """A change of planes in another order, followed by an inversion of the constant planes."""

    def changed(planes: Tensor) -> Tensor:
        out = change(planes[:, order]).clone()
        if flags:
            out[:, flags] = invert(out[:, flags])
        return out

    return changed


def _complement(planes: Tensor) -> Tensor:
    return 1.0 - planes


def _negative(planes: Tensor) -> Tensor:
    return -planes


_INVERSIONS: tuple[tuple[str, Change], ...] = (("", _complement), (" (signed)", _negative))


def _of_value(same: list[str]) -> Finding:
    """The finding for a value that does not change under some changes of the board."""
    remedy = _AVERAGE
    if _ANY_ORDER in same:
        cause = (
            "the value does not depend on the places of the stones: cells have no position (tokens "
            "without an embedding of their place, or a sum or mean over all cells before any cell "
            "is compared with its neighbours), so the network only counts stones"
        )
    elif same[0].startswith(_PATCHED):
        cause = (
            "the value does not depend on the places of patches: tokens have no position (an "
            "embedding of their place is missing, or is not added), so the network sees a bag of "
            "patches and cannot tell which of them touch"
        )
        remedy = "add an embedding of its place to each token (a positional embedding)"
    elif set(_SQUARE) <= set(same):
        cause = (
            "answers are averaged over the eight symmetries of a square, or do not depend on the "
            "places of the stones; Hex has the half turn and two reflections that exchange colours"
        )
    elif same == [_EXCHANGED]:
        cause = "the network does not distinguish the colours: both planes are read as one"
    elif any(name.endswith(_EXCHANGED) for name in same):
        cause = (
            "answers are averaged over a reflection with colours exchanged without 1 - p there: "
            "the win probabilities of Red and Blue are mixed (symmetries)"
        )
    else:
        cause = (
            f"answers are averaged over symmetries that Hex does not have: {', '.join(same)} (a "
            "flip or transposition of the square)"
        )
    return Finding.error(
        "modes",
        f"the value changes by less than {_SAME:g} standard deviations if the board is "
        f"{'; '.join(same)}",
        cause,
        remedy,
        root="modes",
    )
