"""The phase `confirm`: winners and a baseline are trained with fresh seeds.

Such a trial only saves checkpoints before its end. Its last report is the only one that uses the
test games.
"""

from __future__ import annotations

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.ledger.events import Chosen
from hexsearch.ledger.history import StudyHistory, TrialHistory
from hexsearch.search.reruns import Batch, LeaderSummary, PlannedRun
from hexsearch.search.space import with_values

BASELINE = "512->1"


def confirmation_batch(config: StudyConfig, history: StudyHistory, summary: LeaderSummary) -> Batch:
    """The next runs of the confirmation, and the choice of winners.

    A study that was extended after its confirmation may have other winners. Variants that are
    confirmed already are not trained again.

    Args:
        summary: summary of the search and its reruns at their end.
    """
    winners = summary.places[: min(summary.tied, config.confirm.winners)]
    if not winners:
        return Batch()
    planned = {
        (trial.variant, trial.replicate)
        for trial in history.trials.values()
        if trial.phase == "confirm"
    }
    chosen = [PlannedRun.again(_searched(history, p.variant), 0, "winner") for p in winners]
    baseline = _baseline(_searched(history, winners[0].variant))
    if baseline is not None and baseline.variant not in {place.variant for place in winners}:
        chosen.append(baseline)
    runs = tuple(
        PlannedRun(run.origin, seed, run.variant, run.head, run.values, run.config)
        for seed in range(config.confirm.seeds)
        for run in chosen
        if (run.variant, seed) not in planned
    )
    places = list(winners)
    known = bool(history.chosen) and history.chosen[-1].places == places
    return Batch(runs, None if known or not runs else Chosen(places=places))


def _searched(history: StudyHistory, variant: str) -> TrialHistory:
    """The first trial of a variant in the search."""
    return next(
        trial
        for trial in history.trials.values()
        if trial.variant == variant and trial.phase == "search"
    )


def _baseline(winner: TrialHistory) -> PlannedRun | None:
    """The winner's settings with the simplest head, so that only the heads differ.

    None where the winner is a whole network of the user's own, whose head cannot be exchanged.
    """
    trial = build(TrialConfig, winner.config, "trial")
    if trial.network is not None:
        return None
    spelling = BASELINE.replace("512", str(trial.value_head.inputs))
    values = {
        name: value
        for name, value in winner.values.items()
        if name.partition(".")[0] != "value_head"
    }
    changed = with_values(trial, {"value_head": spelling})
    return PlannedRun.of(changed, {"value_head": spelling, **values}, 0, "baseline")
