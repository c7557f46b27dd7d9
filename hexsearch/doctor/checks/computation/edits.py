"""The check that tries edits of a user's network, each of which undoes one mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from torch import nn

from hexsearch.analysis.value_analyzer import clustered_error
from hexsearch.doctor.checks.computation.loaded_weights import lost_part
from hexsearch.doctor.checks.network.policies import policy_findings
from hexsearch.doctor.findings import Finding, Severity
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.code.apart import apart, can_run_apart
from hexsearch.doctor.hypotheses.code.search import Search, read
from hexsearch.doctor.hypotheses.edits.trying import Floats, Losses, Rows, scaled_errors
from hexsearch.doctor.hypotheses.general.norm_statistics import copied
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.strength import is_read_otherwise

_NEEDED = 256  # positions of the second halves of games that are needed
_TRIED, _CONFIRMED = 256, 1024  # positions of a trial and of what confirms it
_GAIN, _SURE = 0.008, 3.5  # what an edit must gain, also in standard errors
_MUCH, _SURE_OF_MUCH = 0.2, 2.5  # a large share of the loss, and standard errors that it needs
# The same as a share, where the loss falls to so many times that of a table of shortest paths, and
# where it does not.
_SHARE, _LARGE_SHARE, _AS_GOOD = 0.08, 0.35, 1.6
_GOOD = 1.4  # such times from which on an edit is told as one that helps alone
_ERROR = 0.03  # gain from which on it is an error
_USEFUL = 0.23  # value loss that an edit must reach
_NATS, _SURER = 0.08, 6.0  # what the policy must gain, also in standard errors
_SPOILT = 0.03  # nats that the policy may lose
_WORSE, _SERIOUS = 0.005, 0.8  # what the value may lose, or an error of it; gain of an error
# Nats by which moves must be likelier than by uniform cells, and where answers are good.
_KNOWN, _WELL_KNOWN = 0.4, 1.0
_PARTLY = (
    "the network computes something else than in training, or its weights are not those of it; no "
    "edit makes the answers good, but one makes them better, so begin there: {}"
)
Told = tuple[Severity, str, bool]  # with the evidence, and whether answers are good then


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
    is_read = is_read_otherwise(observed, needed(pipeline.table))
    if is_read and not any(policy_findings("policy cells", observed, foreign.size)):
        return  # check `reading of the value` says how, and the policy needs nothing else
    # A network that cannot be copied is edited itself, and left as it was.
    copy = copied(foreign.model)
    network = foreign.model if copy is None else copy  # a module may have a length
    chosen = np.random.default_rng(SEED).permutation(late)[: _TRIED + _CONFIRMED]
    tried = min(_TRIED, len(chosen) // 3)
    confirming = np.sort(chosen[tried:])
    search = Search(pipeline, network, chosen[:tried], confirming, can_run_apart(network))
    run = apart if search.with_code else _here
    found = run(search.best)
    if found is None:  # edited code has ended its process, so only the network is edited
        search, run = replace(search, with_code=False), _here
        found = search.best()
    game, own = evaluation.game[confirming], None
    for edit in found:
        own = own or read(run(search.confirmed))
        other = read(run(partial(search.confirmed, edit["number"])))
        if own is None or other is None:
            continue
        # What undoes the fault makes a network good; another edit may make a bad one a little
        # better.
        table = scaled_errors(
            needed(pipeline.table)[confirming],
            evaluation.ply[confirming],
            evaluation.final[confirming],
            evaluation.red_won[confirming],
        )
        told = _of_value(own.value, other.value, game, float(table.mean()))
        if told is not None and _spoils_policy(own, other, game):
            told = None  # what undoes a fault spoils nothing
        told = told or _of_policy(own, other, game, foreign.size)
        if told is not None:
            severity, evidence, is_good = told
            evidence = f"in the second halves of games, {evidence} with {edit['words']}"
            cause, remedy = edit["cause"], edit["remedy"]
            root = "wrapping" if edit["family"] == "wrapping" else "computation"
            if not is_good:
                severity, cause = "warning", _PARTLY.format(cause)
            # An edit may make up for a part of what is lost.
            edited = ForeignNetwork(network, foreign.encoded, foreign.size)
            if (lost := lost_part(edited)) is not None:
                evidence, cause, remedy = f"{lost[0]}; {evidence}", *lost[1:]
                root = "weights"
            yield Finding("computation", severity, evidence, cause, remedy, root=root)
            return


def _here(job: Callable[[], Any]) -> Any:
    """What a job returns in this process."""
    return job()


def _of_value(own: Floats, other: Floats, game: Rows, table: float) -> Told | None:
    """What is told if an edit clearly makes values better."""
    gains = own - other
    noise = clustered_error(gains - gains.mean(), game)
    share = _SHARE if other.mean() <= _AS_GOOD * table else _LARGE_SHARE
    # Results of few games are noisy, but no edit of a sound network gains much.
    sure = _SURE_OF_MUCH if gains.mean() > _MUCH * own.mean() else _SURE
    if gains.mean() < max(_GAIN, sure * noise, share * own.mean()) or other.mean() > _USEFUL:
        return None
    return (
        "error" if gains.mean() > max(_ERROR, _SURE * noise) else "warning",
        f"the value loss after the best scale of the log odds is {own.mean():.3f}, and "
        f"{other.mean():.3f} (lower by {gains.mean():.3f} +-{2 * noise:.3f})",
        bool(other.mean() <= _GOOD * table or gains.mean() >= _LARGE_SHARE * own.mean()),
    )


def _spoils_policy(own: Losses, other: Losses, game: Rows) -> bool:
    """Whether an edit makes the moves played clearly less likely."""
    moved = np.isfinite(own.policy) & np.isfinite(other.policy)
    lost = (other.policy - own.policy)[moved]
    if len(lost) < _NEEDED:
        return False
    noise = clustered_error(lost - lost.mean(), game[moved])
    return bool(lost.mean() > max(_SPOILT, _SURE * noise))


def _of_policy(own: Losses, other: Losses, game: Rows, size: int) -> Told | None:
    """What is told if an edit makes the moves played far likelier, and values no worse."""
    moved = np.isfinite(own.policy) & np.isfinite(other.policy)
    gains, lost = (own.policy - other.policy)[moved], other.value - own.value
    if len(gains) < _NEEDED:
        return None
    if lost.mean() > max(_WORSE, clustered_error(lost - lost.mean(), game)):
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
