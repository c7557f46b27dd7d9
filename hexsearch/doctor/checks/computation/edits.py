"""The check that tries edits of a user's network, each of which undoes one mistake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, zip_longest

import numpy as np
from torch import nn

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.checks.computation.loaded_weights import lost_part
from hexsearch.doctor.findings import Finding, Severity
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.code.boards import BOARDS, board_edits
from hexsearch.doctor.hypotheses.code.code_edits import CODE, EXCHANGED, code_edits
from hexsearch.doctor.hypotheses.edits import all_edits
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.edits.trying import Floats, Losses, Rows, Trial, scaled_errors
from hexsearch.doctor.hypotheses.general.norm_statistics import copied
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed

_NEEDED = 256  # positions of the second halves of games that are needed
_TRIED, _CONFIRMED = 256, 1024  # positions of a trial and of what confirms it
_GAIN, _SURE = 0.008, 3.5  # what an edit must gain, also in standard errors
# The same as a share, where the loss falls to so many times that of a table of shortest paths, and
# where it does not.
_SHARE, _LARGE_SHARE, _AS_GOOD = 0.08, 0.35, 1.6
_GOOD = 1.4  # such times from which on an edit is told as one that helps alone
_ERROR = 0.03  # gain from which on it is an error
_USEFUL = 0.23  # value loss that an edit must reach
_IN_NATS = 4.0  # about what a value loss is worth in nats of the policy
# Share of the gain that an edit may miss and be told before the best one, or beside it.
_ALSO, _ALIKE = 0.1, 0.2
_NATS, _SURER = 0.08, 6.0  # what the policy must gain, also in standard errors
_WORSE, _SERIOUS = 0.005, 0.8  # what the value may lose by it, and a gain that is an error
# Nats by which moves must be likelier than by uniform cells, and where answers are good.
_KNOWN, _WELL_KNOWN = 0.4, 1.0
_PARTLY = (
    "the network computes something else than in training, or its weights are not those of it; no "
    "edit makes the answers good, but one makes them better, so begin there: {}"
)
Told = tuple[Severity, str, bool]  # with the evidence, and whether answers are good then
# Rounds of so many positions, from which so many edits with the best values, and as many with the
# best policies, are kept; and the seconds of CPU that a round may take.
_ENCODED = 4  # positions that show what code runs
_ROUNDS, _SECONDS = ((16, 64), (64, 16)), 30.0


def check_edits(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Try what could have gone wrong when the network was brought over, loaded or written.

    Answers are compared after the best scale and offset of their log odds for each side to move:
    an edit that only makes answers less sure, or inverts them, gains nothing. An edit may also show
    in the policy, which knows more of a position than one result.
    """
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    evaluation = observed.evaluation
    late = np.flatnonzero(evaluation.to_end <= evaluation.ply)
    if not isinstance(foreign.model, nn.Module) or len(late) < _NEEDED:
        return
    # A network that cannot be copied is edited itself, and left as it was.
    network = copied(foreign.model) or foreign.model
    chosen = np.random.default_rng(SEED).permutation(late)[: _TRIED + _CONFIRMED]
    tried = min(_TRIED, len(chosen) // 3)
    trial = partial(Trial, pipeline, network)
    few = take(observed.positions, chosen[:_ENCODED])
    # In turn, as there may not be time for all.
    listed = chain(board_edits(foreign), all_edits(network, foreign.planes(few)))
    pairs = zip_longest(listed, code_edits(foreign, few))
    edits = (edit for pair in pairs for edit in pair if edit is not None)
    confirming = np.sort(chosen[tried:])
    game, confirm, own = evaluation.game[confirming], trial(confirming), None
    for edit, tale in _best(edits, trial, chosen[:tried]):
        own, other = own or confirm.losses(), confirm.losses(edit)
        if own is None or other is None:
            continue
        # What undoes the fault makes a network good; another edit may make a bad one a little
        # better.
        table = scaled_errors(
            needed(pipeline.table)[confirming],
            evaluation.ply[confirming],
            evaluation.red_won[confirming],
        )
        told = _of_value(own.value, other.value, game, float(table.mean()))
        told = told or _of_policy(own, other, game, foreign.size)
        if told is not None:
            severity, evidence, is_good = told
            evidence = f"in the second halves of games, {evidence} with {edit.words}{tale}"
            cause, remedy, root = edit.cause, edit.remedy, "computation"
            if not is_good:
                severity, cause = "warning", _PARTLY.format(cause)
            # An edit may make up for a part of what is lost.
            copy = ForeignNetwork(network, foreign.encoded, foreign.size)
            if (lost := lost_part(copy)) is not None:
                evidence, cause, remedy = f"{lost[0]}; {evidence}", *lost[1:]
                root = "weights"
            yield Finding("computation", severity, evidence, cause, remedy, root=root)
            return


def _of_value(own: Floats, other: Floats, game: Rows, table: float) -> Told | None:
    """What is told if an edit clearly makes values better."""
    gains = own - other
    noise = clustered_error(gains - gains.mean(), game)
    share = _SHARE if other.mean() <= _AS_GOOD * table else _LARGE_SHARE
    if gains.mean() < max(_GAIN, _SURE * noise, share * own.mean()) or other.mean() > _USEFUL:
        return None
    return (
        "error" if gains.mean() > _ERROR else "warning",
        f"the value loss after the best scale of the log odds is {own.mean():.3f}, and "
        f"{other.mean():.3f} (lower by {gains.mean():.3f} +-{2 * noise:.3f})",
        bool(other.mean() <= _GOOD * table or gains.mean() >= _LARGE_SHARE * own.mean()),
    )


def _of_policy(own: Losses, other: Losses, game: Rows, size: int) -> Told | None:
    """What is told if an edit makes the moves played far likelier, and values no worse."""
    moved = np.isfinite(own.policy) & np.isfinite(other.policy)
    gains = (own.policy - other.policy)[moved]
    if len(gains) < _NEEDED or (own.value - other.value).mean() < -_WORSE:
        return None
    noise = clustered_error(gains - gains.mean(), game[moved])
    last = float(other.policy[moved].mean())
    if gains.mean() < max(_NATS, _SURER * noise) or last > np.log(size * size) - _KNOWN:
        return None
    return (
        "error" if gains.mean() > _SERIOUS else "warning",
        f"the moves played have a log loss of {own.policy[moved].mean():.2f} at the best "
        f"temperature, and {last:.2f} (lower by {gains.mean():.2f} +-{2 * noise:.2f})",
        bool(last <= np.log(size * size) - _WELL_KNOWN),
    )


def _best(
    edits: Iterable[Edit], trial: Callable[[Rows], Trial], rows: Rows
) -> Iterator[tuple[Edit, str]]:
    """The edits with the least loss of both heads, of the value and of the policy, and how found.

    Only those that gain something on the positions that they are tried on.
    """
    count, kept = 0, edits
    for positions, most in _ROUNDS:
        known = _tried(kept, trial(rows[:positions]))
        count = count or len(known)
        kept = _most_promising(known, most)
    trying = trial(np.sort(rows))
    unchanged = trying.losses()
    losses = _tried(kept, trying)
    if unchanged is None or not losses:
        return
    edits = [edit for edit, _ in losses]
    for worth in (_of_both, _of_value_alone, _of_policy_alone):
        least = min(worth(each) for _, each in losses)
        if least < worth(unchanged):
            scores = [(worth(each) - least) / (worth(unchanged) - least) for _, each in losses]
            yield _first(edits, scores, count)


def _of_value_alone(losses: Losses) -> float:
    return float(losses.value.mean())


def _of_policy_alone(losses: Losses) -> float:
    return losses.of_policy if np.isfinite(losses.of_policy) else 0.0


def _of_both(losses: Losses) -> float:
    return _IN_NATS * _of_value_alone(losses) + _of_policy_alone(losses)


def _tried(edits: Iterable[Edit], trial: Trial) -> list[tuple[Edit, Losses]]:
    """The losses with each edit that changes an answer, as long as there is time."""
    began = time.thread_time()
    known = []
    for edit in edits:
        losses = trial.losses(edit)
        if losses is not None:
            known.append((edit, losses))
        if time.thread_time() - began > _SECONDS:
            break
    return known


def _most_promising(known: list[tuple[Edit, Losses]], most: int) -> list[Edit]:
    """So many edits with the least loss of the value, and as many of the policy, in their order."""
    by_value = sorted(known, key=lambda each: float(each[1].value.mean()))[:most]
    by_policy = sorted(known, key=lambda each: each[1].of_policy)[:most]
    kept = {id(edit) for edit, _ in by_value + by_policy}
    return [edit for edit, _ in known if id(edit) in kept]


def _first(edits: list[Edit], missed: list[float], count: int) -> tuple[Edit, str]:
    """The edit that is told, of those that gain about as much as the best, and how it was found.

    The first edit of the network says more than one of its code; of those, which are many, it is
    the best one in a single place, or else the best one, which may be one of the boards.

    Args:
        missed: share of the gain of the best edit that another one misses.
        count: number of edits that were tried.
    """
    order = sorted(range(len(edits)), key=lambda n: missed[n])
    near = [n for n in order if missed[n] <= _ALSO]
    listed = [n for n in near if edits[n].family not in (CODE, EXCHANGED, BOARDS)]
    single = [n for n in near if edits[n].family == CODE]
    place = min(listed) if listed else (single or near)[0]
    families = edits[place].family, CODE
    others = [n for n in order if n != place and missed[n] <= _ALIKE]
    also = [edits[n].words for n in others if edits[n].family in families]
    told = f" (and nearly as well with {also[0]})" if also else ""
    return edits[place], f"{told}, the best of {count:,} edits"
