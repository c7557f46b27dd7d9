"""Checks of how training evaluates: planes, results and answers, each worked out again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.positions import all_positions
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.planes import plane_scores
from hexsearch.doctor.hypotheses.table import clear_winner, where
from hexsearch.doctor.hypotheses.truth import Truth, inside_ring, same, truth_of
from hexsearch.doctor.networks import TrainedNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.training.metrics import Evaluation
from hexsearch.training.trial import Trial

_GAMES = 8
_NORMED = 1024  # training positions that batch-norm statistics are compared on
_OFF = 1.0  # standard deviations, or the logarithm of their ratio
_REMEDY = "let evaluation, training and predict share one encoder, one read-out and one network"


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
        evaluation, _ = trial.evaluate(all_positions(dataset.archive, games))
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
    found = list(_planes(torch.cat(planes), truth, shown.perspective == "mover", shown.edge_ring))
    yield from found or _answers(pipeline, evaluation, truth)


def norm_findings(trial: Trial) -> Iterator[Finding]:
    """Batch-norm statistics as a report leaves them, against those of training positions."""
    gaps: dict[str, float] = {}

    def look(name: str, norm: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        if norm.running_mean is None or norm.running_var is None:
            return
        seen = inputs[0].detach().float().transpose(0, 1).flatten(1)
        mean, deviation = seen.mean(dim=1), seen.std(dim=1).clamp(min=1e-5)
        kept = norm.running_var.clamp(min=1e-10).sqrt()
        off = (norm.running_mean - mean).abs() / deviation + (kept / deviation).log().abs()
        gaps[name] = float(off.median())

    network = trial.answering.eval()
    handles = [
        module.register_forward_pre_hook(lambda norm, inputs, name=name: look(name, norm, inputs))
        for name, module in network.named_modules()
        if isinstance(module, _BatchNorm)
    ]
    try:
        with torch.no_grad():
            network(trial.execution.show(trial.next_batch(_NORMED).planes))
    finally:
        for handle in handles:
            handle.remove()
    if gaps and max(gaps.values()) > _OFF:
        worst = max(gaps, key=lambda name: gaps[name])
        yield Finding(
            "evaluation",
            "error",
            f"in evaluation the batch-norm statistics of {worst} are {gaps[worst]:.1f} standard "
            f"deviations off those of {_NORMED} training positions",
            "batch-norm statistics are never taken, or belong to other weights: evaluation "
            "normalises by something else than training does",
            "take the statistics over training positions before each evaluation",
            root="norms",
        )


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


def _planes(planes: Tensor, truth: Truth, mover_view: bool, ring: bool) -> Iterator[Finding]:
    """In training and in evaluation a position must be shown alike."""
    if len(planes) != len(truth.game):
        return
    stones = inside_ring(planes.float().cpu().contiguous().numpy(), truth.size)[:, :2]
    fits = np.any([same(stones, truth.stone_planes(s)) for s in range(4)], axis=0)
    if not fits.all():
        swapped = mover_view & truth.red_to_move & ~truth.finished
        scores = plane_scores(stones, truth, len(stones), ~fits, swapped, ring)
        best = clear_winner(scores)
        yield Finding(
            "evaluation",
            "error",
            f"{(~fits).sum():,} of {len(fits):,} positions are shown to the network as another "
            "board when it is evaluated",
            f"in evaluation, and not in training, {best.hypothesis.cause}"
            if best
            else "planes are built in another way in evaluation than the games say",
            _REMEDY,
            root="boards",
        )


def _answers(pipeline: ExaminedPipeline, evaluation: Evaluation, truth: Truth) -> Iterator[Finding]:
    """What evaluation reports must be what predict would say of the same positions."""
    trial, archive = pipeline.watched, pipeline.archive
    assert trial is not None and archive is not None
    going = np.flatnonzero(~truth.finished)
    chosen = going[:: max(len(going) // 400, 1)]
    records = {int(game): archive.game(int(game)).moves for game in np.unique(truth.game[chosen])}
    moves = [
        records[int(game)][: int(ply)]
        for game, ply in zip(truth.game[chosen], truth.ply[chosen], strict=True)
    ]
    positions = positions_of_moves(moves, truth.size)
    predictor = Predictor(trial.answering, trial.readout, trial.encoder, trial.device)
    network = TrainedNetwork(predictor)
    _, raw = network.respond(network.planes(positions))
    ours = network.reported(raw, positions).double().numpy()
    again = network.reported(network.respond(network.planes(positions))[1], positions)
    if np.abs(again.double().numpy() - ours).max() > 1e-3:
        return  # answers that change from call to call are named by the check of independence
    alone = positions_of_moves(moves[:1], truth.size)
    single = network.reported(network.respond(network.planes(alone))[1], alone)
    if abs(float(single[0]) - ours[0]) > 1e-3:
        return  # so are those that depend on the rest of the batch
    theirs = evaluation.win_prob_red[chosen]
    wrong = np.abs(ours - theirs) > 1e-3
    if not wrong.any():
        return
    subsets = affected(truth.rows(chosen), np.zeros(len(chosen), dtype=np.int64))
    inverted = float((np.abs(1 - ours - theirs)[wrong] < 1e-3).mean())
    yield Finding(
        "evaluation",
        "error",
        f"evaluation reports {np.abs(ours - theirs).max():.3f} more or less than predict on "
        f"{wrong.mean():.0%} of {len(wrong):,} positions, {where(wrong, subsets)}",
        "the chance of Blue is reported as that of Red in evaluation"
        if inverted > 0.95
        else "evaluation reports something else than the read-out's answer of this network: "
        "another formula, other weights, another mode, or the label itself",
        _REMEDY,
        root="perspective",
    )
