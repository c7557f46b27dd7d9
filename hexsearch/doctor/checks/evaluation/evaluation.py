"""Checks of evaluation during training: planes, results, answers and metrics are recomputed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from hexsearch.analysis.boards import Positions, positions_of_moves
from hexsearch.data.stages import STAGE_NAMES
from hexsearch.doctor.checks.evaluation.chosen import chosen_findings, evaluated, with_few_games
from hexsearch.doctor.checks.evaluation.metrics import metric_findings
from hexsearch.doctor.checks.evaluation.planes import plane_findings
from hexsearch.doctor.checks.evaluation.policy import policy_findings
from hexsearch.doctor.checks.evaluation.spread import spread_out
from hexsearch.doctor.checks.evaluation.views import view_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.relations import determined
from hexsearch.doctor.hypotheses.labels import affected
from hexsearch.doctor.hypotheses.reported import ONE_NETWORK, explain_reported, smoothed_in_games
from hexsearch.doctor.hypotheses.table import Hypothesis, where
from hexsearch.doctor.hypotheses.truth import Truth, truth_of
from hexsearch.doctor.networks import TrainedNetwork, take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import TrialError
from hexsearch.training.metrics import Evaluation

_UNKNOWN = Hypothesis(
    "unknown",
    "evaluation reports something else than the answers of this network: it uses another formula, "
    "other weights, another mode, or the label itself",
    ONE_NETWORK,
)
_GAMES, _LARGE = 6, 9  # validation games that are evaluated; a third of them from this size on
_EXACT = 1e-6  # distance of a result from 0 and 1
_SPREAD = 64  # positions for which raw values are spread out
_COMPARED = 1000  # positions whose answers are compared
_LOWER = 0.1  # share of a difference that the rounding of bfloat16 leaves
_AGAIN = 16  # positions that are asked for a second time


def check_evaluation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the evaluation of a few validation games with the games and with inference."""
    trial = needed(pipeline.watched)
    planes = torch.from_numpy(needed(pipeline.samples).planes[:_SPREAD])
    with spread_out(trial, planes):
        findings = list(_compared(pipeline, trial))
    yield from findings
    if not findings:
        yield from _afterwards(trial)


