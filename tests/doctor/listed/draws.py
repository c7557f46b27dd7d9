"""Listed slips in the drawing of positions, in the curriculum and in the split."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from hexsearch.data import positions as positions_module
from hexsearch.data.dataset import Dataset
from hexsearch.data.position_set import PositionSet
from hexsearch.data.split import split_games
from tests.doctor.slips import Inject, Slip, patched
from tests.doctor.test_kinds_of_data import of_plies

_BATCH = 64


def _one_ply_for_each_game(games: Any, plies: Any, _: PositionSet) -> Any:
    unique, first = np.unique(games, return_index=True)
    return games, plies[first][np.searchsorted(unique, games)]


def _phases_by_steps(sound: Any) -> Any:
    """A phase that is to begin after n positions begins after n steps."""

    def draw(self: PositionSet, *given: Any) -> Any:
        later = tuple(replace(phase, start=phase.start * _BATCH) for phase in self.phases)
        return sound(replace(self, phases=later), *given)

    return draw


def _first_plies(sound: Any) -> Any:
    def bounds(archive: Any, games: Any, rule: Any, stages: Any) -> Any:
        first, last = sound(archive, games, rule, stages)
        if rule.name != "last_k":
            return first, last
        start = archive.setups[games].astype(np.int64)
        return start, start + last - first

    return bounds


def _another_split_each_time() -> Inject:
    """A number of the dataset object stands for a hash that is another in each process."""
    starts = itertools.count()

    def make(_: Any) -> Any:
        def games(self: Dataset, split: Any) -> Any:
            if "_start" not in self.__dict__:
                self.__dict__["_start"] = next(starts)
            shares = self.config.split
            salt = f"{shares.salt}/{self.__dict__['_start']}"
            return split_games(self.archive, split, shares.validation, shares.test, salt)

        return games

    return patched(Dataset, "games", make)


SLIPS: dict[str, Slip] = {
    "one ply for each game of a batch": Slip(
        of_plies(_one_ply_for_each_game),
        "games that are drawn several times are shown at one and the same ply each time",
        cause="A game that is drawn several times for a batch gets the ply of its first drawing "
        "each time, so positions are repeated.",
    ),
    "phases chosen by steps": Slip(
        patched(PositionSet, "draw", _phases_by_steps),
        "phase 2 of the curriculum does not begin where it is configured: .*such as that of steps",
        {
            "curriculum": {
                "name": "progressive",
                "mix_all": 0.0,
                "phases": [{"name": "last_k", "k": 4, "until": 1280}, {"name": "all"}],
            }
        },
        cause="The phase of the curriculum is chosen by the number of steps and not of positions, "
        "so later phases do not begin.",
    ),
    "first plies in place of the last": Slip(
        patched(positions_module, "_bounds", _first_plies),
        "last_k draws the first plies of each game .*in place of the last ones",
        {"curriculum": {"name": "last_k", "k": 6}},
        cause="last_k takes the first k plies of each game and not the last.",
    ),
    "split that changes on resuming": Slip(
        _another_split_each_time(),
        "the split is not the same each time that games are opened",
        cause="The split depends on something that differs with each start, so that a resumed "
        "training validates on games that it was trained on.",
    ),
}
