"""Finds the number that answers follow, and where they are inverted or much worse than a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.hypotheses.general.regions import Columns, conditions
from hexsearch.game.board import cell_name
from hexsearch.training.metrics import Evaluation

Floats = NDArray[np.float64]
_WORSE, _AS_GOOD = 0.08, 0.04  # value loss beyond a table's that is much worse, or as good
_FEW = 20  # games on each side
_SPREAD = 0.01  # standard deviation of answers that are not constant
_OF_ONE_CELL = 0.35  # share of the variance of the answers that one cell explains
_FOLLOWS = 0.6  # share of the variance of the answers that a number explains
_LEARNT = 0.65  # AUC from which on a value has learnt something
_NEAR = 6  # plies to the end within which a value should be right
_ONE_SIDED = 0.05  # share of other answers where one side is to move
_RIGHT, _WRONG = 0.7, 0.35  # share of right answers outside and inside a part that is inverted


def beyond_a_number(evaluation: Evaluation, table: Floats) -> str:
    """The cause if answers are as good as a table's up to some number, and much worse beyond."""
    won = evaluation.red_won
    if not evaluation.metrics().overall.auc > _LEARNT:
        return ""
    lost = np.square(evaluation.win_prob_red - won) - np.square(table - won)
    clearest, text = _WORSE, ""
    for name, column in (
        ("number of stones", evaluation.ply),
        ("number of plies to the end", evaluation.to_end),
        ("length of the game", evaluation.ply + evaluation.to_end),
    ):
        for bound in np.unique(np.quantile(column, np.linspace(0.05, 0.97, 19)).astype(int)):
            low, high = column < bound, column >= bound
            if min(len(np.unique(evaluation.game[mask])) for mask in (low, high)) < _FEW:
                continue
            for good, bad, where in ((low, high, "at least"), (high, low, "below")):
                # It must be much worse than the table, not only than where it beats the table.
                gap = float(lost[bad].mean() - max(lost[good].mean(), 0.0))
                noise = clustered_error(lost[bad] - lost[bad].mean(), evaluation.game[bad])
                if lost[good].mean() < _AS_GOOD and gap > max(clearest, 3 * noise):
                    clearest = gap
                    text = (
                        f"answers are as good as a table's except where the {name} is {where} "
                        f"{bound}, where the value loss is {float(lost[bad].mean()):.2f} higher: "
                        "the network was not trained on such positions (only on the others, such "
                        "as openings or endings), its labels or planes were wrong there, or it has "
                        "learnt too little of them yet"
                    )
    return text


def follows_a_number(evaluation: Evaluation) -> str:
    """In words, the number of a position that explains most of its answer; empty if none does."""
    p = evaluation.win_prob_red
    for name, column in (
        ("number of stones on the board", evaluation.ply),
        ("number of plies to the end", evaluation.to_end),
        ("length of the game", evaluation.ply + evaluation.to_end),
    ):
        _, group = np.unique(column, return_inverse=True)
        count = np.bincount(group)
        means, wins = (np.bincount(group, each) / count for each in (p, evaluation.red_won))
        explained = float(means[group].var()) / max(float(p.var()), 1e-12)
        if explained > _FOLLOWS and float(wins[group].std()) < float(means[group].std()) / 2:
            ends = float(p[column <= np.quantile(column, 0.2)].mean())
            other = float(p[column >= np.quantile(column, 0.8)].mean())
            return (
                f"answers follow the {name}, which explains {explained:.0%} of their variance and "
                f"not the results: they are {ends:.2f} where it is low and {other:.2f} where it is "
                "high; the network was taught that number or the stage of the game in place of the "
                "result (another column as the label)"
            )
    return ""


def follows_a_cell(p: Floats, stones: NDArray[np.int8]) -> str:
    """In words, the one cell whose content explains most of the answers; empty if none does.

    Args:
        p: [P] answers.
        stones: [P, N, N] -1, 0 or 1.
    """
    content = stones.reshape(len(p), -1).astype(np.int64) + 1
    spread = float(p.var())
    if spread < _SPREAD**2:
        return ""
    explained = np.zeros(content.shape[1])
    for kind in range(3):
        here = content == kind
        count = here.sum(axis=0)
        means = (here * p[:, None]).sum(axis=0) / np.maximum(count, 1)
        explained += count / len(p) * np.square(means - p.mean())
    cell = int(explained.argmax())
    if explained[cell] < _OF_ONE_CELL * spread:
        return ""
    side = stones.shape[1]
    return (
        f"answers follow what lies on one cell ({cell_name(cell, side)}, number {cell}), which "
        f"explains {explained[cell] / spread:.0%} of their variance: the value is another output "
        "of the network, such as the logit of the move there (a wrong entry, a slice that is off "
        "by one or at the wrong end), or a head that sees one cell"
    )


def inverted_where(evaluation: Evaluation, archive: GameArchive) -> str:
    """In words, the condition under which answers are inverted near the end; else empty.

    Whether a condition holds may depend on the game, which the network only sees by its board.
    """
    near = evaluation.to_end <= _NEAR
    game, won = evaluation.game[near], evaluation.red_won[near] == 1
    for_red = evaluation.win_prob_red[near] > 0.5
    right = for_red == won
    red = evaluation.ply[near] % 2 == 1
    shares = [float(for_red[moving].mean()) for moving in (red, ~red)]
    if all(min(share, 1 - share) < _ONE_SIDED for share in shares):
        return ""  # who moves last wins: an answer by the side to move is right on every other ply
    columns = {name: column[near] for name, column in _columns(evaluation, archive).items()}
    columns.pop("where Red wins")  # one-sided answers are always wrong where the other side wins
    clearest, text = 0.0, ""
    for each in conditions(~right, columns):
        inside, outside = each.holds, ~each.holds
        if min(len(np.unique(game[mask])) for mask in (inside, outside)) < _FEW:
            continue
        gap = float(right[outside].mean() - right[inside].mean())
        # Where one side wins all games of a part, an answer for the other side proves nothing.
        sides = (won, ~won)
        both = all(min((inside & w).sum(), (outside & w).sum()) >= _FEW for w in sides) and all(
            right[inside & w].mean() < _WRONG and right[outside & w].mean() > _RIGHT for w in sides
        )
        if both and gap > clearest:
            clearest = gap
            text = (
                f"answers are inverted {each.words}: within {_NEAR} plies of the end "
                f"{right[inside].mean():.0%} of them are right there and "
                f"{right[outside].mean():.0%} elsewhere. Labels or colours were exchanged there in "
                "training, or are at inference"
            )
    return text


def _columns(evaluation: Evaluation, archive: GameArchive) -> Columns:
    """[P] what answers may depend on, by the words of `conditions`."""
    game = evaluation.game
    size = int(archive.sizes[0])
    first = archive.moves[archive.offsets[game].astype(np.int64)].astype(np.int64)
    row, column = np.divmod(first, size)
    length = evaluation.ply + evaluation.to_end
    return {
        "where Red is to move": evaluation.ply % 2 == 1,
        "where Red wins": evaluation.red_won == 1,
        "where the first move lies on an edge": (
            np.minimum(np.minimum(row, column), size - 1 - np.maximum(row, column)) == 0
        ),
        "number of stones": evaluation.ply,
        "number of plies to the end": evaluation.to_end,
        "length of the game": length,
        "number of the game": game,
        "source of the game": archive.files[game].astype(np.int64),
        "row of the first move": row,
        "column of the first move": column,
    }
