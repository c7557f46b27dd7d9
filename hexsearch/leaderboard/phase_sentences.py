"""Sentences on the results of a comparison and of a confirmation."""

from __future__ import annotations

from hexsearch.leaderboard.agreement import Agreement
from hexsearch.leaderboard.confirmation import Confirmation, ConfirmedRow
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row

# `benchmarks/truth.py --part c` on games of an engine; see docs/lab-log.md, 2026-11-24.
BENCHMARK = (
    "this ranking is for heads on a common trunk; in one measurement it did not predict the "
    "ranking of heads with separate trunks (benchmarks/truth.py --part c: trunk small, mode joint, "
    "8 heads, 3 seeds, 100,000 positions: Kendall's tau 0.07, 15 of 28 pairs in the same order); "
    "--against STUDY_DIR measures it for these heads"
)


def comparison_sentences(board: Leaderboard) -> list[str]:
    """One sentence on the number of significant differences, then one for each other head.

    Significant means at 5% after Holm's correction over all heads, paired by game and seed. The
    difference is that of the table: the middle of the interval, which allows for selection.
    """
    leader = board.leader
    if leader is None:
        return ["no heads were compared: no seed of every head has been evaluated yet"]
    others = [row for row in board.rows if row is not leader and row.difference is not None]
    first = f"{leader.name} leads at {leader.value_loss:.4f} over {_seeds(leader.seeds)}"
    if others:
        worse = sum(not row.tied_with_leader for row in others)
        first += f"; {_significant(worse, len(others))}"
    return [first, *(_behind(row) for row in others)]


def agreement_sentence(agreement: Agreement | None) -> str:
    """A sentence on an agreement, or on what was measured in general if there is none."""
    if agreement is None:
        return BENCHMARK
    ranking = (
        f"against {agreement.where} ({agreement.heads} heads, each with its own trunk, "
        f"{_seeds(agreement.seeds)}, {agreement.positions:,} positions): Kendall's tau "
        f"{agreement.tau:.2f} (by chance with probability {agreement.by_chance:.0%}), "
        f"{agreement.same_order} of {agreement.pairs} pairs in the same order; "
    )
    if not agreement.real:
        return ranking + "no difference is significant there, so there is no order to agree with"
    return ranking + (
        f"of {agreement.real} significant differences there, {agreement.real_same_order} have the "
        f"same sign here and {agreement.real_found} are significant here too"
    )


def confirmation_sentences(confirmation: Confirmation) -> list[str]:
    """Sentences on a confirmation, the most important first."""
    done = f"{confirmation.done} of {confirmation.planned} trainings"
    if not confirmation.rows:
        return [f"confirmation: {done} have ended"]
    winner, *others = confirmation.rows
    sentences = [_of_winner(winner, confirmation.games), *(_of_other(row) for row in others)]
    if confirmation.done < confirmation.planned:
        sentences.append(f"{done} of the confirmation have ended")
    if confirmation.looks > 1:
        sentences.append(
            f"winners were chosen {confirmation.looks} times, and the same test games were used: "
            "each time makes the test less independent"
        )
    return sentences


def _of_winner(winner: ConfirmedRow, games: int) -> str:
    seeds = "1 fresh seed" if winner.seeds == 1 else f"{winner.seeds} fresh seeds"
    confirmed = (
        f"confirmed: {winner.name} has value loss {winner.test_loss:.4f} ({winner.test_low:.4f} to "
        f"{winner.test_high:.4f}) on {games:,} test games with {seeds}"
    )
    if winner.search_loss is None or winner.optimism is None:
        return confirmed
    fresh = winner.validation_loss - winner.search_loss
    return (
        f"{confirmed}; in the search it had {winner.search_loss:.4f}; the difference is "
        f"{winner.optimism:+.4f}: {fresh:+.4f} from fresh seeds on the same games and "
        f"{winner.test_loss - winner.validation_loss:+.4f} from other games"
    )


def _of_other(row: ConfirmedRow) -> str:
    name = f"the baseline {row.name}" if row.kind == "baseline" else row.name
    bounds = f"{row.to_winner_low:+.4f} to {row.to_winner_high:+.4f}"
    if row.to_winner_low > 0:
        return f"{name} is worse than the winner by {row.to_winner:.4f} ({bounds})"
    if row.to_winner_high < 0:
        return f"{name} is better than the winner by {-row.to_winner:.4f} ({bounds})"
    return f"{name} is tied with the winner: {row.to_winner:+.4f} ({bounds})"


def _behind(row: Row) -> str:
    low, high = row.difference_low, row.difference_high
    assert low is not None and high is not None, "a compared row has an interval"
    middle, low, high = (_rounded(loss) for loss in ((low + high) / 2, low, high))
    behind = f"{middle:.4f} ({low:+.4f} to {high:+.4f})"
    if row.tied_with_leader:
        return f"{row.name} is tied with it: behind by {behind}"
    return f"{row.name} is significantly worse, by {behind}"


def _rounded(loss: float) -> float:
    """The loss rounded to the printed places, without a negative zero."""
    return round(loss, 4) + 0.0


def _significant(worse: int, others: int) -> str:
    """Words for the number of significant differences to the leader."""
    if not worse:
        return "no difference to it is significant"
    if worse == others:
        return "every difference to it is significant"
    return f"{worse} of {others} differences to it are significant"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
