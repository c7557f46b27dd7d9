"""What an edit of a network, or of the code round it, is worth on games."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.code.apart import TooLong, limited
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.policies import log_softmax
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
_LONGEST = 10.0  # seconds of an edit
_END = 8.0  # log odds beyond which answers are cut off
_STEPS, _RIDGE = 12, 1e-3  # of the fit of the scale
_TEMPERATURES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.2, 3.2)


@dataclass(frozen=True)
class Losses:
    """[P] squared errors of the values, and log losses of the moves that were played."""

    value: Floats
    policy: Floats

    @property
    def of_policy(self) -> float:
        """The mean where a move was played; infinite if there is none."""
        known = self.policy[np.isfinite(self.policy)]
        return float(known.mean()) if len(known) else np.inf


class Trial:
    """Positions on which a network is tried with edits.

    Args:
        network: a copy of the user's model, or the model.
        rows: of the observed positions.
    """

    def __init__(self, pipeline: ExaminedPipeline, network: nn.Module, rows: Rows) -> None:
        self._foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
        self._network = ForeignNetwork(network, self._foreign.encoded, self._foreign.size)
        self._positions, self._played = take(observed.positions, rows), observed.played[rows]
        self._won = observed.evaluation.red_won[rows]
        self._planes = self._foreign.planes(self._positions)

    def losses(self, edit: Edit | None = None) -> Losses | None:
        """What the network is worth with an edit.

        None if it cannot compute so, or answers the same.
        """
        if edit is None:
            return self._losses(*self._own)
        changed = self._answers(edit)
        if changed is None or all(map(torch.equal, changed, self._own)):
            return None
        return self._losses(*changed)

    def _losses(self, policy: Tensor, reported: Tensor) -> Losses:
        plies, over = self._positions.plies, self._positions.finished
        moves = move_losses(
            policy.double().numpy(), self._played, plies % 2 == 1, self._foreign.size
        )
        return Losses(scaled_errors(reported.double().numpy(), plies, over, self._won), moves)

    @cached_property
    def _own(self) -> tuple[Tensor, Tensor]:
        return self._asked(self._network, self._planes)

    def _answers(self, edit: Edit) -> tuple[Tensor, Tensor] | None:
        """Policies and reported values; None if the network cannot compute them."""
        try:
            with limited(_LONGEST), _quiet(), edit.made():
                asked, planes = self._network, self._planes
                if edit.loads and self._foreign.factory is not None:
                    model = self._foreign.factory()
                    asked = ForeignNetwork(model, self._foreign.encoded, self._foreign.size)
                if edit.encodes:
                    planes = self._foreign.planes(self._positions)
                return self._asked(asked, planes)
        # Whatever an edit breaks in a user's network, it is not what is wrong.
        except (Exception, SystemExit, TooLong):
            return None

    def _asked(self, network: ForeignNetwork, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, raw = network.respond(planes)
        return policy, network.reported(raw, self._positions)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let nothing be printed, and no warning be shown."""
    with (
        warnings.catch_warnings(),
        np.errstate(all="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def move_losses(logits: Floats, played: Rows, red: NDArray[np.bool_], size: int) -> Floats:
    """[P] log losses of the moves at the best temperature; nan where there is none.

    Cells are those of the board as played, or as reflected where Red is to move.
    """
    losses = np.full(len(logits), np.nan)
    rows = np.flatnonzero(played >= 0)
    if logits.shape[1] < size * size or not len(rows) or not np.isfinite(logits).all():
        return losses
    cell = played[rows]
    reflected = np.where(red[rows], cell % size * size + cell // size, cell)
    tables = [log_softmax(temperature * logits[rows]) for temperature in _TEMPERATURES]
    at = np.arange(len(rows))
    tried = [-table[at, cells] for table in tables for cells in (cell, reflected)]
    losses[rows] = min(tried, key=lambda each: float(each.mean()))
    return losses


def scaled_errors(reported: Floats, plies: Rows, over: NDArray[np.bool_], won: Floats) -> Floats:
    """[P] squared errors after the best scale and offset of the log odds.

    Each side to move has its own, and finished boards a scale: inverted answers are another fault.
    """
    answers = np.clip(np.nan_to_num(reported, nan=0.5), 1e-6, 1.0 - 1e-6)
    odds = np.clip(np.log(answers / (1.0 - answers)), -_END, _END)
    red = plies % 2 == 1
    kinds = np.stack([over, ~over & red, ~over & ~red], axis=1).astype(np.float64)
    terms = np.concatenate([kinds * odds[:, None], kinds[:, 1:]], axis=1)
    weights = np.zeros(terms.shape[1])
    for _ in range(_STEPS):  # Newton's method for a logistic regression
        p = expit(terms @ weights)
        curvature = (terms * (p * (1 - p))[:, None]).T @ terms
        curvature += _RIDGE * len(p) * np.eye(terms.shape[1])
        slope = terms.T @ (p - won) + _RIDGE * len(p) * weights
        weights = weights - np.linalg.solve(curvature, slope)
    errors: Floats = np.square(expit(terms @ weights) - won)
    return errors