def _compared(pipeline: ExaminedPipeline, trial: WatchedTrial) -> Iterator[Finding]:
    dataset = needed(pipeline.brief_dataset)
    size = dataset.config.board_size
    small = with_few_games(dataset, _GAMES if size < _LARGE else _GAMES // 3)
    planes: list[Tensor] = []
    training: list[bool] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        planes.append(inputs[0].detach().clone())
        training.append(any(each.training for each in module.modules() if _has_modes(each)))

    handle = trial.answering.trunk.register_forward_pre_hook(look)
    try:
        evaluation, policy_loss = evaluated(trial, small)
    finally:
        handle.remove()
    chosen = list(chosen_findings(trial, evaluation, small))
    yield from chosen
    if chosen:
        return
    truth = truth_of(dataset.archive, evaluation.game, evaluation.ply)
    if not planes:
        yield Finding.error(
            "evaluation",
            f"evaluation answers for {len(evaluation.ply):,} positions without calling the network "
            "that is trained",
            "evaluation calls another network than the one that is trained, such as a copy that is "
            "never updated",
            "evaluate the network that the optimiser updates, or the average of its weights",
        )
        return
    if any(training):
        yield Finding.error(
            "evaluation",
            f"the network is in train mode in {sum(training)} of {len(training)} calls by "
            "evaluation",
            "evaluation runs in train mode: dropout is active, and batch norm uses the batch",
            "call eval() on the network before evaluating",
            root="modes",
        )
        return
    results = list(_results(evaluation, truth))
    yield from results
    findings = list(plane_findings(torch.cat(planes), truth, trial.config.encoder))
    findings = findings or list(_answers(pipeline, evaluation, truth, policy_loss))
    yield from findings
    if not findings and not results:
        yield from metric_findings(evaluation)


def _has_modes(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm | _DropoutNd)


def _results(evaluation: Evaluation, truth: Truth) -> Iterator[Finding]:
    wrong = (evaluation.red_won > 0.5) != truth.red_won
    soft = np.abs(evaluation.red_won - (evaluation.red_won > 0.5)) > _EXACT
    if soft.any() and not wrong.any():
        stages = ", ".join(STAGE_NAMES[n] for n in np.unique(evaluation.stage[soft]))
        yield Finding.error(
            "evaluation",
            f"for {soft.mean():.0%} of the positions (stages {stages}) the results that answers "
            f"are judged by are no results: {np.unique(evaluation.red_won.round(3))[:6].tolist()}",
            "evaluation judges answers by the targets of training (smoothed, or mixed with search "
            "values) and not by the results of the games, so all its figures are wrong",
            "take red_won from the archive, for the games that are evaluated",
            root="results",
        )
    if wrong.any():
        yield Finding.error(
            "evaluation",
            f"evaluation uses another winner than the game's for {wrong.mean():.0%} of the "
            f"positions, {where(wrong, affected(truth))}",
            "the results that answers are judged by are not those of the games",
            "take red_won from the archive, for the games that are evaluated",
            root="results",
        )


def _answers(
    pipeline: ExaminedPipeline, evaluation: Evaluation, truth: Truth, policy_loss: float
) -> Iterator[Finding]:
    """Compare the answers of evaluation with those of inference for the same positions."""
    trial, archive = needed(pipeline.watched), needed(pipeline.archive)
    chosen = np.flatnonzero(~truth.finished)[:_COMPARED]
    records = {int(game): archive.game(int(game)).moves for game in np.unique(truth.game[chosen])}
    moves = [
        records[int(game)][: int(ply)]
        for game, ply in zip(truth.game[chosen], truth.ply[chosen], strict=True)
    ]
    positions = positions_of_moves(moves, truth.size)
    going = ~positions.finished  # a game may go on after a connection
    if not going.all():
        chosen, positions = chosen[going], take(positions, np.flatnonzero(going))
        moves = [each for each, kept in zip(moves, going, strict=True) if kept]
    network = TrainedNetwork.of_trial(trial)
    logits, raw = network.respond(network.planes(positions))
    ours = network.reported(raw, positions).double().numpy()
    first = take(positions, np.arange(min(len(positions), _AGAIN)))
    again = network.reported(network.respond(network.planes(first))[1], first)
    if np.abs(again.double().numpy() - ours[: len(first)]).max() > 1e-3:
        return  # check `independence` reports answers that change from call to call
    alone = positions_of_moves(moves[:1], truth.size)
    single = network.reported(network.respond(network.planes(alone))[1], alone)
    if abs(float(single[0]) - ours[0]) > 1e-3:
        return  # and answers that depend on the rest of the batch
    theirs = evaluation.win_prob_red[chosen]
    here = truth.rows(chosen)
    if (np.abs(ours - theirs) > 1e-3).any():
        absolute = trial.encoder.perspective == "absolute"
        viewed = list(view_findings(network, positions, ours, theirs, absolute))
        rounded = [] if viewed else list(_in_bfloat16(network, positions, ours, theirs))
        answers = raw.double().numpy()
        yield from viewed or rounded or [_other_answers(ours, theirs, answers, here)]
        return
    yield from _finished_answers(network, evaluation, truth, trial.config.encoder.history)
    if trial.config.policy_head.weight > 0 and here.has_move.all() and len(chosen) < _COMPARED:
        yield from policy_findings(network.on_board(logits, positions), here, policy_loss, chosen)


def _in_bfloat16(
    network: TrainedNetwork,
    positions: Positions,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
) -> Iterator[Finding]:
    """Report an evaluation whose answers are those of the network in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        raw = network.respond(network.planes(positions))[1]
    lower = network.reported(raw.float(), positions).double().numpy()
    gap = float(np.abs(theirs - ours).mean())
    if float(np.abs(theirs - lower).mean()) < _LOWER * gap:
        yield Finding.error(
            "evaluation",
            f"the answers of evaluation differ from those of inference by {gap:.4f} on average, "
            f"and by {np.abs(theirs - lower).mean():.4f} from those of the same network under "
            "autocast in bfloat16",
            "evaluation runs under autocast in bfloat16 (a lower precision), and inference in "
            "float32: reported answers are rounded",
            "leave the autocast of training before evaluating, or set trial.precision for both",
            root="perspective",
        )


def _finished_answers(
    network: TrainedNetwork, evaluation: Evaluation, truth: Truth, history: bool
) -> Iterator[Finding]:
    """The same for finished boards, which may be encoded from either side: nobody is to move."""
    over = np.flatnonzero(truth.finished)
    if not len(over):
        return
    games = [truth.archive.game(int(game)).moves for game in truth.game[over]]
    positions = positions_of_moves(games, truth.size)
    theirs = evaluation.win_prob_red[over]
    planes = network.planes(positions)
    sides = [network.reported(network.respond(planes)[1], positions).double().numpy()]
    if planes.shape[1] == 2 + history:  # the mover's perspective: also from Red's side
        other_side = [1, 0, 2][: 2 + history]
        empty = network.planes(positions_of_moves([[]], truth.size))
        if not torch.equal(empty.transpose(2, 3)[:, other_side], empty):
            return  # check `boards` reports a ring of edges that is wrong
        mirrored = planes.transpose(2, 3)[:, other_side].contiguous()
        raw = network.respond(mirrored)[1]
        sides.append(1.0 - network.reported(raw, positions).double().numpy())
    gap = np.min([np.abs(theirs - ours) for ours in sides], axis=0)
    if (gap > 1e-3).any():
        cause = (
            f"evaluation answers {theirs[0]:.3g} for every finished board"
            if np.ptp(theirs) < 1e-6
            else "the answers of evaluation for finished boards are not the network's: they come "
            "from the label, from a rule, or from another formula"
        )
        yield Finding.error(
            "evaluation",
            f"the answers of evaluation differ from those of inference by up to {gap.max():.3f} on "
            f"{int((gap > 1e-3).sum())} of {len(over)} finished boards, and on no other position",
            cause,
            ONE_NETWORK,
            root="perspective",
        )


def _other_answers(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], raw: NDArray[np.float64], here: Truth
) -> Finding:
    """The finding for answers of evaluation, `theirs`, that are not those of inference, `ours`."""
    wrong = np.abs(ours - theirs) > 1e-3
    subsets = affected(here)
    best = explain_reported(ours, theirs, raw, here.red_won.astype(float), subsets)
    best = best or smoothed_in_games(ours, theirs, here) or _of_a_column(ours, theirs, here)
    best = best or _UNKNOWN
    return Finding.error(
        "evaluation",
        f"the answers of evaluation differ from those of inference by up to "
        f"{np.abs(ours - theirs).max():.3f} on {wrong.mean():.0%} of {len(wrong):,} positions, "
        f"{where(wrong, subsets)}",
        best.cause,
        best.remedy,
        root="perspective",
    )


def _of_a_column(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], here: Truth
) -> Hypothesis | None:
    """Answers that depend on one number of a position alone."""
    lengths = here.archive.lengths[here.game].astype(np.int64)
    keys = {
        "ply": here.ply,
        "number of plies to the end": lengths - here.ply,
        "length of the game": lengths,
        "game": here.game,
        "next move": here.next_cell,
    }
    alone = determined(theirs, ours, keys)
    if not alone:
        return None
    cause = f"evaluation reports answers that depend on {alone} alone, not on the board"
    return Hypothesis("by a column", cause, ONE_NETWORK)


def _afterwards(trial: WatchedTrial) -> Iterator[Finding]:
    """After an evaluation training must continue in train mode."""
    try:
        eval_modules = trial.step_unseen()
    except TrialError:
        return  # check `steps` reports a training that diverges
    if eval_modules and not trial.steps[0].eval_modules:
        yield Finding.error(
            "evaluation",
            "in the first step after an evaluation, modules such as "
            f"{', '.join(eval_modules[:3])} are in eval mode; before the evaluation no module was",
            "training runs in eval mode after the first report: dropout is off, and batch norm "
            "uses its running statistics",
            "call train() on the network after each evaluation",
            root="modes",
        )
