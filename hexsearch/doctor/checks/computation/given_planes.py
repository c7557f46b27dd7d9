"""What a network that was trained on other planes expects, and the plane of the side to move."""

from __future__ import annotations

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.inputs import InputScore
from hexsearch.doctor.networks import ExaminedNetwork, Observed, take


def mover_plane(
    examined: ExaminedNetwork, observed: Observed
) -> tuple[int, dict[str, float]] | None:
    """Index of the plane that is constant on boards and shows who is to move, if there is one.

    With it come the numbers that it holds where Red and Blue are to move.
    """
    going = np.flatnonzero(~observed.positions.finished)[:200]
    planes = examined.planes(take(observed.positions, going)).flatten(2)
    red = observed.evaluation.ply[going] % 2 == 1
    for number in range(planes.shape[1]):
        if float(planes[:, number].std(dim=1).max()) < 1e-6:
            values = planes[:, number].mean(dim=1).numpy()
            if max(np.ptp(values[red]), np.ptp(values[~red])) < 1e-6 < np.ptp(values):
                return number, {"Red": float(values[red][0]), "Blue": float(values[~red][0])}
    return None


def shown_as(plane: int, numbers: dict[str, float]) -> dict[str, str]:
    """The side to move that each change shows at every position, by the name of the change."""
    return {f"plane {plane} set to {number:g}": side for side, number in numbers.items()}


def of_other_planes(
    best: InputScore, as_it_is: InputScore, mover: int | None, sides: dict[str, str]
) -> Finding:
    """The finding for a network that wants transformed planes.

    Args:
        mover: index of the side-to-move plane, if there is one.
        sides: the side that each change shows as the one to move, everywhere.
    """
    name = best.name
    cause = "the network was trained on other planes than it is given: it expects {}"
    remedy = "encode as in training: the same order and scale of planes, the same rows and columns"
    if side := sides.get(name, ""):
        cause = (
            f"the network was trained on positions where {side} is to move only: it does not know "
            "the other number on the plane of the side to move, and answers better with {} at "
            "every position"
        )
        remedy = "train on the positions of both sides, each with its own side to move"
    if mover is not None:
        name = name.replace(f"plane {mover} ", f"plane {mover} (the side to move) ")
    return Finding.error(
        "planes of the network",
        f"near the end of the games the AUC is {as_it_is.auc:.3f}; with {best.name} it is "
        f"{best.auc:.3f}, the value loss is lower by {best.gain:.3f} (+-{1.96 * best.noise:.3f}), "
        f"and the moves played are {np.exp(best.policy_gain):.2f} times as likely",
        cause.format(name),
        remedy,
        root="planes" if best.policy_gain > 2 * best.policy_noise else "reading",
    )
