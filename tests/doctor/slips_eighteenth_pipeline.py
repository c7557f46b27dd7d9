"""Slips in hexsearch's own pipeline, and two files of games, of the eighteenth set.

See `slips_eighteenth_scripts` for how the set was drawn and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from hexsearch.game.board import BLUE, cell_name
from hexsearch.game.record import Game
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.step import Stepper
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import Patch, Slip
from tests.doctor.slips_ninth_games import line_of

_EPOCH = 100  # steps
_GENERATION = 50  # games
_AT_LEAST = 0.6  # of a game's moves are made before somebody resigns


def _built_each_epoch(patch: Patch) -> None:
    """The network is made at the beginning of each epoch, by the same seed."""
    sound, made = Stepper.step, WeakKeyDictionary[Stepper, dict[str, Tensor]]()

    def step(self: Stepper, *arguments: Any) -> None:
        weights = self._body.state_dict()
        if self not in made:
            made[self] = {name: weight.clone() for name, weight in weights.items()}
        if self._steps % _EPOCH == 0:
            self._body.load_state_dict(made[self])
        sound(self, *arguments)

    patch.setattr(Stepper, "step", step)


def _never_cleared(patch: Patch) -> None:
    """The learning rate is set, and the gradients stay."""

    def prepare(self: Any, progress: float) -> None:
        steps.set_learning_rate(  # type: ignore[attr-defined]
            self.optimiser, self._config, progress
        )

    patch.setattr(steps.Owner, "prepare", prepare)


SLIPS: dict[str, Slip] = {
    "network made in the loop over epochs": Slip(
        _built_each_epoch,
        "\\breset|re-?initiali|re-?(built|created|made|started)|(start|begin|beg[au]n)\\w* (over|an"
        "ew|afresh|again)|initial (weights|values|state|network)|(weights|parameters|network|tr"
        "aining)\\b.{0,80}(thrown (away|back)|jump|back to|\\blost\\b|overwritten|replaced|(bui"
        "lt|created|made|loaded) (again|anew)|undone|restored)|\\bloss(es)?\\b.{0,60}(jump|rise"
        "s? again|saw|spike|back to)|forg[eo]t|restart|(progress|learnt|learned).{0,40}(lost|un"
        "done|thrown)|(every|each) (\\d+ steps|epoch|report)",
        cause="The network is made again at the beginning of each epoch of 100 steps, so that its "
        "weights go back to the initial ones.",
        report="from memory: model = Net() inside the loop over epochs",
    ),
    "gradients of all steps so far": Slip(
        _never_cleared,
        "accumulat|(not|never|without being) (cleared|zeroed|reset)|zero_grad|(sum|running tota"
        "l) of.{0,30}gradients|gradient\\w*.{0,80}(earlier|previous|\\blast\\b|\\bkept|carried|"
        "\\bsum|add(ed|s|ing)?\\b|clear|zeroed|pile|\\bgrow|grew|left over|stale|remain|stay)|("
        "earlier|previous|old|stale) (step'?s'? )?gradients?",
        cause="Gradients are not set to zero between steps, so each step follows the sum of all "
        "gradients so far.",
        report="from memory: optimizer.zero_grad() left out of the training loop",
    ),
}


def _buffer_appended(games: Sequence[Game]) -> Mapping[str, str]:
    """After each generation the whole buffer is appended to the file that has the earlier ones."""
    lines = [line_of(game.moves, game.winner, game.size) for game in games]
    ends = range(_GENERATION, len(lines) + _GENERATION, _GENERATION)
    return {"games.trmph": "".join("".join(lines[:end]) for end in ends)}


def _side_to_move_as_winner(games: Sequence[Game]) -> Mapping[str, str]:
    """SGF; three of four games are given up, and whoever is to move then is written as winner.

    The side that resigns is the one that is to move, so the other one has won.
    """
    texts = []
    for number, game in enumerate(games):
        moves, named, how = game.moves, game.winner, "1"
        if number % 4:
            ply = round(_AT_LEAST * len(moves))
            while (BLUE if ply % 2 == 0 else -BLUE) == game.winner:
                ply += 1  # the loser resigns when it is to move
            moves, named, how = moves[:ply], -game.winner, "Resign"
        stones = "".join(
            f";{'BW'[ply % 2]}[{cell_name(cell, game.size)}]" for ply, cell in enumerate(moves)
        )
        side = "B" if named == BLUE else "W"
        texts.append(f"(;FF[4]GM[11]SZ[{game.size}]RE[{side}+{how}]{stones})\n")
    return {"games.sgf": "".join(texts)}


FILES: dict[str, GamesFile] = {
    "buffer appended after each generation": GamesFile(
        _buffer_appended,
        "duplicat|repeat|same games?\\b|identical (game|position|line)|\\bcopies of|(game|position|"
        "line|record|file)s?\\b.{0,60}(identical|copies|copied|again|twice|more than once|(several|"
        "many|\\d+) times)|\\b(distinct|unique)\\b|appended",
        "The whole buffer was appended to the file after each generation, so most games are in it "
        "several times, the first ones twelve times.",
        "from memory: the replay buffer saved in append mode",
    ),
    "side to move as winner by resignation": GamesFile(
        _side_to_move_as_winner,
        "(winner|result|label|outcome|resign|who won|won by)\\w*.{0,120}(wrong|invert|flip|reve"
        "rs|exchang|swap|contradict|disagree|opposite|other (side|colour|player)|lost|loser|res"
        "ign|not (fit|match|agree)|do(es)? not (fit|match|agree)|side to move|loses|behind|refu"
        "s|unlikely)|(wrong|invert|flip|revers|swapp|contradict|disagree|opposite).{0,80}(winne"
        "r|result|label|outcome|resign)|(loser|losing side|side that resigned|resigner).{0,60}("
        "winner|won|wins?\\b)",
        "In three of four games one side resigns, and the exporter writes the side to move, which "
        "is the one that resigned, as the winner.",
        "from memory: winner = current_player at the end of a game that was given up",
    ),
}
