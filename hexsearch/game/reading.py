"""How to read a source: which edges the first mover connects, and what a swap does.

Sources use different conventions and seldom state them. Games that were played to the end are
therefore replayed under every reading, and the reading that explains most of them is chosen.
The format's own convention is kept unless several games contradict it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hexsearch.game.record import Refusal, Swap, WrittenGame, replay
from hexsearch.game.symmetry import LONG_DIAGONAL, symmetry_cells

# A reading must explain this many games more than the convention does. One game with a wrong
# winner must remain an error of that game.
_MIN_GAINED_GAMES = 3
_MIN_SHARE = 0.8  # share of the finished games that a reading against the convention must explain


@dataclass(frozen=True)
class Reading:
    """One way to understand the games of a source.

    Attributes:
        left_right: the first mover connects left to right, so the board is reflected.
        red_first: the first mover is also called Red, so the winner's name is exchanged as well.
            This can be told only from a format that names the winner by colour.
        swap: what every swap token does. With None, each game's own text decides.
    """

    left_right: bool = False
    swap: Swap | None = None
    red_first: bool = False


@dataclass(frozen=True)
class Decision:
    """The reading chosen for one source, and the evidence for it.

    Attributes:
        agree, disagree: number of finished games that replay confirms or contradicts.
        otherwise_agree: number of finished games that agree if the first mover has the other
            edges.
        played_out: counts over the games in which nobody resigned, for a source in which other
            games were resigned: all of them, those that agree, and those that agree with the
            other edges. They may be too few to decide the reading, but a difference from the
            other games should be looked at.
        swaps: number of games with a swap token, by what the swap does.
        assumed: board sizes that were assumed because the files state none.
    """

    source: str
    format: str
    reading: Reading
    agree: int
    disagree: int
    otherwise_agree: int
    swaps: dict[str, int]
    played_out: tuple[int, int, int] = (0, 0, 0)
    assumed: tuple[int, ...] = ()

    def __str__(self) -> str:
        names = ("top to bottom", "left to right")
        edges, others = names if not self.reading.left_right else names[::-1]
        if self.reading.red_first:
            edges += " and is Red"
        text = (
            f"{self.format}: the first mover connects {edges} ({self.agree:,} finished games "
            f"agree, {self.disagree:,} do not; with {others}, {self.otherwise_agree:,} would agree)"
        )
        if self.played_out[0]:
            count, agree, otherwise = self.played_out
            text += (
                f"; nobody resigned in {count:,} games: {agree:,} of them agree, "
                f"{otherwise:,} would agree with {others}"
            )
        meaning = {
            "sides": "the stone stays and the players exchange colours",
            "pieces": "the stone is mirrored and changes colour",
        }
        for kind, count in sorted(self.swaps.items()):
            text += f"; swap in {count:,} games: {meaning[kind]}"
        for size in self.assumed:
            text += f"; no size is stated: {size}x{size} is assumed"
        return text


def settle(record: WrittenGame, reading: Reading) -> WrittenGame:
    """A game in our orientation: Blue moves first and connects top to bottom, without a swap.

    After a swap of sides the stones alternate as before. After a swap of pieces the second
    player owns a stone at the mirrored cell, and the first player moves again. We reflect all
    other moves instead. This is the same game, with Blue played by the second player.
    """
    swap = (reading.swap or record.swap) if record.swap else None
    if swap is None and not reading.left_right:
        return record
    mirror = symmetry_cells(record.size)[LONG_DIAGONAL].tolist()
    moves, winner = record.moves, record.stated_winner
    if swap is Swap.PIECES:
        moves = moves[:1] + tuple(mirror[cell] for cell in moves[1:])
        winner = None if winner is None else -winner
    elif swap is not None and record.by_player:
        winner = None if winner is None else -winner  # the players exchanged colours
    if reading.left_right:
        moves = tuple(mirror[cell] for cell in moves)
    if reading.red_first:
        winner = None if winner is None else -winner
    # Values are of the orientation that generated games have, so those of another mean nothing.
    return replace(record, moves=moves, stated_winner=winner, swap=None, search_values=None)


def choose_reading(records: Sequence[WrittenGame], source: str, format_name: str) -> Decision:
    """The reading that the finished games of a source support.

    Args:
        records: games of the source; the first few thousand are enough.
    """
    # A swap of pieces frees the first cell, so a repeated cell can be told only after `settle`.
    distinct = [r for r in records if r.moves and (r.swap or len(set(r.moves)) == len(r.moves))]
    swapped = [record for record in distinct if record.swap]
    plain = [record for record in distinct if not record.swap]
    unclear = any(record.swap is Swap.UNCLEAR for record in swapped)
    usual_swap = Swap.SIDES if unclear else None
    usual = Reading(False, usual_swap)
    seats = ((False, False), (True, False), (True, True))
    candidates = [Reading(edges, swap, red) for edges, red in seats for swap in _swaps(swapped)]
    # Games without a swap give the same evidence to all candidates with the same edges.
    by_seat = {(edges, red): _evidence(plain, Reading(edges, None, red)) for edges, red in seats}
    evidence = {}
    for reading in {usual, *candidates}:
        agree, disagree = _evidence(swapped, reading)
        base = by_seat[reading.left_right, reading.red_first]
        evidence[reading] = (agree + base[0], disagree + base[1])

    def weight(reading: Reading) -> tuple[int, bool]:
        agree, disagree = evidence[reading]
        return agree - disagree, reading == usual

    best = max(sorted(evidence, key=repr), key=weight)
    agree, disagree = evidence[best]
    if best != usual:
        gained = weight(best)[0] - weight(usual)[0]
        # If a file exchanges the winners' names, few games end in a connection under the other
        # edges, and these few may agree. So the share is taken of the games that end in a
        # connection under the reading where most of them do.
        ended = max(sum(counts) for counts in evidence.values())
        if gained < _MIN_GAINED_GAMES or agree < _MIN_SHARE * ended:
            best = usual
            agree, disagree = evidence[best]
    other = Reading(not best.left_right, best.swap)
    otherwise = evidence.get(other, by_seat[not best.left_right, False])[0]
    played_out = [record for record in distinct if not record.given_up]
    counts = (0, 0, 0)
    if 0 < len(played_out) < len(distinct):
        edges = Reading(not best.left_right, best.swap)
        counts = (len(played_out), _evidence(played_out, best)[0], _evidence(played_out, edges)[0])
    kinds = Counter((best.swap or record.swap or Swap.SIDES).value for record in swapped)
    assumed = tuple(sorted({record.size for record in records if record.assumed_size}))
    return Decision(
        source, format_name, best, agree, disagree, otherwise, dict(kinds), counts, assumed
    )


def readings_of_single_games(
    texts: Sequence[tuple[str, str, WrittenGame]],
) -> list[Decision]:
    """The decisions of `choose_reading` for texts that hold one game each, all together.

    One game never overrules a convention. A swap whose kind is unclear is a swap of pieces only
    if the moves would be illegal after a swap of sides.

    Args:
        texts: source, name of the format, and game of each text.
    """
    records = [record for _, _, record in texts]
    usual = [Reading(False, _only_legal_swap(record)) for record in records]
    other = [replace(reading, left_right=True) for reading in usual]
    agrees = _verdicts([settle(r, reading) for r, reading in zip(records, usual, strict=True)])
    mirrored = _verdicts([settle(r, reading) for r, reading in zip(records, other, strict=True)])
    decisions = []
    for (source, format_name, record), reading, verdict, otherwise in zip(
        texts, usual, agrees, mirrored, strict=True
    ):
        swaps = {(reading.swap or record.swap or Swap.SIDES).value: 1} if record.swap else {}
        assumed = (record.size,) if record.assumed_size else ()
        counts = (int(verdict > 0), int(verdict < 0), int(otherwise > 0))
        decisions.append(Decision(source, format_name, reading, *counts, swaps, (0, 0, 0), assumed))
    return decisions


def _only_legal_swap(record: WrittenGame) -> Swap | None:
    if record.swap is not Swap.UNCLEAR:
        return None
    if len(set(record.moves)) == len(record.moves):
        return Swap.SIDES
    moved = settle(record, Reading(False, Swap.PIECES)).moves
    return Swap.PIECES if len(set(moved)) == len(moved) else Swap.SIDES


def _swaps(swapped: Sequence[WrittenGame]) -> list[Swap | None]:
    if not swapped:
        return [None]
    if any(record.swap is Swap.UNCLEAR for record in swapped):
        return [Swap.SIDES, Swap.PIECES]
    return [None, Swap.SIDES, Swap.PIECES]


def _evidence(records: Sequence[WrittenGame], reading: Reading) -> tuple[int, int]:
    """Number of games that end with the stated connection, and number that replay contradicts."""
    verdicts = _verdicts([settle(record, reading) for record in records])
    return verdicts.count(1), verdicts.count(-1)


def _verdicts(settled: Sequence[WrittenGame]) -> list[int]:
    """For each game: 1 if it ends with the stated connection, -1 if replay contradicts it."""
    verdicts = [0] * len(settled)
    legal: dict[int, list[int]] = {}  # board size -> games
    for index, record in enumerate(settled):
        # Mirroring after a swap of pieces may put a stone on an occupied cell.
        if len(set(record.moves)) < len(record.moves):
            verdicts[index] = -1
        elif record.moves:
            legal.setdefault(record.size, []).append(index)
    for size, indices in sorted(legal.items()):
        ends, before = replay([settled[index].moves for index in indices], size)
        for index, won, won_before in zip(indices, ends.tolist(), before.tolist(), strict=True):
            if won_before or (won and settled[index].stated_winner not in (None, won)):
                verdicts[index] = -1
            elif won:
                verdicts[index] = 1
    return verdicts


def written_only(entries: Sequence[WrittenGame | Refusal]) -> list[WrittenGame]:
    """The entries that are games, without the refusals."""
    return [entry for entry in entries if isinstance(entry, WrittenGame)]
