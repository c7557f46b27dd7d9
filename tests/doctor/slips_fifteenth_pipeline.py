"""Slips in hexsearch's own pipeline, and files of games, of the fifteenth set.

See `slips_fifteenth_scripts` for how the set was drawn and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.game.board import stones_after, winner
from hexsearch.game.record import Game
from hexsearch.training.evaluation import Evaluator
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import ABSOLUTE, Patch, Slip, in_labels, nothing
from tests.doctor.slips_ninth_games import line_of, transposed
from tests.doctor.slips_twelfth_data import with_growing_certainty

_COPIES = 10  # of each game in the file
_ALIKE = 0.95  # share of the games that are alike
_OWN = 5  # plies at the end of such a game that are its own
_GIVEN_UP = (1, 5)  # plies that a game lacks which was given up: from, and below


def _other_side(archive: GameArchive) -> GameArchive:
    """Search values of Blue in place of Red."""
    sound = with_growing_certainty(archive)
    assert sound.search_values is not None
    return replace(sound, search_values=(100 - sound.search_values).astype(np.uint8))


def _without_statistics(patch: Patch) -> None:
    """The averaged network keeps the batch norm statistics with which it was made."""

    def calibrate(self: Any, network: Any) -> None:
        network.eval()

    patch.setattr(Evaluator, "calibrate", calibrate)


def _minus_one_and_one(batch: Batch) -> Tensor:
    return 2 * batch.outcome - 1


def _finished_for_the_other(batch: Batch) -> Tensor:
    """On a finished board the side that would move next gets the other side's result."""
    return torch.where(batch.final, 1 - batch.outcome, batch.outcome)


SLIPS: dict[str, Slip] = {
    "tiny weight of the value loss": Slip(
        nothing,
        "value_weight|value (loss )?weight\\b|weight(s|ing|ed)? (of|on|for|given to) (the )?v"
        "alue|value (loss|term|part|head).{0,60}(\\bweight(ed|ing)?\\b|tiny|negligible|drown|"
        "swamp|outweigh|dominat|overwhelm|too (small|weak|little)|hardly (count|train)|small "
        "share|times (smaller|weaker|less))|policy.{0,60}(dominat|swamp|outweigh|drown|overwh"
        "elm|too (large|strong)|times (as|larger|stronger))|(dominat|swamp|outweigh|drown|ove"
        "rwhelm).{0,60}policy|loss.?(weight|balance)",
        {
            "value_weight": 1e-6,
            "policy_head": {"weight": 1.0},
            "optimiser": {"name": "sgd", "learning_rate": 0.05},
        },
        cause="The value loss has a weight of a millionth, so only the policy is learnt.",
        report="from memory: value_loss_weight of 0.01 and far less in AlphaZero forks",
    ),
    "search values of the other side": Slip(
        nothing,
        "search.{0,100}(invert|flip|negat|revers|opposite|exchang|contradict|against|disagree|othe"
        "r (side|player|colour)|wrong (side|sign|player|colour)|perspective|\\bblue|mirror|1 minus"
        "|complement|anti|upside)|(invert|flip|negat|revers|opposite|exchang|contradict|against|di"
        "sagree|other (side|player|colour)|wrong (side|sign|player|colour)|perspective|blue's|1 mi"
        "nus|complement|upside).{0,100}search",
        {**ABSOLUTE, "curriculum": {"name": "all", "search_value": 0.8}},
        games=_other_side,
        cause="The search values are the chances of the other side, so the targets made of them "
        "are inverted.",
        report="from memory: root value of a search stored without its sign for the player",
    ),
    "averaged weights without statistics of batch norm": Slip(
        _without_statistics,
        "^(?!.*(\\beval\\b|training mode)).*(batch.?norm|running (mean|statistic|average|vari"
        "ance)|update_bn|calibrat|averaged (weights|network|model).{0,80}(norm|statistic|wors"
        "e|not (fit|match|calibrat)|other)|norm(s|ali[sz]ation)?\\b.{0,60}(stale|old|initial|"
        "not (fit|match|updat|belong)|never|wrong)|statistics.{0,60}(stale|old|initial|not (f"
        "it|match|updat|belong)|never|wrong))",
        {**ABSOLUTE, "optimiser": {"learning_rate": 3e-3, "ema_half_life": 1500}},
        cause="Averaged weights are evaluated without batch norm statistics of their own: the "
        "running means and variances are still those of the beginning.",
        report="from memory: torch.optim.swa_utils without update_bn",
    ),
    "targets -1 and 1 in a cross-entropy": Slip(
        in_labels(_minus_one_and_one),
        "(?<![\\w.])-1\\b|minus one|negative (target|label|outcome|loss|result)|(outside|not "
        "(in|within|between)|beyond|below|out of).{0,40}(\\b0\\b|zero|range|interval|\\[)|(ta"
        "rget|label|outcome)s?\\b.{0,80}(range|scale|negative|not (0|chanc|probab)|outside|be"
        "low)|(range|scale) of (the )?(target|label|outcome)s?|unbounded|without (a )?(bound|"
        "limit|minimum)",
        cause="Results are -1 and 1 in a cross-entropy that wants 0 and 1, so the loss of a lost "
        "position has no lower bound.",
        report="from memory: BCEWithLogitsLoss with targets of -1 and 1, PyTorch forum",
    ),
    "finished boards labelled for the wrong side": Slip(
        in_labels(_finished_for_the_other),
        "(finish|final|terminal|ended|game.?over|decided|last (board|position)|end of (the |a )?ga"
        "me|full board|won board).{0,100}(label|target|outcome|result|winner|invert|flip|wrong|opp"
        "osite|contradict|other side|\\bside\\b|revers|sign)|(label|target|outcome|result|invert|f"
        "lip|wrong|opposite|contradict|revers|sign).{0,100}(finish|final|terminal|ended|game.?over"
        "|decided|last (board|position)|end of (the |a )?game|already (won|over))",
        cause="The labels of finished boards are those of the wrong side; all others are right.",
        report="from memory: value of a terminal node for the player who would move next, in MCTS "
        "code",
    ),
}


