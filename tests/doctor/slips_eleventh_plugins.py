"""Slips of plug-ins and of files of games of the eleventh set.

See `slips_eleventh_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hexsearch.game.record import Game
from tests.doctor.games import lopsided_games
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import Slip, nothing
from tests.doctor.slips_ninth_games import line_of

_HERE = "tests.doctor.plugins_eleventh:"


def _taken_back(games: Sequence[Game]) -> Mapping[str, str]:
    """In every third game a move is taken back and another one is played; both are written."""
    lines = []
    for number, game in enumerate(games):
        moves = list(game.moves)
        if number % 3 == 0:
            ply = 3 + number // 3 % 4
            empty = [cell for cell in range(game.size**2) if cell not in moves]
            if empty:
                moves.insert(ply, empty[0])
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


def _smaller_boards(games: Sequence[Game]) -> Mapping[str, str]:
    """Every third game was played on a smaller board, and the header names the usual size."""
    size = games[0].size
    small = lopsided_games(len(games) // 3 + 1, size - 1, seed=7)
    lines = []
    for number, game in enumerate(games):
        if number % 3 == 0:
            played = small[number // 3]
            moves = [cell // (size - 1) * size + cell % (size - 1) for cell in played.moves]
            lines.append(line_of(moves, played.winner, size))
        else:
            lines.append(line_of(game.moves, game.winner, size))
    return {"games.trmph": "".join(lines)}


def _augmented(games: Sequence[Game]) -> Mapping[str, str]:
    """Each game, and a copy of it by a half turn in which Blue's first two moves are exchanged.

    The augmentation keeps boards and not the order of moves, so the copies count as other games,
    and go through almost the same positions.
    """
    lines = []
    for game in games:
        lines.append(line_of(game.moves, game.winner, game.size))
        turned = [game.size**2 - 1 - cell for cell in game.moves]
        turned[0], turned[2] = turned[2], turned[0]
        lines.append(line_of(turned, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


GAMES: dict[str, GamesFile] = {
    "moves taken back left in the record": GamesFile(
        _taken_back,
        "taken back|take-?back|undo|undone|alternat|colou?rs? of (the )?(later )?(moves|stones)"
        "|(moves?|stones?).*(wrong|other) colou?r|one (move|stone) too many|(extra|additional|"
        "superfluous|spare) (move|stone)|colou?rs? (are )?exchanged (from|after)",
        "In every third game a move that was taken back is still in the record, so that all later "
        "stones have the wrong colour.",
        "from memory: records of servers with takebacks",
    ),
    "games of a smaller board under the usual size": GamesFile(
        _smaller_boards,
        "board size|size of (the )?board|smaller board|4 ?x ?4|(last|one) (row|column)|(row|column)"
        " (5|e)\\b|edge.*(never|no stone|empty)|never (use|reach|play)",
        "Every third game was played on a board of 4x4, and the header says 5x5, so the winner "
        "does not connect the edges.",
        "from memory: size in the header left at its default, Kaggle-like dumps of SGF",
    ),
    "augmented before the split": GamesFile(
        _augmented,
        "half.?turn|symmetr|augment|turned|leak|cop(y|ies)|nearly (the )?(same|equal)|almost "
        "(the )?(same|equal)|twice|duplicat|transpos(e|ing|ition)s?|same positions?|(valid|test).*"
        "(also|same|share|in).*train|train.*(also|same|share|in).*(valid|test)",
        "Games were augmented before they were split: each has a turned copy whose first moves "
        "stand in another order, so positions of validation are trained on.",
        "from memory: augmentation before train_test_split",
    ),
}

PLUGINS: dict[str, Slip] = {
    "kernels of one cell": Slip(
        nothing,
        "1 ?x ?1|neighbour|receptive|one cell|single cell|kernel|each cell (by|for) itself|where "
        "(the )?stones|(places?|arrangement|order) of (the )?(stones|cells)|permut|only (the )?"
        "(numbers?|counts?) of (the )?(stones|cells)|counts? only",
        {
            "trunk": {"family": _HERE + "pointwise_trunk", "features": 32},
            "value_head": "32->64->1",
        },
        cause="All kernels of the trunk are 1x1, so it sees no neighbours, and the pooled features "
        "say only how many cells of each kind there are.",
        report="from memory: kernel_size left at 1",
    ),
    "network without activations": Slip(
        nothing,
        "(network|trunk|value|answer|logit|output)s? (is|are) (exactly |an? )*(linear|affine)"
        "|additive|linear (in|function)|(no|without( an)?|missing|lacks?( an)?|lost) (activation"
        "|relu|non.?linear)|activations? (functions? )?(is |are )?(missing|lacking|forgotten)"
        "|superposition|sum over (the )?(stones|cells)",
        {"network": _HERE + "WithoutActivations", "policy_head": {"weight": 1.0}},
        cause="There is no activation between the layers, so the whole network is linear in the "
        "stones.",
        report="from memory: nn.Sequential of layers without ReLU",
    ),
}
