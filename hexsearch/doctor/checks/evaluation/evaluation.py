"""Checks of how training evaluates: planes, results and answers, each worked out again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.positions import all_positions
from hexsearch.doctor.checks.evaluation.shown import REMEDY, shown_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.reported import explain_reported
from hexsearch.doctor.hypotheses.table import where
from hexsearch.doctor.hypotheses.truth import (
    Truth,
    truth_of,
)
from hexsearch.doctor.networks import TrainedNetwork, take
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.training.metrics import Evaluation, SliceMetrics

_GAMES = 6
_COMPARED, _AGAIN = 1000, 64  # positions that answers are compared on, and asked for again


def check_evaluation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """A few validation games through the trial's own evaluation, and past it."""
    trial, dataset = pipeline.watched, pipeline.brief_dataset
    assert trial is not None and dataset is not None
    games = dataset.validation_games[:_GAMES]
    planes: list[Tensor] = []
    training: list[bool] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        planes.append(inputs[0].detach().clone())
        training.append(module.training)

    handle = trial.answering.trunk.register_forward_hook(look)
    try:
        evaluation, policy_loss = trial.evaluate(all_positions(dataset.archive, games))
    finally:
        handle.remove()
    truth = truth_of(dataset.archive, evaluation.game, evaluation.ply)
    if not planes:
        yield Finding(
            "evaluation",
            "error",
            f"evaluation answers for {len(evaluation.ply):,} positions without asking the network "
            "that is trained",
            "evaluation asks another network than the one that is trained, such as a copy that is "
            "never updated",
            "evaluate the network that the optimiser moves, or its average",
        )
        return
    if any(training):
        yield Finding(
            "evaluation",
            "error",
            "the network is in train mode while it is evaluated",
            "evaluation runs in train mode: dropout is on and batch norm goes by the batch",
            "call eval() on the network before evaluating",
            root="modes",
        )
        return
    wanted = int((dataset.archive.lengths[games] + 1).sum())
    if len(evaluation.win_prob_red) != wanted:
        yield Finding(
            "evaluation",
            "error",
            f"{len(evaluation.win_prob_red):,} answers for {wanted:,} positions",
            "evaluation leaves positions out or counts some twice",
            "evaluate every position of the validation games once",
        )
        return
    yield from _results(evaluation, truth)
    shown = trial.config.encoder
    found = list(
        shown_findings(torch.cat(planes), truth, shown.perspective == "mover", shown.edge_ring)
    )
    found = found or list(_answers(pipeline, evaluation, truth, policy_loss))
    yield from found
    if not found:
        yield from _metrics(evaluation)
        yield from _afterwards(trial)


def _results(evaluation: Evaluation, truth: Truth) -> Iterator[Finding]:
    wrong = (evaluation.red_won > 0.5) != truth.red_won
    if wrong.any():
        yield Finding(
            "evaluation",
            "error",
            f"evaluation judges {wrong.mean():.0%} of the positions by another winner than the "
            f"game's, {where(wrong, affected(truth, np.zeros(len(wrong), dtype=np.int64)))}",
            "the results that answers are compared with are not those of the games",
            "take red_won from the archive for the very games that are evaluated",
            root="results",
        )


def _answers(
    pipeline: ExaminedPipeline, evaluation: Evaluation, truth: Truth, policy_loss: float
) -> Iterator[Finding]:
    """What evaluation reports must be what predict would say of the same positions."""
    trial, archive = pipeline.watched, pipeline.archive
    assert trial is not None and archive is not None
    chosen = np.flatnonzero(~truth.finished)[:_COMPARED]
    records = {int(game): archive.game(int(game)).moves for game in np.unique(truth.game[chosen])}
    moves = [
        records[int(game)][: int(ply)]
        for game, ply in zip(truth.game[chosen], truth.ply[chosen], strict=True)
    ]
    positions = positions_of_moves(moves, truth.size)
    predictor = Predictor(trial.answering, trial.readout, trial.encoder, trial.device)
    network = TrainedNetwork(predictor)
    logits, raw = network.respond(network.planes(positions))
    ours = network.reported(raw, positions).double().numpy()
    first = take(positions, np.arange(min(len(positions), _AGAIN)))
    again = network.reported(network.respond(network.planes(first))[1], first)
    if np.abs(again.double().numpy() - ours[: len(first)]).max() > 1e-3:
        return  # answers that change from call to call are named by the check of independence
    alone = positions_of_moves(moves[:1], truth.size)
    single = network.reported(network.respond(network.planes(alone))[1], alone)
    if abs(float(single[0]) - ours[0]) > 1e-3:
        return  # so are those that depend on the rest of the batch
    theirs = evaluation.win_prob_red[chosen]
    here = truth.rows(chosen)
    if (np.abs(ours - theirs) > 1e-3).any():
        yield _other_answers(ours, theirs, raw.double().numpy(), here)
        return
    yield from _finished_answers(network, evaluation, truth)
    if trial.config.policy_head.weight > 0 and here.has_move.all() and len(chosen) < _COMPARED:
        yield from _policy(network.on_board(logits, positions), here, policy_loss)


