"""Looks at a whole training on few games: what happens between its epochs, and at its end."""

from __future__ import annotations

from collections.abc import Iterator

from hexsearch.doctor.checks.own_training.stepping.steps import still_in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.whole import WholeTraining
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_FEW_STEPS = 10
_NOTHING, _HALF = 1e-3, 0.6  # share of the highest rate, and of the steps up to which one is above
_RAMP = 9.0  # the usual share of the new weights in an average is this by 10 steps more than taken
_LARGE = 0.3  # share of the new weights in an average of more steps than these
_WHOLE = 0.9995  # in a copy


def check_whole(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """What a training does between its epochs and at its end must not undo it."""
    own = needed(pipeline.own_training)
    seen = own.whole
    if seen is None or len(seen.rates) == 0:
        return
    before = seen.before
    trained = before is not None and len(before.resting) < before.in_use
    if trained and own.recording.afterwards is None:  # else the first steps have shown it
        yield from still_in_eval_mode("whole training", seen.afterwards)
    yield from _reloaded(seen)
    yield from _rates(seen)
    yield from _averaged(seen)
    if seen.untrained:
        early = 0 in seen.evaluated  # the first weights may have been the best ones
        severity = Finding.warning if early else Finding.error
        yield severity(
            "whole training",
            f"after {len(seen.rates)} steps on {seen.games} games the training function returns a "
            f"{seen.untrained} whose weights are exactly those of the beginning",
            "the network that is returned was never trained: it is a copy from before the first "
            "step, or best weights that no later ones ever replace",
            "return the network that the optimiser trains, or copy its weights when they are best",
            root="returned",
        )


def _reloaded(seen: WholeTraining) -> Iterator[Finding]:
    if seen.reloaded:
        steps = max(each.steps for each in seen.reloaded)
        yield Finding.error(
            "whole training",
            f"weights that state_dict() gave are loaded {steps:,} steps later, and are those of "
            "the network itself: they have changed with it",
            "the weights that are kept are references and no copies: state_dict() gives the "
            "tensors that training goes on to change, so the latest weights are loaded in place "
            "of those that were kept (the best ones)",
            "keep a copy: copy.deepcopy(network.state_dict())",
            root="references",
        )


def _rates(seen: WholeTraining) -> Iterator[Finding]:
    count, highest = len(seen.rates), max(seen.rates)
    above = [n for n, rate in enumerate(seen.rates) if rate > _NOTHING * highest]
    if not seen.complete or count < _FEW_STEPS or not above or above[-1] + 1 > _HALF * count:
        return
    yield Finding.error(
        "whole training",
        f"in a whole training on {seen.games} games the learning rate is at most {highest:.2g}, "
        f"and next to nothing (at most {max(seen.rates[above[-1] + 1 :]):.1g}) after "
        f"{above[-1] + 1} of its {count} steps",
        "the schedule of the learning rate ends long before training does: it is stepped more "
        "often than it was made for (for each batch in place of each epoch), or multiplies by a "
        "number near 0, and hardly anything is learnt afterwards",
        "give the schedule as many steps as it is stepped in all epochs",
        root="rate",
    )


def _averaged(seen: WholeTraining) -> Iterator[Finding]:
    usual = _RAMP / (seen.averaged_after + 10.0)
    shares = [each for each in seen.averages if max(_LARGE, usual) < each < _WHOLE]
    if shares:
        yield Finding.warning(
            "whole training",
            f"after step {seen.averaged_after} an average of the weights takes {max(shares):.2g} "
            "of the new ones",
            "the moving average of the weights (EMA) averages hardly anything: its decay is too "
            "low, or falls in the course of training",
            "keep 0.99 or more of the average at each step, once training has begun",
            root="steps average",
        )
