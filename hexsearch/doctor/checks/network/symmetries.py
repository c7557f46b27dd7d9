"""Which changes of the board leave the answers as they are, and must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from hexsearch.doctor.findings import Finding

Respond = Callable[[Tensor], tuple[Tensor, Tensor]]
Change = Callable[[Tensor], Tensor]
_SAME = 1e-3  # standard deviations
_BOARDS = 16
_TRANSPOSED = "transposed (rows and columns exchanged)"
_EXCHANGED = "with its colours exchanged"
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
    "average over the half turn alone, or over the reflections with colours exchanged and 1 - p; "
    "carry each policy back before averaging"
)


def symmetry_findings(
    respond: Respond, planes: Tensor, answers: tuple[Tensor, Tensor]
) -> Iterator[Finding]:
    """A Hex board that is flipped, turned by a quarter or recoloured is another one.

    Args:
        answers: policy and value of the planes as they are.
    """
    stones = planes.flatten(2).std(dim=2) > 1e-6
    chosen = stones.any(dim=1)
    some = planes[chosen][:_BOARDS]
    policy, value = (each[chosen][:_BOARDS].float() for each in answers)
    if len(some) < 8 or float(value.std()) < 1e-5:
        return
    changes: dict[str, Change] = {**_SQUARE, **_REFLECTIONS}
    varied = [n for n in range(planes.shape[1]) if bool(stones[:, n].any())]
    if len(varied) >= 2:
        order = list(range(planes.shape[1]))
        order[varied[0]], order[varied[1]] = varied[1], varied[0]
        changes[_EXCHANGED] = lambda p: p[:, order]
        flags = [n for n in range(planes.shape[1]) if n not in varied]
        for name, change in _REFLECTIONS.items():
            changes[f"{name} and {_EXCHANGED}"] = _recoloured(change, order, [], _negative)
            for told, invert in (("", _complement), (" (signed)", _negative)):
                changes[f"{name}, the side to move inverted{told} and {_EXCHANGED}"] = _recoloured(
                    change, order, flags, invert
                )
    same = []
    for name, change in changes.items():
        found = respond(change(some).contiguous())[1].float()
        if float((found - value).abs().max()) < _SAME * float(value.std()):
            same.append(name)
    if same:
        yield _of_value(same)
        return
    turned = respond(some.flip(2, 3).contiguous())[0].float()
    spread = max(float(policy.std()), 1e-4)
    if float(policy.std()) > 1e-5 and float((turned - policy).abs().max()) < _SAME * spread:
        yield Finding(
            "modes",
            "error",
            "the policy stays the same, cell by cell, when the board is turned by 180 degrees",
            "the policy is averaged over the half turn without being carried back to the board, or "
            "cannot see where stones lie",
            _AVERAGE,
            root="modes",
        )


def _recoloured(change: Change, order: list[int], flags: list[int], invert: Change) -> Change:
    """A change after the planes were put into an order and flags were inverted."""
    return lambda planes: _with_flags(change(planes[:, order]), flags, invert)


def _complement(planes: Tensor) -> Tensor:
    return 1.0 - planes


def _negative(planes: Tensor) -> Tensor:
    return -planes


def _with_flags(planes: Tensor, flags: list[int], change: Change) -> Tensor:
    """The planes with those that say who is to move changed."""
    out = planes.clone()
    if flags:
        out[:, flags] = change(planes[:, flags])
    return out


def _of_value(same: list[str]) -> Finding:
    if set(_SQUARE) <= set(same):
        cause = (
            "answers are averaged over the eight symmetries of a square, or the network cannot see "
            "where stones lie; Hex has the half turn and two reflections that exchange colours"
        )
    elif same == [_EXCHANGED]:
        cause = "the network cannot tell the colours apart: both planes are read as one"
    elif any(name.endswith(_EXCHANGED) for name in same):
        cause = (
            "answers are averaged over a reflection with colours exchanged without taking 1 - p "
            "there: Red's chance and Blue's are mixed (symmetries)"
        )
    else:
        cause = (
            f"answers are averaged over symmetries that Hex does not have: {', '.join(same)} (a "
            "flip or transposition of the square)"
        )
    return Finding(
        "modes",
        "error",
        f"the value stays the same, to within {_SAME:g} standard deviations, when the board is "
        f"shown {'; '.join(same)}",
        cause,
        _AVERAGE,
        root="modes",
    )
