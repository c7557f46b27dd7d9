"""Slips in hexsearch's own pipeline, and a file of games, of the seventeenth set.

See `slips_seventeenth_scripts` for how the set was drawn and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.position_set import PositionSet
from hexsearch.game.board import BLUE, RED, stones_after, winner
from hexsearch.game.record import Game
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as steps
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import ABSOLUTE, Patch, Slip, in_batches
from tests.doctor.slips_ninth_games import line_of

_TIMES_TOO_LONG = 1000  # the warm-up, by its unit


def _endless_warmup(patch: Patch) -> None:
    """The progress is counted in thousands of what the training counts, so the rise goes on."""
    sound = steps.set_learning_rate  # type: ignore[attr-defined]

    def set_rates(optimiser: Any, config: Any, progress: float) -> None:
        sound(optimiser, config, progress / _TIMES_TOO_LONG)

    patch.setattr(steps, "set_learning_rate", set_rates)


def _exchanged_in_evaluation(patch: Patch) -> None:
    """Evaluation builds its planes by a function of its own, which has Red's stones first."""
    sound = Evaluator._batches

    def batches(self: Any, positions: PositionSet) -> Iterator[Batch]:
        for batch in sound(self, positions):
            planes = batch.planes.clone()
            planes[:, 0], planes[:, 1] = batch.planes[:, 1], batch.planes[:, 0]
            yield replace(batch, planes=planes)

    patch.setattr(Evaluator, "_batches", batches)


def _shuffled(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Another order of the results than that of the planes, in each batch."""
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(17 + cursor))
    return replace(batch, outcome=batch.outcome[order])


SLIPS: dict[str, Slip] = {
    "warm-up that never ends": Slip(
        _endless_warmup,
        "warm.?up|schedul|(learning.?)?\\brates?\\b.{0,60}(too (small|low|slow)|vanish|sm"
        "all|tiny|zero|\\blow|never|\\brise|\\brising|below|share of|reach)|(small|tiny|l"
        "ow|vanishing|negligible).{0,30}\\brates?\\b|steps?.{0,40}(too small|tiny|too sho"
        "rt)|(weights|parameters|network)\\b.{0,60}(hardly|barely|scarcely|almost (not|ne"
        "ver)|too little)|(hardly|barely|scarcely|almost not) (mov|chang|updat|train)",
        {"optimiser": {"schedule": "constant"}},
        cause="The warm-up is a thousand times as long as meant, so the training ends at about a "
        "hundredth of the learning rate and the weights hardly move.",
        report="from memory: warm-up in steps with a progress counted in epochs, PyTorch forum",
    ),
    "colours exchanged in evaluation only": Slip(
        _exchanged_in_evaluation,
        "(colour|color|plane|channel|stone|encod)\\w*.{0,80}(exchang|swap|switch|permut|r"
        "evers|interchang|(wrong|another|other|different) order|mixed up)|(exchang|swap|s"
        "witch|permut|revers|interchang|wrong order).{0,80}(colour|color|plane|channel|st"
        "one)|(evaluat|validation|inference)\\w*.{0,100}(other|another|different|differ|n"
        "ot the same|not those).{0,40}(plane|encod|input)|(plane|encod|input)\\w*.{0,80}("
        "differ|other|another|not the same|not those|unlike|changed).{0,80}(evaluat|valid"
        "ation|train|inference)|(evaluat|validation)\\w*.{0,60}(plane|encod|input)\\w*.{0"
        ",60}(differ|other|not)",
        ABSOLUTE,
        cause="In the evaluation the planes of the two colours are exchanged, in training they are "
        "not.",
        report="from memory: two functions that encode a board, one for training and one for play",
    ),
    "labels shuffled in each batch": Slip(
        in_batches(_shuffled),
        "shuffl|permut|scrambl|(another|other|wrong|different) (position|row|game|sample)s?\\b|(la"
        "bel|target|outcome|result|value)s?\\b.{0,80}(random|noise|unrelated|no relation|not (rela"
        "t|belong|depend|match|correspond|fit)|do(es)? not (belong|fit|match|depend|correspond|fol"
        "low|agree)|independent|misalign|out of (step|order)|of other|of another|do nothing with|n"
        "othing to do|mixed|wrong)|(random|unrelated|misaligned|noisy|wrong|mixed.up) (label|targe"
        "t|outcome|result)",
        cause="The results of each batch are in another order than its planes, so that each "
        "position has the result of another one.",
        report="from memory: random.shuffle of one of two lists in a collate function",
    ),
}


def _of_random_play(games: Sequence[Game]) -> Mapping[str, str]:
    """As many games as there were, whose moves are drawn at random until one side connects."""
    rng, lines = np.random.default_rng(17), []
    for game in games:
        moves: list[int] = []
        won = 0
        for cell in rng.permutation(game.size**2).tolist():
            moves.append(cell)
            won = winner(stones_after(moves, game.size))
            if won in (BLUE, RED):
                break
        lines.append(line_of(moves, won, game.size))
    return {"games.trmph": "".join(lines)}


FILES: dict[str, GamesFile] = {
    "games of random play": GamesFile(
        _of_random_play,
        "^(?!.*(winner|result|label|outcome)s?\\b.{0,30}random).*(random(ly)?\\b.{0,60}(p"
        "lay|move|game|polic|cell)|(play|move|game|polic)\\w*.{0,60}random|(weak|poor|aim"
        "less|senseless|bad(ly)?|unskilled|meaningless|arbitrary).{0,30}(play|move|game)|"
        "(play|move|game)s?\\b.{0,60}(weak|poor|aimless|senseless|unskilled|no (skill|pla"
        "n|strategy)|arbitrary|by chance)|(moves?|play)\\b.{0,80}(uniform|unpredictable|c"
        "annot be (predict|learn|foreseen)|no better than)|untrained (network|player|poli"
        "cy))",
        "All moves were drawn at random among the empty cells, so the games hold no play from "
        "which a policy, or the value of good play, could be learnt.",
        "from memory: first generation of self-play, or a player whose network was not loaded",
    ),
}
