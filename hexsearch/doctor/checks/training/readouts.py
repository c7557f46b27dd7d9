"""Checks of read-outs and value heads, and of reported answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.config.section import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import NetworkConfig
from hexsearch.data.batch import Batch
from hexsearch.data.encoder import PositionEncoder
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.formulas.foreign_readout import stays_within
from hexsearch.doctor.hypotheses.formulas.readout_causes import (
    explain,
    explain_cut_off,
    explain_mixed,
    explain_rounded,
    explain_written,
    not_smoothed,
    optimum,
)
from hexsearch.doctor.hypotheses.formulas.readout_forms import ends_of_answers
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.reported import explain_reported
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.samples import ComparedSamples
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import ContractError
from hexsearch.model.readout import (
    Readout,
    SmoothedReadout,
    check_readout,
    not_finite,
    probability_at_optimum,
)
from hexsearch.model.value_heads import build_value_head, check_value_head
from hexsearch.model.whole_network import check_whole

_SHARE, _OFF = 0.3, 0.04  # share of ones, and accepted difference of its optimum
_SMOOTH = 0.3  # largest label smoothing that is not reported
_SIDE = 13  # side of the board if no games are given
_NEARLY_ALL = 0.95  # share of rows that a neighbour's flag gives
_ROWS = 64  # answers that are also computed one by one
_OWN = "the model's own"
_CUT = 0.02  # distance from 0 and 1 that no answer may be kept from
_NOT_FINITE = (
    "the loss is not finite at ordinary raw outputs: a logarithm of 0, 0 times a logarithm of 0, a "
    "division by 0 or a root of a negative number, so one such answer makes all weights nan",
    "use a loss of logits (binary_cross_entropy_with_logits, kl_div of log_softmax), or xlogy in "
    "place of x * log(x); keep what a logarithm or a root gets above 0",
)
_MAP_SIDE = 2  # side of the feature map that heads are tried on


def check_contract(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The probability reported at the minimum of each loss must be the target."""
    for name, readout in pipeline.readouts.items():
        inner = readout.inner if isinstance(readout, SmoothedReadout) else readout
        problems = check_readout(inner)
        for each in (explain_written(inner), explain_rounded(inner), explain_mixed(inner)):
            if each is not None:
                evidence, cause, remedy = each
                # A win_prob that writes into raw does harm only where raw is used again.
                mild = cause.startswith("win_prob() writes")
                kind = Finding.warning if mild else Finding.error
                yield kind("read-out", f"{name}: {evidence}", cause, remedy)
        cut = explain_cut_off(inner) if is_import_path(name.split(" ")[0]) or _OWN in name else None
        if problems:
            evidence = f"{name}: {'; '.join(problems)}"
            cause, remedy = _NOT_FINITE if not_finite(inner) in problems else explain(inner)
            if cut is not None:
                evidence, (cause, remedy) = f"{evidence}; {cut[0]}", cut[1:]
            yield Finding.error("read-out", evidence, cause, remedy, root="read-out")
        elif cut is not None and not stays_within(inner, pipeline.observed):
            least, most = ends_of_answers(inner)
            yield Finding(
                "read-out",
                "error" if least > _CUT or most < 1.0 - _CUT else "warning",
                f"{name}: {cut[0]}; answers go from {least:.3g} to {most:.3g}",
                *cut[1:],
                root="read-out",
            )
        elif inner.control:
            zero, one = optimum(inner, 0.0), optimum(inner, 1.0)
            yield Finding(
                "read-out",
                "info",
                f"{name} is a negative control: it reports a perfect network as "
                f"{zero.probability:.2f} and {one.probability:.2f}",
                "loss and probability do not belong together, which is intended: the space has "
                "this read-out as a control",
                "remove it from the space if you do not want a control; it is never ranked",
            )
        elif not inner.proper and is_import_path(name.split(" ")[0]):
            yield from _improper(name, inner)