def _finished_answers(
    network: TrainedNetwork, evaluation: Evaluation, truth: Truth
) -> Iterator[Finding]:
    """Finished boards have no mover: they may be asked from either side."""
    over = np.flatnonzero(truth.finished)
    if not len(over):
        return
    games = [truth.archive.game(int(game)).moves for game in truth.game[over]]
    positions = positions_of_moves(games, truth.size)
    theirs = evaluation.win_prob_red[over]
    planes = network.planes(positions)
    sides = [network.reported(network.respond(planes)[1], positions).double().numpy()]
    if planes.shape[1] == 2:  # and from Red's side, whoever moved last
        mirrored = planes.transpose(2, 3)[:, [1, 0]].contiguous()
        raw = network.respond(mirrored)[1]
        sides.append(1.0 - network.reported(raw, positions).double().numpy())
    gap = np.min([np.abs(theirs - ours) for ours in sides], axis=0)
    if (gap > 1e-3).any():
        cause = (
            f"finished boards are all answered by {theirs[0]:.3g} in evaluation"
            if np.ptp(theirs) < 1e-6
            else "finished boards are answered by something else than the network in evaluation: "
            "by the label, a rule, or another formula"
        )
        yield Finding(
            "evaluation",
            "error",
            f"on {int((gap > 1e-3).sum())} of {len(over)} finished boards evaluation reports up to "
            f"{gap.max():.3f} more or less than predict, on the others nothing",
            cause,
            REMEDY,
            root="perspective",
        )


def _other_answers(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], raw: NDArray[np.float64], here: Truth
) -> Finding:
    wrong = np.abs(ours - theirs) > 1e-3
    subsets = affected(here, np.zeros(len(wrong), dtype=np.int64))
    best = explain_reported(ours, theirs, raw, here.red_won.astype(float), subsets)
    return Finding(
        "evaluation",
        "error",
        f"evaluation reports {np.abs(ours - theirs).max():.3f} more or less than predict on "
        f"{wrong.mean():.0%} of {len(wrong):,} positions, {where(wrong, subsets)}",
        best.cause
        if best
        else "evaluation reports something else than the read-out's answer of this network: "
        "another formula, other weights, another mode, or the label itself",
        best.remedy if best else REMEDY,
        root="perspective",
    )


def _policy(logits: Tensor, here: Truth, reported: float) -> Iterator[Finding]:
    """The mean policy loss of an evaluation, from the same moves."""
    chances = logits.float().log_softmax(dim=1).numpy()
    right = -float(chances[np.arange(len(chances)), here.next_cell].mean())
    if abs(right - reported) > 0.01 * max(right, 1.0):
        yield Finding(
            "evaluation",
            "error",
            f"evaluation reports a policy loss of {reported:.4f}; of the same {len(chances):,} "
            f"moves by the same network it is {right:.4f}",
            "the policy is evaluated by another formula, other targets (cells under another "
            "symmetry), or positions without a next move count",
            "evaluate the mean of -log p(next move) over positions that have one",
            root="policy cells",
        )


def _afterwards(trial: WatchedTrial) -> Iterator[Finding]:
    """Training must go on in train mode once the network has been evaluated."""
    trial.watch(1)
    resting = trial.steps[-1].resting
    if resting and not trial.steps[0].resting:
        yield Finding(
            "evaluation",
            "error",
            f"in the first step after an evaluation modules such as {', '.join(resting[:3])} are "
            "in eval mode; in the first step of all none is",
            "training runs in eval mode after the first report: dropout is off and batch norm "
            "uses its running statistics",
            "call train() on the network before each stretch of training",
            root="modes",
        )


def _metrics(evaluation: Evaluation) -> Iterator[Finding]:
    """Brier score, accuracy and AUC, from the answers."""
    p, won = evaluation.win_prob_red, evaluation.red_won == 1
    overall: SliceMetrics = evaluation.metrics().overall
    pairs = p[won][:, None] - p[~won][None]
    for name, found, right in (
        ("value loss (Brier score)", overall.value_loss, np.square(p - won).mean()),
        ("accuracy", overall.accuracy, np.where(p == 0.5, 0.5, (p > 0.5) == won).mean()),
        ("AUC", overall.auc, ((pairs > 0) + 0.5 * (pairs == 0)).mean() if pairs.size else np.nan),
    ):
        if abs(found - right) > 1e-3:
            yield Finding(
                "evaluation",
                "error",
                f"on {len(p):,} answers the {name} is reported as {found:.4f}; from the same "
                f"answers it is {right:.4f}",
                f"the {name} is computed by another formula: trials are ranked by something else",
                "compute metrics from win_prob_red and red_won, position by position",
                root="metrics",
            )
            return
