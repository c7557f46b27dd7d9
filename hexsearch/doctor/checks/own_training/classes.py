"""Looks at values of several classes in a user's training: which class stands for which result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.losses.targets import directions
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.game.board import RED

_DRAWS, _EVEN = 0.1, 0.02  # share of draws that is reported; chance of Red that is none's win
_EXACT = 1e-3  # difference of a chance that is a sum of others
_ROWS, _NEARLY_ALL = 40, 0.9  # rows of a result, and the share of them that shows its class


def of_draws(own: OwnTraining) -> Iterator[Finding]:
    """Report positions that are labelled with a class that nobody has won."""
    raised = _raised(own)
    if raised is None:
        return
    neither = _neither(own)
    share = float(np.isin(raised, neither).mean()) if len(neither) else 0.0
    if share > _DRAWS:
        yield Finding.error(
            "training value",
            f"in {share:.0%} of {len(raised):,} rows the loss raises class {neither[0]} of the "
            "value, which win_prob_red reads as a win of neither side",
            "positions are labelled as draws, and Hex has none: the label is the state of the "
            "board after the move (nobody has won yet), or a class of unknown results, and not "
            "the winner of the game",
            "label all positions of a game by its winner",
            root="training value",
        )


def of_unread(own: OwnTraining) -> Iterator[Finding]:
    """Report a class that stands for a loss and is not read, beside one that nothing trains."""
    raised, known = _raised(own), own.catalogues[0]
    if raised is None or known.raw is None or own.rows is None or known.raw.shape[1] < 3:
        return
    count = known.raw.shape[1]
    if own.rows.value is None or own.rows.value.tensor.shape[1] != count:
        return
    for side in (-1, 1):
        weights = _read_weights(known.raw, known.reported, torch.from_numpy(known.to_move == side))
        if weights is None:
            return
        shares = np.bincount(raised, minlength=count) / len(raised)
        used = np.argsort(shares)[::-1][:2]
        low, high = float(weights.min()), float(weights.max())
        ends = {int(weights.argmin()), int(weights.argmax())}
        unused = [k for k in ends if shares[k] < 1 - _NEARLY_ALL]
        between = [int(k) for k in used if int(k) not in ends]
        if shares[used].sum() < _NEARLY_ALL or not unused or not between or high - low < _EVEN:
            return
    yield Finding.error(
        "training value",
        f"{shares[between[0]]:.0%} of {len(raised):,} rows have class {between[0]} as their label, "
        f"and {shares[unused[0]]:.0%} class {unused[0]}; of the two, it is class {unused[0]} that "
        "the reported chance is read from",
        f"the classes of the value are read in another order than they are trained: class "
        f"{unused[0]}, which no label has, is read as a result, and class {between[0]}, which "
        "labels have, is read as a draw (ignored)",
        "read the classes in the order of the labels: print the three chances of a lost position",
        root="reading",
    )


def _read_weights(raw: Tensor, reported: Tensor, rows: Tensor) -> Tensor | None:
    """[K] how much the chance of each class adds to what is reported; None if it is no sum."""
    chances, said = raw[rows].double().softmax(dim=1), reported[rows].double()[:, None]
    if len(chances) < _ROWS:
        return None
    weights = torch.linalg.lstsq(chances, said, driver="gelsd").solution
    return weights[:, 0] if float((chances @ weights - said).abs().max()) < _EXACT else None


def read_classes(own: OwnTraining) -> tuple[str, str] | None:
    """Cause and remedy if the classes of the value are read in another order than trained."""
    raised = _raised(own)
    rows = own.rows
    if raised is None or rows is None or own.foreign.for_mover:
        return None
    archive = own.catalogues[0].truth.archive
    shown = rows.found & rows.single & (rows.symmetry < 2)
    won = archive.winners[rows.game] == RED
    trained = {}
    for name, chosen in (("Red", shown & won), ("Blue", shown & ~won)):
        classes = raised[chosen]
        if len(classes) < _ROWS:
            return None
        counts = np.bincount(classes)
        if counts.max() < _NEARLY_ALL * len(classes):
            return None
        trained[name] = int(counts.argmax())
    reads = directions(rows.value.tensor.shape[1], 1, own.foreign, own.catalogues[0])  # type: ignore[union-attr]
    if reads is None:
        return None
    read = int(reads.argmax())
    if read != trained["Blue"] or trained["Red"] == trained["Blue"]:
        return None
    return (
        "the classes of the value are read in another order than they are trained: the loss "
        f"raises class {trained['Red']} where Red wins and class {trained['Blue']} where Blue "
        f"wins, and win_prob_red takes class {read} for Red's win (or every label is inverted)",
        f"let win_prob_red take class {trained['Red']} for Red's win, or label wins the other way",
    )


def _raised(own: OwnTraining) -> NDArray[np.int64] | None:
    """[R] the class whose logit the loss raises most; None if the value is one number."""
    rows = own.rows
    if rows is None or rows.value is None or rows.value.gradient is None:
        return None
    if rows.value.tensor.shape[1] < 2 or not bool(rows.value.gradient.any()):
        return None
    raised: NDArray[np.int64] = rows.value.gradient.argmin(dim=1).numpy().astype(np.int64)
    if (targets := own.class_targets) is not None:  # a smoothed one may be surpassed already
        raised[own.usual] = targets.argmax(dim=1).numpy()
    return raised


def _neither(own: OwnTraining) -> list[int]:
    """The class of three that is read as a win of neither side, whoever is to move."""
    rows = own.rows
    assert rows is not None and rows.value is not None
    count = rows.value.tensor.shape[1]
    if count != 3:
        return []
    reads = [directions(count, side, own.foreign, own.catalogues[0]) for side in (-1, 1)]
    if any(each is None for each in reads):
        return []
    return [k for k in range(count) if all(abs(float(each[k])) < _EVEN for each in reads)]  # type: ignore[index]
