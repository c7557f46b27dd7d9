"""Whether games that are set apart, by the split or by their ends, are of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu

from hexsearch.data.archive import GameArchive
from hexsearch.data.split import SplitName
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.table import Flags
from hexsearch.game.board import RED

_SURE = 1e-9  # chance of a difference between parts that are drawn by hash
_FEW = 30  # games of a part that say something
_ONE, _BOTH = 0.97, 0.9  # shares of wins of one colour among unfinished and finished games
_OWN = 0.9  # share of different games that should have a hash of their own


def unlike_parts(
    archive: GameArchive, parts: Mapping[SplitName, NDArray[np.int64]]
) -> Iterator[Finding]:
    """Report a part whose games are longer, shorter or won by others than those of training.

    Copies of a game belong to one part, and count once.

    Args:
        parts: games of `train` and of other parts.
    """
    parts = {name: games[_first(archive.hashes[games])] for name, games in parts.items()}
    train = parts["train"]
    columns = {
        "length": archive.lengths.astype(np.float64),
        "result": (archive.winners == RED).astype(np.float64),
    }
    for name, games in parts.items():
        for column, numbers in columns.items():
            if name == "train" or min(len(train), len(games)) < _FEW:
                continue
            own, other = numbers[games], numbers[train]
            if own.std() + other.std() == 0.0 or mannwhitneyu(own, other).pvalue > _SURE:
                continue
            in_order = train.max() < games.min() or games.max() < train.min()
            how = (
                f"games are sorted by {column} and cut by their place in the archive"
                if in_order
                else f"what decides the part of a game depends on its {column}"
            )
            means = (
                f"they have {own.mean():.1f} moves on average, and the training games "
                f"{other.mean():.1f}"
                if column == "length"
                else f"Red wins {own.mean():.0%} of them, and {other.mean():.0%} of the training "
                "games"
            )
            yield Finding.error(
                "split",
                f"{len(games):,} {name} games and {len(train):,} training games are of other "
                f"kinds: {means}",
                f"the split goes by the {column} of games and not by chance ({how}): {name} games "
                "are of another kind than those that are trained on",
                "split by a hash of the game, whatever its place, length or result",
                root="split",
            )
            return


def kind_of_lost(
    archive: GameArchive, lost: Flags, parts: Mapping[SplitName, NDArray[np.int64]]
) -> str:
    """In words, the kind of games that are in no part, and the part that lacks it; else empty.

    Args:
        lost: [G] whether each game is in no part.
    """
    median = float(np.median(archive.lengths))
    kinds = {
        "unfinished (resigned) games": archive.finished == 0,
        "finished games": archive.finished == 1,
        "games that Red won": archive.winners == RED,
        "games that Blue won": archive.winners != RED,
        "long games": archive.lengths > median,
        "short games": archive.lengths <= median,
    }
    for words, kind in kinds.items():
        if not kind[lost].all() or kind.mean() > _ONE or lost.sum() < _FEW // 3:
            continue
        without = [name for name, games in parts.items() if len(games) and not kind[games].any()]
        if without:
            return (
                f"({words}, which {' and '.join(without)} leaves out by a filter, although "
                "training has them: its figures are those of other games than training sees)"
            )
    return ""


def one_sided_ends(archive: GameArchive) -> Iterator[Finding]:
    """Report unfinished games that all have one winner, where finished ones have both."""
    red, ended = archive.winners == RED, archive.finished == 1
    if min(ended.sum(), (~ended).sum()) < _FEW:
        return
    share, usual = float(red[~ended].mean()), float(red[ended].mean())
    if max(share, 1 - share) < _ONE or not 1 - _BOTH < usual < _BOTH:
        return
    winner, loser = ("Red", "Blue") if share > 0.5 else ("Blue", "Red")
    yield Finding.warning(
        "results",
        f"{winner} wins {max(share, 1 - share):.0%} of {(~ended).sum():,} games that end before a "
        f"connection, and Red {usual:.0%} of {ended.sum():,} finished ones",
        f"unfinished (resigned) games have one winner: those that {loser} won are missing (a "
        "filter dropped them), or their winners are read wrongly, so that an open board tells the "
        "result",
        f"keep the unfinished games that {loser} won, or leave out all unfinished games",
    )


def coarse_hashes(
    archive: GameArchive, forms: Mapping[int, tuple[bytes, int]]
) -> Iterator[Finding]:
    """Report hashes that different games share, by which the split goes.

    Args:
        forms: symmetry-invariant forms of games, by their numbers.
    """
    games = np.fromiter(forms, dtype=np.int64)
    different = len({form for form, _ in forms.values()})
    hashes = len(np.unique(archive.hashes[games]))
    if different < _FEW or hashes > _OWN * different:
        return
    yield Finding.error(
        "split",
        f"{different:,} different games have {hashes:,} different hashes",
        "the hash of a game does not cover the whole game (its opening alone, or a part that many "
        "share): different games have one hash, fall into one part of the split together, and "
        "count as copies",
        "hash all moves of a game, in their symmetry-invariant form",
        root="split",
    )


def _first(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.sort(np.unique(hashes, return_index=True)[1])