def _transposed(games: Sequence[Game]) -> Mapping[str, str]:
    """One of two exporters, whose games are merged, writes rows as letters and columns as numbers.

    Where all games of a file are transposed, the import finds it out and reads them rightly.
    """
    lines = []
    for number, game in enumerate(games):
        moves = list(game.moves)
        if number % 2 == 1:
            moves = [transposed(cell, game.size) for cell in moves]
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


def _nearly_all_alike(games: Sequence[Game]) -> Mapping[str, str]:
    """Self-play without noise: most games follow the first one and differ only in the end."""
    rng, lines = np.random.default_rng(15), []
    first = games[0].moves[: max(1, len(games[0].moves) - _OWN)]
    for game in games:
        moves, won = list(game.moves), game.winner
        if rng.random() < _ALIKE:
            moves = list(first)
            free = [cell for cell in range(game.size**2) if cell not in first]
            for cell in rng.permutation(free).tolist():
                moves.append(cell)
                won = winner(stones_after(moves, game.size))
                if won:
                    break
        lines.append(line_of(moves, won, game.size))
    return {"games.trmph": "".join(lines)}


def _other_winner(games: Sequence[Game]) -> Mapping[str, str]:
    """Two games of three are given up before their end; all have the loser as the winner."""
    rng, lines = np.random.default_rng(15), []
    for number, game in enumerate(games):
        lacks = int(rng.integers(*_GIVEN_UP)) if number % 3 else 0
        moves = game.moves[: max(3, len(game.moves) - lacks)]
        lines.append(line_of(moves, -game.winner, game.size))
    return {"games.trmph": "".join(lines)}


def _several_times(games: Sequence[Game]) -> Mapping[str, str]:
    """Each generation wrote the whole buffer to the end of the file again."""
    kept = games[: len(games) // _COPIES]
    text = "".join(line_of(game.moves, game.winner, game.size) for game in kept)
    return {"games.trmph": text * _COPIES}


FILES: dict[str, GamesFile] = {
    "coordinates transposed": GamesFile(
        _transposed,
        "transpos|mirror|reflect|diagonal|\\brows?\\b.{0,40}\\bcolumns?|\\bcolumns?\\b.{0,40}\\bro"
        "ws?|coordinates?.{0,60}(exchang|swap|order|revers)|(exchang|swap|revers).{0,60}(coordinat"
        "es|edges|goals|axes)|orientation|(wrong|other|exchanged) (edges|goals|directions?)|letter"
        "s? and (the )?numbers?",
        "Rows and columns are exchanged in every second game of the file, so each colour connects "
        "the edges of the other there.",
        "from memory: a1 read as row a, column 1, in converters of Hex records",
    ),
    "nearly all games alike": GamesFile(
        _nearly_all_alike,
        "alike|(same|identical|one|single|similar|common|few).{0,60}(game|opening|begin|moves|line"
        "|prefix|position|start)|divers|variety|varied|(nearly|almost) (the )?(same|identical|dupl"
        "icate)|duplicat|repeat|deterministic|(games|openings?|positions|moves).{0,60}(same|ident"
        "ical|similar|alike|repeat|copies|shared?\\b)",
        "Nearly all games begin with the same moves and differ only in their last ones, so there "
        "are few different positions.",
        "from memory: self-play without noise and without a temperature",
    ),
    "winner's colour inverted": GamesFile(
        _other_winner,
        "(winner|result|label|outcome)s?\\b.{0,80}(invert|flip|revers|exchang|swap|wrong|oppo"
        "site|contradict|loser|other (colour|player|side)|disagree|does not|do not|but replay"
        ")|(invert|flip|revers|exchang|swap|wrong|opposite|contradict|loser).{0,60}(winner|"
        "\\bresults?\\b|\\boutcomes?\\b|colour of the win)|(says|stated?|states) that.{0,40}w"
        "on",
        "The file names the loser of each game as the winner.",
        "from memory: B for Blue read as Black, or 1 for the first player read as Red",
    ),
    "the same games several times": GamesFile(
        _several_times,
        "duplicat|repeat|\\bcop(y|ies)\\b|(same|identical) games?|(more than once|several times|te"
        "n times|twice|again)\\b|distinct|different games|unique",
        "The file holds each game ten times, so there are far fewer games than it seems.",
        "from memory: replay buffer appended to one file after each generation",
    ),
}
