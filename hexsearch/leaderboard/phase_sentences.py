"""What a comparison and a confirmation found, in sentences."""

from __future__ import annotations

from hexsearch.leaderboard.agreement import Agreement
from hexsearch.leaderboard.confirmation import Confirmation, ConfirmedRow
from hexsearch.leaderboard.leaderboard import Leaderboard
from hexsearch.leaderboard.rows import Row

# `benchmarks/truth.py --part c` on games of an engine; see docs/lab-log.md, 2026-11-24.
BENCHMARK = (
    "this ranking is of heads on a common trunk; measured once, it said nothing about heads "
    "trained with trunks of their own (benchmarks/truth.py --part c: trunk small, mode joint, 8 "
    "heads, 3 seeds, 100,000 positions: Kendall's tau 0.07, 15 of 28 pairs in the same order); "
    "with --against STUDY_DIR it is measured for these heads"
)


def comparison_sentences(board: Leaderboard) -> list[str]:
    """In one sentence which heads are really worse, then one for each: how far behind it is.

    Real: significant at 5% after Holm's correction over all heads, paired by game and seed. How far
    is as in the table: the middle of the interval, the leader's luck allowed for.
    """
    leader = board.leader
    if leader is None:
        return ["no heads were compared: no seed of every head has been evaluated yet"]
    others = [row for row in board.rows if row is not leader and row.difference is not None]
    first = f"{leader.name} leads at {leader.value_loss:.4f} over {_seeds(leader.seeds)}"
    if others:
        worse = sum(not row.tied_with_leader for row in others)
        first += f"; {_real(worse, len(others))}"
    return [first, *(_behind(row) for row in others)]


def agreement_sentence(agreement: Agreement | None) -> str:
    """An agreement in words; for none, what is known of comparisons in general."""
    if agreement is None:
        return BENCHMARK
    ranking = (
        f"against {agreement.where} ({agreement.heads} heads, each with a trunk of its own, "
        f"{_seeds(agreement.seeds)}, {agreement.positions:,} positions): Kendall's tau "
        f"{agreement.tau:.2f} (as far from 0 by chance: {agreement.by_chance:.0%}), "
        f"{agreement.same_order} of {agreement.pairs} pairs in the same order; "
    )
    if not agreement.real:
        return ranking + "no difference is real there, so there is no order to agree with"
    return ranking + (
        f"of {agreement.real} differences that are real there {agreement.real_same_order} have "
        f"the same sign here and {agreement.real_found} are found real"
    )


def confirmation_sentences(confirmation: Confirmation) -> list[str]:
    """What was confirmed, most important first."""
    done = f"{confirmation.done} of {confirmation.planned} trainings"
    if not confirmation.rows:
        return [f"confirmation: {done} have ended"]
    winner, *others = confirmation.rows
    sentences = [_of_winner(winner, confirmation.games), *(_of_other(row) for row in others)]
    if confirmation.done < confirmation.planned:
        sentences.append(f"{done} of the confirmation have ended")
    if confirmation.looks > 1:
        sentences.append(
            f"winners were chosen {confirmation.looks} times on the same test games: each time "
            "makes the test less independent"
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
        f"{confirmed}; in the search it had {winner.search_loss:.4f}: {winner.optimism:+.4f}, of "
        f"which {fresh:+.4f} for fresh seeds on the same games and "
        f"{winner.test_loss - winner.validation_loss:+.4f} for other games"
    )


def _of_other(row: ConfirmedRow) -> str:
    name = f"the baseline {row.name}" if row.kind == "baseline" else row.name
    bounds = f"{row.to_winner_low:+.4f} to {row.to_winner_high:+.4f}"
    if row.to_winner_low > 0:
        return f"{name} is worse than it by {row.to_winner:.4f} ({bounds})"
    if row.to_winner_high < 0:
        return f"{name} is better than it by {-row.to_winner:.4f} ({bounds})"
    return f"{name} cannot be told from it: {row.to_winner:+.4f} ({bounds})"


def _behind(row: Row) -> str:
    low, high = row.difference_low, row.difference_high
    assert low is not None and high is not None, "of a difference that is known"
    middle, low, high = (_rounded(loss) for loss in ((low + high) / 2, low, high))
    behind = f"{middle:.4f} ({low:+.4f} to {high:+.4f})"
    if row.tied_with_leader:
        return f"{row.name} cannot be told from it: behind by {behind}"
    return f"{row.name} is really worse, by {behind}"


def _rounded(loss: float) -> float:
    """To the places that are shown, without a negative zero."""
    return round(loss, 4) + 0.0


def _real(worse: int, others: int) -> str:
    """Which of the differences to the leader are real."""
    if not worse:
        return "no difference to it is real"
    if worse == others:
        return "every difference to it is real"
    return f"{worse} of {others} differences to it are real"


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"
