"""The search for the edit that makes a user's network right again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from typing import Any

import numpy as np
from torch import nn

from hexsearch.doctor.hypotheses.code.apart import over
from hexsearch.doctor.hypotheses.code.boards import BOARDS, board_edits
from hexsearch.doctor.hypotheses.code.code_edits import CODE, EXCHANGED, code_edits
from hexsearch.doctor.hypotheses.edits import all_edits
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.edits.trying import Losses, Rows, Trial
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_IN_NATS = 4.0  # about what a value loss is worth in nats of the policy
# Share of the gain that an edit may miss and be told before the best one, or beside it.
_ALSO, _ALIKE = 0.1, 0.2
# Rounds of so many positions, from which so many edits with the best values, and as many with the
# best policies, are kept; and the seconds of CPU that a round may take.
_ENCODED = 4  # positions that show what code runs
_ROUNDS, _SECONDS = ((16, 64), (64, 16)), 30.0


@dataclass(frozen=True)
class Search:
    """Edits of a network, and of the user's code round it, that are tried on positions.

    What it returns can be written as JSON, since edited code runs in a process of its own.

    Args:
        network: a copy of the user's model, or the model.
        rows, confirming: observed positions on which edits are chosen, and those that confirm one.
        with_code: whether the user's code is edited as well.
    """

    pipeline: ExaminedPipeline
    network: nn.Module
    rows: Rows
    confirming: Rows
    with_code: bool

    def edits(self) -> Iterator[Edit]:
        """All edits, always in the same order."""
        foreign, observed = needed(self.pipeline.foreign), needed(self.pipeline.observed)
        few = take(observed.positions, self.rows[:_ENCODED])
        listed = chain(board_edits(foreign), all_edits(self.network, foreign.planes(few)))
        of_code = code_edits(foreign, few) if self.with_code else ()
        # In turn, as there may not be time for all.
        pairs = zip_longest(listed, of_code)
        known = (edit for pair in pairs for edit in pair if edit is not None)
        yield from (replace(edit, number=number) for number, edit in enumerate(known))

    def best(self) -> list[dict[str, Any]]:
        """Edits that are better on the positions of the choice: their number, words and so on.

        By the losses of both heads, of the value and of the policy.
        """
        found = {}
        for edit, tale in _best(self.edits(), self._trial, self.rows):
            found[edit.number] = {
                "number": edit.number,
                "family": edit.family,
                "words": edit.words + tale,
                "cause": edit.cause,
                "remedy": edit.remedy,
            }
        return list(found.values())

    def confirmed(self, number: int | None = None) -> list[list[float]] | None:
        """Losses of the value and the policy with the edit of a number, or without one."""
        trial = self._trial(self.confirming)
        edit = None if number is None else next(islice(self.edits(), number, None), None)
        losses = trial.losses(edit)
        return None if losses is None else [losses.value.tolist(), losses.policy.tolist()]

    def _trial(self, rows: Rows) -> Trial:
        return Trial(self.pipeline, self.network, rows)


def read(losses: list[list[float]] | None) -> Losses | None:
    """What `confirmed` has returned."""
    return None if losses is None else Losses(*(np.array(each) for each in losses))


def _best(
    edits: Iterable[Edit], trial: Callable[[Rows], Trial], rows: Rows
) -> Iterator[tuple[Edit, str]]:
    """The edits with the least loss of both heads, of the value and of the policy, and how found.

    Only those that gain something on the positions that they are tried on.
    """
    count, kept = 0, edits
    for positions, most in _ROUNDS:
        known = _tried(kept, trial(rows[:positions]))
        count = count or len(known)
        kept = _most_promising(known, most)
    trying = trial(np.sort(rows))
    unchanged = trying.losses()
    losses = _tried(kept, trying)
    if unchanged is None or not losses:
        return
    edits = [edit for edit, _ in losses]
    for worth in (_of_both, _of_value_alone, _of_policy_alone):
        least = min(worth(each) for _, each in losses)
        if least < worth(unchanged):
            scores = [(worth(each) - least) / (worth(unchanged) - least) for _, each in losses]
            yield _first(edits, scores, count)


def _of_value_alone(losses: Losses) -> float:
    return float(losses.value.mean())


def _of_policy_alone(losses: Losses) -> float:
    return losses.of_policy if np.isfinite(losses.of_policy) else 0.0


def _of_both(losses: Losses) -> float:
    return _IN_NATS * _of_value_alone(losses) + _of_policy_alone(losses)


def _tried(edits: Iterable[Edit], trial: Trial) -> list[tuple[Edit, Losses]]:
    """The losses with each edit that changes an answer, as long as there is time."""
    began, wall = time.thread_time(), time.perf_counter()
    known = []
    for edit in edits:
        losses = trial.losses(edit)
        if losses is not None:
            known.append((edit, losses))
        if over(began, wall, _SECONDS):
            break
    return known


def _most_promising(known: list[tuple[Edit, Losses]], most: int) -> list[Edit]:
    """So many edits with the least loss of the value, and as many of the policy, in their order."""
    by_value = sorted(known, key=lambda each: float(each[1].value.mean()))[:most]
    by_policy = sorted(known, key=lambda each: each[1].of_policy)[:most]
    kept = {edit.number for edit, _ in by_value + by_policy}
    return [edit for edit, _ in known if edit.number in kept]


def _first(edits: list[Edit], missed: list[float], count: int) -> tuple[Edit, str]:
    """The edit that is told, of those that gain about as much as the best, and how it was found.

    The first edit of the network says more than one of its code; of those, which are many, it is
    the best one in a single place, or else the best one, which may be one of the boards.

    Args:
        missed: share of the gain of the best edit that another one misses.
        count: number of edits that were tried.
    """
    # Of two that are worth the same, the shorter one.
    order = sorted(range(len(edits)), key=lambda n: (missed[n], len(edits[n].words)))
    near = [n for n in order if missed[n] <= _ALSO]
    listed = [n for n in near if edits[n].family not in (CODE, EXCHANGED, BOARDS)]
    single = [n for n in near if edits[n].family == CODE]
    place = min(listed) if listed else (single or near)[0]
    families = edits[place].family, CODE
    others = [n for n in order if n != place and missed[n] <= _ALIKE]
    also = [edits[n].words for n in others if edits[n].family in families]
    told = f" (and nearly as well with {also[0]})" if also else ""
    return edits[place], f"{told}, the best of {count:,} edits"
