"""Checks of a trained network's answers on games: decode, colours, modes, memory, movers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from hexsearch.analysis.known_positions import as_positions, known_positions, outcomes
from hexsearch.data.baselines import baseline_predictions
from hexsearch.data.positions import all_positions
from hexsearch.doctor.decode import decode_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import answer, observe, take
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.training.metrics import Evaluation, SliceMetrics, slice_metrics

_ENOUGH = 20_000  # positions seen, below which a network is still a beginner
_KNOWN = ("straight_chain", "winding_chain", "win_in_one")


def check_decode(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The signature of a wrong decode or of exchanged colours on held-out games."""
    assert pipeline.observed is not None
    yield from decode_findings("decode", pipeline.observed)


def check_spread(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether the network says anything at all."""
    assert pipeline.observed is not None and pipeline.examined is not None
    reported = pipeline.observed.evaluation.win_prob_red
    trained = pipeline.examined.positions_seen
    if reported.std() < 0.005:
        young = trained is not None and trained < _ENOUGH
        yield Finding(
            "constant output",
            "warning" if young else "error",
            f"answers on {len(reported):,} positions spread by only {reported.std():.4f} round "
            f"{reported.mean():.3f}",
            "these are weights that never learnt: initial ones, an average that is never "
            "updated, or a dead value head",
            "check which weights are saved; run doctor on the configuration",
        )


def check_known(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Boards that are won beyond doubt."""
    examined = pipeline.examined
    assert examined is not None
    known = [k for k in known_positions(examined.size) if k.family in _KNOWN]
    _, _, reported = answer(examined, as_positions(known, examined.size))
    won = outcomes(known)
    right = float(np.where(reported == 0.5, 0.5, (reported > 0.5) == (won == 1)).mean())
    trained = examined.positions_seen
    young = trained is not None and trained < _ENOUGH
    evidence = f"of {len(known)} boards that are won or won in one, {right:.1%} are called right"
    if right < 0.2:
        yield Finding(
            "known positions",
            "error",
            f"{evidence}: it is wrong on purpose, as it were",
            "the colours are exchanged: Red's chance is shown as Blue's",
            "report 1 - p; see perspective and labels",
        )
    elif right < 0.7:
        yield Finding(
            "known positions",
            "warning" if young else "error",
            evidence,
            "a network that has learnt nothing (initial weights, or an average that is never "
            "updated), a wrong decode, or another encoder than in training",
            "run doctor on the configuration; compare with the parity of a training batch",
        )


def check_companions(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A position must get the same answer alone as in company."""
    examined, observed = pipeline.examined, pipeline.observed
    assert examined is not None and observed is not None
    rng = np.random.default_rng(SEED)
    chosen = rng.choice(len(observed.positions), min(64, len(observed.positions)), replace=False)
    planes = examined.planes(take(observed.positions, chosen))
    _, together = examined.respond(planes)
    alone = torch.cat([examined.respond(planes[i : i + 2])[1][:1] for i in range(len(planes) - 1)])
    _, again = examined.respond(planes)
    spread = max(float(together.std()), 1e-6)
    gap = float((together[:-1] - alone).abs().max()) / spread
    if float((together - again).abs().max()) / spread > 0.02:
        yield Finding(
            "modes",
            "error",
            "the same planes get different answers twice in a row "
            f"(by {float((together - again).abs().max()):.3g})",
            "dropout or running statistics are active: the model is in train mode at inference",
            "call eval() before answering",
        )
    elif gap > 0.05:
        yield Finding(
            "modes",
            "error",
            f"an answer changes by up to {gap:.2f} standard deviations with the other positions "
            "of its batch",
            "batch norm is left in train mode at inference: it normalises by the batch",
            "call eval() before answering",
        )


def check_mover_reading(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """On finished boards: is the winner read from the stones, or from a plane beside them?"""
    examined, observed = pipeline.examined, pipeline.observed
    assert examined is not None and observed is not None
    final = np.flatnonzero(observed.positions.finished)
    if len(final) < 20:
        return
    positions = take(observed.positions, final)
    won = observed.evaluation.red_won[final] == 1
    planes = examined.planes(positions)
    everywhere = examined.planes(observed.positions)
    constant = (everywhere.flatten(2).std(dim=2) < 1e-6).all(dim=0)
    if not bool(constant.any()):
        return
    as_is = _accuracy(examined.reported(examined.respond(planes)[1], positions), won)
    bare = planes.clone()
    # What every position shows, a painted ring say, is no stone.
    bare[:, ~constant] = everywhere.amin(dim=0)[~constant]
    without = _accuracy(examined.reported(examined.respond(bare)[1], positions), won)
    flipped = planes.clone()
    flipped[:, constant] = 1.0 - flipped[:, constant]
    other = _accuracy(examined.reported(examined.respond(flipped)[1], positions), won)
    majority = max(won.mean(), 1 - won.mean())
    if as_is > 0.8 and (without > max(0.85, majority + 0.15) or other < 0.3):
        yield Finding(
            "reads the mover",
            "error",
            f"finished boards: {as_is:.1%} right as they are, {without:.1%} with every stone "
            f"removed, {other:.1%} with the side-to-move plane flipped",
            "the network reads the winner off the side-to-move plane, not off the board: on a "
            "finished board the mover is by construction the loser",
            "show finished boards without a mover (plane at 0.5), and train again",
        )


def check_policy_cells(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Which reading of the policy's cells agrees best with the moves that were played."""
    examined, observed = pipeline.examined, pipeline.observed
    assert examined is not None and observed is not None
    rows = np.flatnonzero(observed.played >= 0)
    logits, played = observed.policy[rows], observed.played[rows]
    size = examined.size
    if logits.shape[1] != size * size or pipeline.loaded is not None:
        return
    cells = np.arange(size * size)
    exchanged = (cells % size) * size + cells // size
    last = size * size - 1
    readings = {
        "row by row": cells,
        "column by column": exchanged,
        "turned by 180 degrees": last - cells,
        "mirrored in the short diagonal": last - exchanged,
    }
    likelihood = {
        name: float(_log_softmax(logits)[np.arange(len(rows)), reading[played]].mean())
        for name, reading in readings.items()
    }
    best = max(likelihood, key=lambda name: likelihood[name])
    uniform = -math.log(size * size)
    gain = likelihood[best] - likelihood["row by row"]
    if best != "row by row" and likelihood[best] > uniform + 0.02 and gain > 0.05:
        yield Finding(
            "policy cells",
            "error",
            f"moves that were played have a mean log probability of {likelihood[best]:.2f} if the "
            f"policy is read {best}, {likelihood['row by row']:.2f} if read row by row",
            f"the policy's cells are numbered {best}"
            + (" (column-major)" if best.startswith("column") else ""),
            "use row * N + column for planes and policy alike",
        )


def check_memory(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Training games against validation games, by game."""
    dataset, examined, observed = pipeline.dataset, pipeline.examined, pipeline.observed
    if dataset is None or examined is None or observed is None or pipeline.loaded is None:
        return
    seen = observe(examined, dataset.archive, dataset.train_games, dataset.config.stages, SEED)
    ours, theirs = (_whole(part.evaluation) for part in (seen, observed))
    gap = theirs.value_loss - ours.value_loss
    error = math.hypot(ours.value_loss_se, theirs.value_loss_se)
    if gap > max(0.03, 3 * error):
        yield Finding(
            "memory",
            "warning",
            f"value loss {ours.value_loss:.4f} on training games, {theirs.value_loss:.4f} on "
            f"validation games (difference {gap:.4f} +- {1.96 * error:.4f} by game)",
            "the network recognises training games by their openings and recalls who won",
            "more games, fewer positions of each game, more weight decay, or augmentation",
        )


def check_calibration(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whether 70% means 70%."""
    assert pipeline.observed is not None
    overall = _whole(pipeline.observed.evaluation)
    if overall.calibration_error > 0.08 and overall.auc > 0.55:
        yield Finding(
            "calibration",
            "warning",
            f"calibration error {overall.calibration_error:.3f}, bias {overall.bias:+.3f} on "
            f"{overall.games} games",
            "confidence and frequency disagree: overfitting, smoothed labels, an improper loss, "
            "or a decode on another scale",
            "see decode; otherwise rescale the raw output by one temperature",
        )


def check_early(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Openings that are no better than a table are no fault."""
    dataset, observed = pipeline.dataset, pipeline.observed
    if dataset is None or observed is None or pipeline.archive is None:
        return
    stages = observed.evaluation.metrics().stages
    early = stages.get("early")
    if early is None:
        return
    games = np.unique(observed.evaluation.game)
    positions = all_positions(dataset.archive, games)
    table = baseline_predictions(dataset.archive, dataset.train_games, positions)
    baseline = slice_metrics(
        table["shortest-path table"][observed.evaluation.stage == 0],
        observed.evaluation.red_won[observed.evaluation.stage == 0],
        observed.evaluation.game[observed.evaluation.stage == 0],
    )
    error = math.hypot(early.value_loss_se, baseline.value_loss_se)
    if early.value_loss > baseline.value_loss - error and early.value_loss < 0.27:
        yield Finding(
            "early stage",
            "info",
            f"early positions: value loss {early.value_loss:.4f}, the shortest-path table's "
            f"{baseline.value_loss:.4f}, a coin's 0.25",
            "label noise, not a fault: in the opening the game's result says little about who "
            "stands better, and no network can predict what later mistakes decide",
            "judge heads by the middle and late stages",
        )


def _whole(evaluation: Evaluation) -> SliceMetrics:
    return evaluation.metrics().overall


def _accuracy(reported: torch.Tensor, won: NDArray[np.bool_]) -> float:
    return float(((reported > 0.5).cpu().numpy() == won).mean())


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return scaled
