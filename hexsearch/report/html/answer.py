"""The answer of a study in two sentences, and its cost."""

from __future__ import annotations

from collections import Counter

from hexsearch.leaderboard.rows import Row
from hexsearch.ledger.kinds import stored_number
from hexsearch.progress import duration
from hexsearch.report.html.study import Study


def answer_sentences(study: Study) -> list[str]:
    """Sentences on the best variant, and on how certain it is."""
    ranked = [row for row in study.board.rows if row.rank is not None]
    if not ranked:
        trials = len(study.trials)
        if not trials:
            return ["No trial has begun yet.", "There is no answer yet."]
        if study.history.all_failed:
            failures = f"All {trials:,} trials failed." if trials > 1 else "The only trial failed."
            return [failures, "There is no answer; the reasons are below."]
        return ["No trial has been evaluated yet.", "There is no answer yet."]
    leader = study.board.leader or ranked[0]
    return [_best(study, leader), _certainty(study, leader, ranked)]


def cost_sentence(study: Study) -> str:
    """Trials, positions, and time."""
    history = study.history
    counts: Counter[str] = Counter(trial.status for trial in history.trials.values())
    if study.board.state != "running":  # nothing runs any more
        counts["interrupted"] = counts.pop("running", 0)
    order = (
        "completed",
        "pruned",
        "stopped",
        "failed",
        "paused",
        "running",
        "interrupted",
        "waiting",
    )
    statuses = ", ".join(f"{counts[status]:,} {status}" for status in order if counts[status])
    total = len(history.trials)
    sentence = (
        f"The study cost {total:,} trial{'' if total == 1 else 's'} ({statuses or 'none'}), "
        f"{history.positions:,} training positions, {duration(history.seconds)} of running and "
        f"{duration(history.trial_seconds)} of work"
    )
    gpus = stored_number(study.config, "run", "gpus_per_trial", 0.0)
    if gpus:
        sentence += f" ({history.trial_seconds * gpus / 3600:.1f} GPU hours)"
    return sentence + "."


def _best(study: Study, leader: Row) -> str:
    far = "predicts" if study.board.state == "finished" else "so far predicts"
    interval = ""
    if leader.value_loss_low is not None and leader.value_loss_high is not None:
        interval = f" (95% interval {leader.value_loss_low:.4f} to {leader.value_loss_high:.4f})"
    accuracy = (
        "" if leader.accuracy is None else f", and it calls {leader.accuracy:.1%} of winners right"
    )
    return (
        f"{leader.name} {far} the winner best: after {leader.positions_seen:,} positions its value "
        f"loss{_judged(study, leader)} is {leader.value_loss:.4f}{interval}{accuracy}."
    )


def _judged(study: Study, leader: Row) -> str:
    """Words for the number of validation games."""
    report = study.trials[leader.trial_ids[0]].last_report
    games = None if report is None else report.metrics.overall.games
    return f" on {games:,} validation games" if games else ""


def _certainty(study: Study, leader: Row, ranked: list[Row]) -> str:
    tied = sum(bool(row.tied_with_leader) for row in ranked)
    if leader.probability_best is not None:
        chance = f"It is truly the best with probability {leader.probability_best:.0%}"
        sentence = (
            f"{chance}; {tied - 1} of the others are tied with it"
            if tied > 1
            else f"{chance}; all others with as many positions seen are worse"
        )
    elif len(ranked) > 1:
        sentence = "No other with as many positions seen was compared, so its lead is not tested"
    else:
        sentence = "It is the only one that was evaluated, so there is nothing to compare it with"
    return f"{sentence}{_confirmed(study)}."


def _confirmed(study: Study) -> str:
    """The result of the confirmation for the first winner, if there is one."""
    confirmation = study.board.confirmation
    if confirmation is None or not confirmation.rows:
        return ""
    winner = confirmation.rows[0]
    seeds = "1 fresh seed" if winner.seeds == 1 else f"{winner.seeds} fresh seeds"
    return (
        f"; trained again with {seeds}, {winner.name} has value loss {winner.test_loss:.4f} "
        f"({winner.test_low:.4f} to {winner.test_high:.4f}) on {confirmation.games:,} test games"
    )
