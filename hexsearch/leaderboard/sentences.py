"""Sentences on the results of a leaderboard: the leader, ties, and the seeds that would help."""

from __future__ import annotations

from hexsearch.leaderboard.cells import plural
from hexsearch.leaderboard.comparing import FEWEST_GAMES
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import CONTROL, Row
from hexsearch.leaderboard.strength import match_sentences


def leaderboard_sentences(board: Leaderboard) -> list[str]:
    """The results of a leaderboard, most important first."""
    ranked = [row for row in board.rows if row.rank is not None]
    if not ranked:
        return [_no_result(board)]
    leader = min(ranked, key=lambda row: (row.rank, row.difference or 0.0))
    level = [row for row in ranked if row.group is not None]
    sentences = [_lead(board, leader, level)]
    if board.baseline_gap is not None:
        sentences.append(board.baseline_gap.sentence)
    sentences += _ahead(leader, ranked)
    sentences += _promising(board, leader, ranked)
    games = board.spread.games
    if games is not None and games < FEWEST_GAMES:
        sentences.append(
            f"there are only {games} validation {plural('game', games)}: too few to trust an "
            "interval, or to say how probably the first is the best"
        )
    luck = _luck(leader, level)
    if luck:
        sentences.append(luck)
    if len(level) > 1:
        sentences.append(_seed_spread(board))
    beyond = sum(
        row.difference is None and row.positions_seen == leader.positions_seen for row in ranked
    )
    if level and beyond:
        were = "was" if beyond == 1 else "were"
        sentences.append(f"{beyond} {_kind(board, beyond)} {were} not compared by game")
    if board.equal_compute is not None:
        sentences.append(
            f"positions are those of the trunk {board.equal_compute} at equal training operations: "
            "a network that needs twice as many has seen half as many positions as it says"
        )
    sentences += [finding.sentence for finding in board.findings.values()]
    if board.match is not None:
        sentences += match_sentences(board.match)
    controls = sum(row.status == CONTROL for row in board.rows)
    if controls:
        kind = f"negative {plural('control', controls)}"
        sentences.append(f"{controls} {kind} {_are(controls)} listed and never ranked")
    return sentences


def _no_result(board: Leaderboard) -> str:
    trials = sum(len(row.trial_ids) for row in board.rows)
    if not trials:
        return "there is no result yet: no trial has begun"
    failed = sum(row.failed for row in board.rows)
    if failed == trials:
        return f"there is no result: {'the only trial' if trials == 1 else 'every trial'} failed"
    listed = f"{trials} {plural('trial', trials)}"
    return f"there is no result yet: of {listed}, none that can be ranked has reported"


def _lead(board: Leaderboard, leader: Row, level: list[Row]) -> str:
    if not level:
        return (
            "no rows were compared: this stage has no per-game losses"
            if board.stage in ("penultimate", "final")
            else "no rows were compared: the leader's per-game losses are missing"
        )
    if len(level) == 1:
        return _alone(board, leader)
    tied = [row for row in level if row.tied_with_leader]
    if len(tied) == 1:
        return (
            f"the first is better than {_all_others(len(level) - 1, board)} with as many "
            "positions seen (paired by game, at 95%)"
        )
    return f"{len(tied)} {_kind(board, len(tied))} cannot be told apart{_remedy(board)}"


def _ahead(leader: Row, ranked: list[Row]) -> list[str]:
    """A sentence on rows below the first that were better when they had seen as many positions."""
    ahead = [row for row in ranked if row.difference_high is not None and row.difference_high < 0]
    ahead = [row for row in ahead if row.positions_seen < leader.positions_seen]
    if not ahead:
        return []
    best = min(ahead, key=lambda row: row.difference or 0.0)
    others = f" and {len(ahead) - 1} more" if len(ahead) > 1 else ""
    return [
        f"{best.name}{others} did better than the first at equal positions, after "
        f"{best.positions_seen:,}; the first leads only since it has seen more"
    ]


def _promising(board: Leaderboard, leader: Row, ranked: list[Row]) -> list[str]:
    """A sentence on the row that promises most, if it is not the first."""
    found = board.most_promising
    if found is None or board.stage is not None or found.positions_seen >= leader.positions_seen:
        return []
    row = next((row for row in ranked if found.trial in row.trial_ids), leader)
    if row is leader:
        return []
    return [
        f"{row.name} promises most: of {found.of} trials that are compared at "
        f"{found.positions_seen:,} positions it should end best; too few have seen more"
    ]


def _alone(board: Leaderboard, leader: Row) -> str:
    """A sentence on a leader that has seen more positions than all other rows."""
    alone = "no other row has seen as many positions as the first"
    others = [row for row in board.rows if row.p_adjusted is not None and row is not leader]
    if not others:
        return f"{alone}, so its lead cannot be tested"
    behind = sum((row.p_adjusted or 0.0) < 0.05 and (row.difference or 0.0) > 0 for row in others)
    return (
        f"{alone}; where they were last compared, {behind} of {len(others)} were worse (paired by "
        "game, at 95%)"
    )


def _remedy(board: Leaderboard) -> str:
    """Words for the number of seeds that would separate tied rows."""
    spread = board.spread
    if spread.separable is None or spread.more_seeds is None:
        return "; more seeds alone would not show a difference of 0.02: there are too few games"
    if not spread.more_seeds:
        return f"; a difference of {spread.separable:g} would be significant"
    least = "" if spread.measured else "at least "
    count = f"{least}{spread.more_seeds} more {plural('seed', spread.more_seeds)} of each"
    return f"; {count} would show a difference of {spread.separable:g}"


def _luck(leader: Row, level: list[Row]) -> str:
    if leader.expected_value_loss is None or leader.value_loss is None or len(level) < 2:
        return ""
    sentence = (
        f"the first is truly the best with probability {leader.probability_best or 0.0:.0%}; "
        f"its expected value loss is {leader.expected_value_loss:.4f}"
    )
    if round(leader.expected_value_loss, 4) > round(leader.value_loss, 4):
        sentence += f", not {leader.value_loss:.4f}: the best of {len(level)} is partly luck"
    return sentence


def _seed_spread(board: Leaderboard) -> str:
    deviation = board.spread.seed_deviation
    if board.spread.measured:
        return f"between seeds the value loss varies by {deviation:.4f} (standard deviation)"
    return f"no variant has two seeds: a deviation of {deviation:.4f} between seeds is assumed"


def _all_others(count: int, board: Leaderboard) -> str:
    return f"the other {_kind(board, 1)}" if count == 1 else f"all {count} others"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _kind(board: Leaderboard, count: int) -> str:
    return plural(board.by, count)
