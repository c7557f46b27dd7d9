"""Continues a trial and its restored copy side by side; they must take the same step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hexsearch.data.batch import Batch
from hexsearch.doctor.checks.data.cursors import other_columns, place_of, same_positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.watching import WatchedTrial, resting_modules
from hexsearch.errors import TrialError
from hexsearch.training.trial import Trial

_POSITIONS = 16  # positions of the step
_SAME = 1e-4  # largest relative difference of equal rates and weights


def continued_findings(trial: WatchedTrial, again: Trial) -> Iterator[Finding]:
    """Take one step with each of two trials in equal states, and compare rates and weights.

    Args:
        trial: the trial that was saved.
        again: a new trial into which its state was loaded.
    """
    size = min(_POSITIONS, trial.config.batch_size)
    trial.recording = False
    resting: list[tuple[str, ...]] = []
    hooks = [
        each.network.register_forward_pre_hook(lambda n, _: resting.append(resting_modules(n)))
        for each in (trial, again)
    ]
    cursor, batches = trial.positions_seen, list[Batch]()
    try:
        for each in (trial, again):
            with _noting(each, batches):
                each.train_to(each.positions_seen + size)
    except TrialError:
        return  # check `steps` reports a training that diverges
    finally:
        for hook in hooks:
            hook.remove()
    if len(resting) > 1 and resting[-1] and not resting[0]:
        yield _finding(
            f"in the first step after a state is loaded modules such as {resting[-1][0]} are in "
            "eval mode; without the interruption none is",
            "a resumed training goes on in eval mode (the network is taken for frozen, or train() "
            "is not called after a state is loaded): dropout is off, and batch norms keep their "
            "statistics",
        )
        return
    rates, others = (_rates(each) for each in (trial, again))
    wrong = [(a, b) for a, b in zip(rates, others, strict=True) if abs(a - b) > _SAME * abs(a)]
    if wrong:
        rate, other = wrong[0]
        yield _finding(
            f"in the first step after a state is loaded the learning rate is {other:.3g}; without "
            f"the interruption it is {rate:.3g}",
            "a resumed training has other learning rates: its schedule begins anew, or does not "
            "know how many positions have been seen",
        )
        return
    moved = [
        float((a - b).detach().norm() / a.detach().norm().clamp(min=1e-12))
        for a, b in zip(trial.network.parameters(), again.network.parameters(), strict=True)
    ]
    if max(moved, default=0.0) > _SAME:
        what = _other_batch(trial, batches, cursor) or (
            "positions are the same, so gradients, random numbers or the optimiser are not"
        )
        yield _finding(
            "after one more step the weights of a restored trial differ from those of the trial "
            f"that was saved by up to {max(moved):.2g}, though both began with the same weights, "
            "moments and rates",
            f"a resumed training takes other steps than one that was not interrupted: {what}",
        )


@contextmanager
def _noting(trial: Trial, batches: list[Batch]) -> Iterator[None]:
    """In this context the batches of a trial's steps are noted."""
    sound = trial.train_on

    def train_on(batch: Batch) -> None:
        batches.append(batch)
        sound(batch)

    trial.train_on = train_on  # type: ignore[method-assign]
    try:
        yield
    finally:
        del trial.train_on


def _other_batch(trial: WatchedTrial, batches: list[Batch], cursor: int) -> str:
    """In words, how the batches of two steps differ; empty if they do not."""
    if len(batches) != 2:
        return "" if not batches else "it takes another number of batches"
    own, other = batches
    if not same_positions(own, other):
        return place_of(trial, other, cursor) or "it sees other positions"
    names = other_columns(own, other)
    return f"{', '.join(names)} of the same positions are other ones" if names else ""


def _rates(trial: Trial) -> list[float]:
    return [float(group["lr"]) for group in trial.optimiser.param_groups]


def _finding(evidence: str, cause: str) -> Finding:
    return Finding.error(
        "saved state",
        evidence,
        cause,
        "restore everything that the next step depends on: positions seen, the optimiser with its "
        "schedule, random numbers, averages",
        root="continued",
    )
