"""What a leaderboard says, in sentences: who leads, who may, and what would tell them apart."""

from __future__ import annotations

from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.phase_tables import Race
from hexsearch.leaderboard.rows import CONTROL, Row
from hexsearch.statistics.pruning_check import sentence


def sentences(board: Leaderboard) -> list[str]:
    """The findings of a leaderboard, most important first; none for an empty one."""
    ranked = [row for row in board.rows if row.rank is not None]
    if not ranked:
        return []
    leader = min(ranked, key=lambda row: (row.rank, row.difference or 0.0))
    level = [row for row in ranked if row.group is not None]
    said = [_verdict(board, leader, level)]
    luck = _luck(board, leader, level)
    if luck:
        said.append(luck)
    if len(level) > 1:
        said.append(_noise(board))
    beyond = sum(
        row.difference is None and row.positions_seen == leader.positions_seen for row in ranked
    )
    if level and beyond:
        said.append(f"{beyond} {_kind(board, beyond)} further back were not compared game by game")
    if board.race is not None:
        said.append(_race(board.race))
    if board.pruning_check is not None:
        said.append(sentence(board.pruning_check))
    controls = sum(row.status == CONTROL for row in board.rows)
    if controls:
        said.append(f"{controls} negative {_plural('control', controls)} listed, never ranked")
    return said


def _verdict(board: Leaderboard, leader: Row, level: list[Row]) -> str:
    if not level:
        return (
            "no rows were compared: this stage has no per-game losses"
            if board.stage in ("penultimate", "final")
            else "no rows were compared: the leader's per-game losses are missing"
        )
    if len(level) == 1:
        return _without_company(board, leader)
    tied = [row for row in level if row.tied_with_leader]
    if len(tied) == 1:
        return (
            f"the first is better than {_all_others(len(level) - 1, board)} that came as far "
            "(paired by game, at 95%)"
        )
    return f"{len(tied)} {_kind(board, len(tied))} cannot be told apart{_remedy(board)}"


def _without_company(board: Leaderboard, leader: Row) -> str:
    """A leader that nobody followed to the end."""
    said = "no other row came as far as the first"
    others = [row for row in board.rows if row.p_adjusted is not None and row is not leader]
    if not others:
        return f"{said}, so its lead cannot be judged"
    behind = sum((row.p_adjusted or 0.0) < 0.05 and (row.difference or 0.0) > 0 for row in others)
    return (
        f"{said}; at the positions where they were last judged {behind} of {len(others)} were "
        "behind it (paired by game, at 95%)"
    )


def _remedy(board: Leaderboard) -> str:
    """How many seeds would help, if they can."""
    spread = board.spread
    if spread.separable is None or spread.more_seeds is None:
        return "; more seeds alone would not separate 0.02: the games are too few"
    if not spread.more_seeds:
        return f"; a difference of {spread.separable:g} would show"
    least = "" if spread.measured else "at least "
    count = f"{least}{spread.more_seeds} more {_plural('seed', spread.more_seeds)} of each"
    return f"; {count} would separate {spread.separable:g}"


def _luck(board: Leaderboard, leader: Row, level: list[Row]) -> str:
    if leader.expected_value_loss is None or leader.value_loss is None or len(level) < 2:
        return ""
    said = (
        f"the first is truly the best with probability {leader.probability_best or 0.0:.0%}; "
        f"expect {leader.expected_value_loss:.4f} of it"
    )
    if round(leader.expected_value_loss, 4) > round(leader.value_loss, 4):
        said += f" rather than {leader.value_loss:.4f}: the best of {len(level)} is partly luck"
    return said


def _race(race: Race) -> str:
    runs = f"{race.runs} further {_plural('training', race.runs)} of at most {race.budget}"
    if race.tied < 2:
        return f"race: {runs}; the lead is decided"
    return f"race: {runs}; {race.tied} are still tied"


def _noise(board: Leaderboard) -> str:
    deviation = board.spread.seed_deviation
    if board.spread.measured:
        return f"between seeds the value loss varies by {deviation:.4f} (standard deviation)"
    return f"no variant has two seeds: a deviation of {deviation:.4f} between seeds is assumed"


def _all_others(count: int, board: Leaderboard) -> str:
    return f"the other {_kind(board, 1)}" if count == 1 else f"all {count} others"


def _kind(board: Leaderboard, count: int) -> str:
    return _plural(board.by, count)


def _plural(word: str, count: int) -> str:
    return word if count == 1 else word + "s"
