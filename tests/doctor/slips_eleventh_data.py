"""Slips of games, positions and curricula of the eleventh set, in the form of this pipeline.

See `slips_eleventh_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batches import BatchBuilder
from hexsearch.data.dataset import Dataset
from hexsearch.data.position_set import PositionSet
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.data.split import split_games
from hexsearch.game.board import RED, winners
from hexsearch.game.record import Game
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, nothing

_BEGINNINGS = 8  # games that self-play without noise plays
_FREE = 5  # plies at their end that are still drawn


def _without_noise(archive: GameArchive) -> GameArchive:
    """Self-play without noise: all games follow one of a few and differ in their ends alone."""
    rng = np.random.default_rng(0)
    games: list[Game] = []
    for number in range(len(archive)):
        base = archive.game(number % _BEGINNINGS)
        moves = list(base.moves[:-_FREE])
        board = np.zeros((1, base.size, base.size), dtype=np.int8)
        for ply, cell in enumerate(moves):
            board[0, cell // base.size, cell % base.size] = -1 if ply % 2 == 0 else 1
        while winners(board)[0] == 0:
            cell = int(rng.choice(np.flatnonzero(board == 0)))
            board[0, cell // base.size, cell % base.size] = -1 if len(moves) % 2 == 0 else 1
            moves.append(cell)
        winner = int(winners(board)[0])
        games.append(Game(base.size, tuple(moves), winner, True, "self-play", number + 1))
    return build_archive(games)


def _from_the_winners_side(patch: Patch) -> None:
    """A finished board is canonical for the side that won, as if that side were to move."""
    sound = BatchBuilder.build

    def build(self: Any, games: Any, plies: Any, turn: Any, swap: Any, *more: Any) -> Any:
        archive = self.archive
        lengths = archive.offsets[games + 1].astype(np.int64) - archive.offsets[games]
        ended = (plies == lengths) & archive.finished[games].astype(bool)
        chosen = np.where(ended, archive.winners[games] == RED, swap)
        return sound(self, games, plies, turn, chosen, *more)

    patch.setattr(BatchBuilder, "build", build)


def _phases_in_steps(patch: Patch) -> None:
    """The ends of the phases, given in positions, are compared with the number of steps."""
    sound = PositionSet.draw

    def draw(self: Any, seed: int, cursor: int, size: int) -> Any:
        later = tuple(replace(phase, start=phase.start * size) for phase in self.phases)
        return sound(replace(self, phases=later), seed, cursor, size)

    patch.setattr(PositionSet, "draw", draw)


def _split_anew(patch: Patch) -> None:
    """After a resume the games are split again, by another draw."""
    sound = Trial.load_state

    def load(self: Any, state: Any) -> None:
        sound(self, state)
        old = self.dataset
        shares, fresh = old.config.split, Dataset(old.archive, old.config)
        for name, key in (("train", "train_games"), ("validation", "validation_games")):
            games = split_games(old.archive, name, shares.validation, shares.test, "drawn anew")  # type: ignore[arg-type]
            fresh.__dict__[key] = games
        self.dataset = fresh
        self.stream = replace(self.stream, positions=fresh.training(self.config.curriculum))
        self._ahead = ReadAhead(self.stream, self.execution.show)
        self.evaluator = replace(self.evaluator, stream=self.stream)

    patch.setattr(Trial, "load_state", load)


SLIPS: dict[str, Slip] = {
    "games that differ in their ends alone": Slip(
        nothing,
        "(same|equal|alike|few|common|shared?|identical).{0,40}(opening|beginning|first|moves|games|"
        "prefix|begin)|(opening|beginning|games|prefix).{0,40}(same|equal|alike|few|common|shared?|"
        "identical)|(nearly|almost) (the )?(same|equal|identical)|variety|divers|duplicat|repeat"
        "|unique|differ (only|(alone )?in (their|the) (ends?|last))|follow one of|begin (alike|as)",
        games=_without_noise,
        cause="Self-play had no noise, so all games follow one of eight and differ in their last "
        "moves alone; validation games begin as training games do.",
        report="leela-zero/leela-zero#20; glinscott/leela-chess#67",
    ),
    "finished boards from the winner's side": Slip(
        _from_the_winners_side,
        "(\\bfinal|\\bfinish|\\bterminal|\\bended).*(winn|side|leak|always|constant|one label|same "
        "(label|outcome|target|result)|perspective|encoded)|leak|(winn|perspective|encoded).*"
        "(\\bfinal|\\bfinish|\\bterminal|\\bended)",
        {"encoder": {"perspective": "mover"}},
        cause="Finished boards are always encoded from the side of the winner, so their label is "
        "always a win, in training and in the report.",
        report="from memory: canonical form of the winner at the end of an episode",
    ),
    "phases that end in steps": Slip(
        _phases_in_steps,
        "phase|curricul|progressive",
        {
            "curriculum": {
                "name": "progressive",
                "phases": [{"name": "last_k", "k": 3, "until": 640}, {"name": "all"}],
                "mix_all": 0.0,
            }
        },
        cause="The end of a phase is given in positions and compared with steps, so the first "
        "phase, with the last plies of games, does not end.",
        report="from memory: milestones in epochs compared with iterations",
    ),
    "split drawn anew after a resume": Slip(
        _split_anew,
        "(resum|load|restor|continu|checkpoint).*(split|valid|train|game|position|stream|order|"
        "batch|data|sample)|(split|valid|train|game|position|stream|order|batch|data).*(resum|load|"
        "restor|continu|checkpoint)|leak|split",
        cause="A resumed trial splits the games anew, so that games of its validation were trained "
        "on before the resume.",
        report="from memory: random_split without a seed, and --resume",
    ),
}