def _improper(name: str, readout: Readout) -> Iterator[Finding]:
    """Report a plug-in that says itself that it is not proper, and by how much it is not."""
    reached = probability_at_optimum(readout, _SHARE)
    if abs(reached - _SHARE) < _OFF:
        return
    how = "too near to one half (too cautious)" if reached > _SHARE else "too near to 0 and 1"
    yield Finding.warning(
        "read-out",
        f"{name}: where {_SHARE:.0%} of the targets are 1 the loss is least at a win_prob of "
        f"{reached:.3f}",
        f"the loss is least at another probability than the true one, so win_prob is {how} even in "
        "a perfect network (a focal loss, a margin, an absolute error): the read-out is not proper",
        "use a loss whose minimum is the true probability, or undo its bias in win_prob; "
        "calibration and Brier score are worse by it",
        root="read-out",
    )


def check_heads(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Every head and network of the configurations must keep its contract."""
    for config in {config.head_name: config for config in pipeline.configs}.values():
        if config.network is not None:
            yield from _network(pipeline, config, config.network)
            continue
        try:
            head = build_value_head(config.value_head, _MAP_SIDE)
        except ContractError as error:
            problems = [str(error)]
        else:
            problems = check_value_head(
                head, config.value_head.inputs, _MAP_SIDE, config.value_head.name
            )
        for problem in problems:
            detached = "gradient" in problem
            yield Finding.error(
                "value heads",
                f"{problem}: the gradient of the value loss on the trunk is exactly 0"
                if detached
                else problem,
                "the value head is detached: its loss does not train the trunk"
                if detached
                else "the plug-in does not keep the contract of a value head",
                "remove detach() or no_grad() from its forward()"
                if detached
                else "return one raw value for each position: a head maps [B, C, H, W] to [B]",
            )


def _network(
    pipeline: ExaminedPipeline, config: TrialConfig, network: NetworkConfig
) -> Iterator[Finding]:
    """Check the contract of a user's whole network."""
    size = pipeline.data.board_size if pipeline.data is not None else _SIDE
    encoder = PositionEncoder.of(config.encoder, size)
    for problem in check_whole(network, encoder.planes, encoder.side, size):
        yield Finding.error(
            "value heads",
            problem,
            "the network does not keep the contract of a whole network",
            "correct the network; docs/own-networks.md says what its contract asks",
            root="raises",
        )


def check_smoothing(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Label smoothing must be moderate, and be applied once."""
    for name, readout in pipeline.readouts.items():
        if not isinstance(readout, SmoothedReadout) or check_readout(readout.inner):
            continue
        smoothing = readout.smoothing
        if smoothing > _SMOOTH:
            yield Finding.warning(
                "label smoothing",
                f"{name}: the label of a win is {1 - smoothing / 2:.3g}, that of a loss "
                f"{smoothing / 2:.3g}",
                f"labels are smoothed by {smoothing:g}, far towards 0.5: answers stay between "
                f"{smoothing / 2:.2g} and {1 - smoothing / 2:.2g}, and their differences are small",
                "set readout.label_smoothing to 0.1 or less",
            )
        wanted, reached = 1.0 - smoothing / 2, optimum(readout, 1.0).probability
        lost = optimum(readout, 0.0).probability
        if reached < wanted - 0.2 * smoothing and lost < 0.25 * smoothing:
            yield Finding.error(
                "label smoothing",
                f"{name}: the loss of a win is least at answer {reached:.3f}, and that of a loss "
                f"at {lost:.3f}; smoothed labels are {wanted:.3f} and {1 - wanted:.3f}",
                "label smoothing moves targets towards 0 and not towards 0.5 (the target is "
                "multiplied by 1 - s, and s / 2 is not added): answers are too low",
                "let the target be t (1 - s) + s / 2",
            )
        elif reached < wanted - 0.2 * smoothing:
            yield Finding.error(
                "label smoothing",
                f"{name}: the loss of a win is least at answer {reached:.3f}; with labels smoothed "
                f"once it is least at {wanted:.3f}",
                "label smoothing is applied twice",
                "smooth labels either in your own read-out or by readout.label_smoothing, not in "
                "both",
            )
        elif reached > wanted + 0.25 * smoothing:
            yield Finding.error(
                "label smoothing",
                f"{name}: the loss of a certain win is least at {reached:.3f}; smoothed by "
                f"{smoothing:g} it would be {wanted:.3f}",
                not_smoothed(readout),
                "let the target be t (1 - s) + s / 2, between 0 and 1",
            )


def check_reported(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Evaluation must report Red's win probability, row by row."""
    trial = needed(pipeline.watched)
    compared = pipeline.compared
    if compared.turned_apart:
        return  # check `training labels` reports it
    batch, red_won = compared.samples.batch, compared.truth.red_won
    # A perfect network gives the raw value of least loss for the outcome of each sample.
    zero, one = optimum(trial.readout, 0.0), optimum(trial.readout, 1.0)
    if zero.probability > 0.2 or one.probability < 0.8:
        return  # check `read-out` reports this
    # Outcomes of the games; check `training labels` compares the labels of the batch with them.
    perspective = compared.samples.perspective
    outcome = torch.from_numpy(compared.truth.outcome(compared.symmetry, perspective))
    raw = torch.where(outcome, one.raw, zero.raw)
    reported = trial.evaluator.reported(raw, batch)
    few = range(min(_ROWS, len(batch)))
    alone = [trial.evaluator.reported(raw[n : n + 1], batch.rows(slice(n, n + 1))) for n in few]
    apart = (torch.cat(alone) - reported[: len(few)]).abs() > 1e-3
    if apart.any():
        yield Finding.error(
            "perspective",
            f"{float(apart.float().mean()):.0%} of {len(few)} answers are reported differently if "
            "positions are evaluated one by one",
            "evaluation inverts the answers of other rows: each is turned into Red's by the flag "
            "(complement) of a neighbouring position"
            if _by_a_neighbour(trial, raw, batch, reported)
            else "evaluation reports answers of other rows of the batch, or answers depend on "
            "other rows: the order of rows is not kept",
            "compute the reported answer of row n from the raw value of row n only",
            root="perspective",
        )
        return
    called = (reported > 0.5).numpy()
    right = float((called == red_won).mean())
    if right < 0.02:
        yield Finding.error(
            "perspective",
            f"for a perfect network only {right:.1%} of the reported answers on training samples "
            "are right",
            "the chance of Blue is reported as that of Red",
            "report win_prob_red: 1 - p where the network answers for Blue, p elsewhere",
            root="perspective",
        )
    elif right < 0.98:
        yield _partly_reported(compared, reported.numpy(), raw.double().numpy())


def _by_a_neighbour(trial: WatchedTrial, raw: Tensor, batch: Batch, reported: Tensor) -> bool:
    """Whether answers are those of their rows, inverted where a neighbouring one should be."""
    p = trial.readout.win_prob(raw)
    inverted = [batch.complement.roll(step) for step in (-1, 1)]
    gaps = [(torch.where(each, 1 - p, p) - reported).abs() for each in inverted]
    return any(float((gap < 1e-3).float().mean()) > _NEARLY_ALL for gap in gaps)


def _partly_reported(
    compared: ComparedSamples, reported: NDArray[np.float32], raw: NDArray[np.float64]
) -> Finding:
    """The finding for answers that are inverted in the wrong samples."""
    called, red_won = reported > 0.5, compared.truth.red_won
    reflected = compared.symmetry >= 2
    share = float((called == red_won)[reflected].mean()) if reflected.any() else 1.0
    wrong = called != red_won
    place, same = compared.place(wrong), reported[wrong]
    perfect, subsets = red_won.astype(np.float64), affected(compared.truth, compared.symmetry)
    formula = explain_reported(perfect, reported.astype(np.float64), raw, perfect, subsets)
    if formula is not None and formula.name == "decoding":
        return Finding.error(
            "perspective",
            f"for a perfect network {1 - wrong.mean():.1%} of the reported answers on training "
            f"samples are right; they go from {reported.min():.3g} to {reported.max():.3g}",
            formula.cause,
            formula.remedy,
            root="perspective",
        )
    return Finding.error(
        "perspective",
        f"for a perfect network {1 - wrong.mean():.1%} of the reported answers on training samples "
        f"are right, and {share:.1%} of those with colours exchanged; they are wrong {place}",
        f"{same[0]:.3g} is reported {place}, whatever the network answers"
        if np.ptp(same) < 1e-6 and 0.02 < same[0] < 0.98
        else "answers are not inverted (carried back to Red) where the network answers for Blue, "
        f"or are reported for the other colour {place}",
        "report win_prob_red: 1 - p wherever the network answers for Blue, and only there",
        root="perspective",
    )
