"""Says which labels a user's value loss has in place of the results of its games."""

from __future__ import annotations

import numpy as np

from hexsearch.doctor.checks.own_training.classes import read_classes
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected, by_game, label_scores, random_share
from hexsearch.doctor.hypotheses.table import Flags, at, named_cause, where
from hexsearch.doctor.own_training.rows import Wanted
from hexsearch.doctor.own_training.watched import OwnTraining
from hexsearch.game.board import RED

_BY_CHANCE = 0.08  # of half of the labels
_ALL = 0.95  # share of wrong labels of classes that are exchanged
_SHIFTS, _EXACT = 40, 0.995  # rows that lists may be apart, and the labels that this explains


def wrong_labels(own: OwnTraining, labels: Wanted, wrong: Flags) -> Finding:
    """The finding for labels that are not the results of the games that their rows show.

    Args:
        labels: what the loss wants, in Red's chance.
        wrong: [R] rows that are pulled away from the result of their game.
    """
    place = where(wrong, affected(labels.truth, labels.symmetry))
    batch = own.rows.batch if own.rows is not None else np.zeros(0, dtype=np.int64)
    usual = int(np.bincount(batch).max()) if len(batch) else 1
    scores = label_scores(labels.target, labels.truth, labels.symmetry, "board", usual, wrong)
    cause = f"labels are inverted {place}"
    if shift := _rows_between(own, labels):
        cause = (
            f"labels are those of {abs(shift)} rows {'later' if shift > 0 else 'earlier'}: the "
            f"{'last' if shift > 0 else 'first'} positions of each game have the result of the "
            f"{'next' if shift > 0 else 'previous'} one (two lists that are shifted against each "
            "other)"
        )
    elif by_game(wrong, labels.truth.game):
        cause = f"labels are inverted in whole games, in {random_share(wrong)} of the positions"
        cause += _of_lengths(labels, wrong)
    elif place.startswith("in a random share") and abs(wrong.mean() - 0.5) < _BY_CHANCE:
        cause = (
            "labels are those of other positions: no more of them are right than by chance "
            "(planes and labels are shuffled, sorted or indexed apart from each other)"
        )
    elif place.startswith("in a random share"):
        cause = f"label noise: {random_share(wrong)} of the labels are wrong at random"
        if own.has_soft_targets:
            cause = (
                "targets are not the results of the games but numbers between them (a teacher, an "
                "evaluation, a search or an average of the network's own answers), which agree "
                f"with the result in {1 - wrong.mean():.0%}: the results do not reach the loss"
            )
    evidence, cause, remedy = named_cause(
        scores, cause, "take every label from the game's winner", explains=0.97
    )
    # Part of the rows may look right by chance, so that a subset is named with a share.
    told = shift or "whoever won" in cause or place.removeprefix("only ").split(" (")[0] in cause
    cause = cause if told else at(cause, place)
    if (place == "everywhere" or wrong.mean() > _ALL) and (read := read_classes(own)):
        cause, remedy = read
    cause, remedy = _for_whom(own, cause, remedy)
    return Finding.error(
        "training value",
        f"in {len(wrong):,} rows whose position is known, the gradient of the loss pulls the value "
        f"away from the result of the game in {wrong.mean():.0%}, {place}; {evidence}",
        cause,
        remedy,
        root="training value",
    )


def _of_lengths(labels: Wanted, wrong: Flags) -> str:
    """In words, that the games are those of a colour that are longer or shorter than others."""
    truth = labels.truth
    length = truth.archive.lengths_of(truth.game)
    for name, chosen in (
        ("games", np.ones(len(wrong), dtype=bool)),
        ("games that Red won", truth.red_won),
        ("games that Blue won", ~truth.red_won),
    ):
        bad, good = length[wrong & chosen], length[~wrong & chosen]
        if (wrong & ~chosen).any() or not len(bad) or not len(good):
            continue
        if bad.min() > good.max():
            return (
                f": those {name} with more than {good.max()} moves (games that are cut off there)"
            )
        if bad.max() < good.min():
            return f": those {name} with fewer than {good.min()} moves"
    return ""


def _for_whom(own: OwnTraining, cause: str, remedy: str) -> tuple[str, str]:
    """Cause and remedy where labels belong to a side to move, and not to a colour."""
    sides = {
        "where Blue is to move": "the side to move",
        "where Red is to move": "the side that has just moved",
    }
    owner = next((who for words, who in sides.items() if f"exactly {words}" in cause), "")
    owner = owner or {
        "even plies": "the side to move",
        "odd plies": "the side that has just moved",
    }.get(next((w for w in ("even plies", "odd plies") if w in cause), ""), "")
    if owner and not own.foreign.for_mover:
        cause = (
            f"the value is trained for {owner}, and read as Red's: labels are 1 where {owner} "
            "wins, and win_prob_red takes the value for Red's chance (the wrong perspective)"
        )
        remedy = (
            "train with 1 where Red wins, or give win_prob_red(raw, to_move) a second argument, "
            "and return 1 minus the chance where Blue is to move"
        )
    elif owner:
        cause += (
            "; win_prob_red takes the value for that of the side to move, and labels are of "
            "another perspective"
        )
    return cause, remedy


def _rows_between(own: OwnTraining, labels: Wanted) -> int:
    """By how many rows labels are later than planes, in the order of the games; 0 if by none."""
    truth = labels.truth
    archive, games = truth.archive, own.games
    length = archive.lengths_of(truth.game)
    place = np.searchsorted(games, truth.game)
    if (labels.symmetry >= 2).any() or len(games) < 2:
        return 0
    best, most = 0, _EXACT
    for shift in (*range(1, _SHIFTS + 1), *range(-1, -_SHIFTS - 1, -1)):
        beyond = (truth.ply + shift >= length) if shift > 0 else (truth.ply + shift < 0)
        other = games[np.clip(place + np.sign(shift), 0, len(games) - 1)]
        expected = archive.winners[np.where(beyond, other, truth.game)] == RED
        share = float((expected == (labels.target > 0.5)).mean())
        if share > most:
            best, most = shift, share
    return best
