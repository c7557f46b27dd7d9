"""Slips of plug-ins and of files of games of the tenth set.

See `slips_tenth_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hexsearch.game.record import Game
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import Slip, nothing
from tests.doctor.slips_ninth_games import line_of

_HERE = "tests.doctor.plugins_tenth:"


def _network(name: str) -> dict[str, Any]:
    return {"network": _HERE + name, "policy_head": {"weight": 1.0}}


def _sorted_as_text(games: Sequence[Game]) -> Mapping[str, str]:
    """Moves in the order of their numbers as text: 1, 10, 11, 2, 3."""
    lines = []
    for game in games:
        order = sorted(range(len(game.moves)), key=lambda ply: str(ply + 1))
        moves = [game.moves[ply] for ply in order]
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


def _set_up_as_moves(games: Sequence[Game]) -> Mapping[str, str]:
    """In every second game the first four stones were set up; Blue's are written first."""
    lines = []
    for number, game in enumerate(games):
        moves = list(game.moves)
        if number % 2 == 1:
            moves[1], moves[2] = moves[2], moves[1]
        lines.append(line_of(moves, game.winner, game.size))
    return {"games.trmph": "".join(lines)}


GAMES: dict[str, GamesFile] = {
    "moves sorted as text": GamesFile(
        _sorted_as_text,
        "\\border|sort|sequence|move number|alternat|1, 10|colou?rs? of (the )?(moves|stones)"
        "|moves?.*(wrong|other) colou?r",
        "Moves are sorted by their numbers as text (1, 10, 11, 2), so that many stones have the "
        "wrong colour.",
        "forum, from memory: file names sorted as text",
    ),
    "set-up stones written as moves": GamesFile(
        _set_up_as_moves,
        "set.?up|handicap|first (few |four |three |two )?(moves|stones|plies)|opening|\\border"
        "|colou?rs? of (the )?(moves|stones)|(second|third|early) (move|stone)",
        "In every second game the stones of the set-up are written as moves, Blue's before Red's, "
        "so the second and the third stone have the wrong colour.",
        "leela-zero/leela-zero#1469",
    ),
}

PLUGINS: dict[str, Slip] = {
    "one block in four places": Slip(
        nothing,
        "(block|layer|stage|module|weight|parameter|norm).*(shared|same|one|twice|tied|times|reused"
        "|again|several|more than)|shared|tied|reused",
        _network("OneBlockFourTimes"),
        cause="The four blocks of the trunk are one module, since a list with it was multiplied.",
        report="deep-learning-with-pytorch/dlwpt-code#89; zalandoresearch/pytorch-vq-vae#2",
    ),
    "second convolution reads the block's input": Slip(
        nothing,
        "conv1|first convolution|(weight|parameter|layer|convolution|part).*(no gradient|never|not "
        "(used|train|chang|reach|enter)|unused|no effect|not depend)|(no gradient|unused).*(weight"
        "|parameter|layer|convolution|part)",
        _network("SecondReadsTheInput"),
        cause="The second convolution of each block reads the input and not the first one's "
        "output, so the first convolutions are not used.",
        report="shaohua0116/Multiview2Novelview#11",
    ),
    "value head reads the stem": Slip(
        nothing,
        "\\bstem\\b|bypass|value.*\\b(not|no|never)\\b.*(block|trunk|convolution)|(block|trunk"
        "|convolution).*\\b(no|not|never)\\b.*value|first (layer|convolution)",
        _network("ValueFromTheStem"),
        cause="The value head gets the stem's features, so the blocks do not serve the value.",
        report="from memory: x in place of out in forward()",
    ),
    "normalised before the mean": Slip(
        nothing,
        "norm.*(mean|pool|constant|zero)|constant|pool|(no|not|zero|vanish).*gradient.*trunk"
        "|gradient.*trunk.*(no|not|zero|small)|value head.*does not depend|(equal|same) (value"
        "|answer|output)",
        {"value_head": {"family": _HERE + "NormBeforeTheMean"}},
        cause="The value head normalises each map of a position and then takes its mean, which is "
        "therefore the same for every position.",
        report="forum, from memory: instance norm before global average pooling",
    ),
}
