"""Tests whether inference gives the same answers as training, on one recorded training batch.

Hooks on the network and on the read-out record the batch, so the training loop is not changed.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.analysis.boards import positions_of_boards
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.batch import Batch
from hexsearch.game.board import BLUE, RED
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout
from hexsearch.training.trial import Trial

# Limits in standard deviations of the raw outputs:
_SAME = 5e-4  # with equal weights in float32, differences are far below
_CLOSE = 0.1  # differences of bfloat16 and float32 are below, those of other weights above


@dataclass(frozen=True)
class Capture:
    """One training batch, recorded during its step.

    Attributes:
        planes: [B, C, N, N] input of the network.
        raw: [B] raw values in train mode.
        target: [B] targets of the loss.
        losses: [B] result of the loss.
        probability: [B] probabilities of training's own read-out.
        batch: the positions of the batch.
        positions_seen: positions seen before this batch.
    """

    planes: Tensor
    raw: Tensor
    target: Tensor
    losses: Tensor
    probability: Tensor
    batch: Batch
    positions_seen: int


@dataclass(frozen=True)
class Parity:
    """Largest differences between training and inference on a recorded batch.

    Differences of raw values are in standard deviations of the raw values.

    Attributes:
        inputs: share of positions for which the inference encoder builds other planes.
        raw_train: difference for the same planes with the inference weights in train mode.
        raw_eval: the same in eval mode. It is not 0 with batch norm or dropout.
        probability: |probability of inference's read-out - that of training's|, for training's
            raw values.
        loss: |loss of inference's read-out - loss in training|.
        explanation: cause of the first difference; empty if there is none.
    """

    inputs: float
    raw_train: float
    raw_eval: float
    probability: float
    loss: float
    explanation: str

    @property
    def holds(self) -> bool:
        """Whether inference and training agree, apart from rounding."""
        return not self.explanation or self.explanation.startswith("precision")


class _Recorder(Readout):
    """A read-out that records its arguments and results."""

    def __init__(self, inner: Readout) -> None:
        self.inner, self.proper = inner, inner.proper
        self.raw = self.target = self.losses = torch.zeros(0)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        losses = self.inner.loss(raw, target)
        self.raw, self.target = raw.detach().clone(), target.detach().clone()
        self.losses = losses.detach().clone()
        return losses

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


def capture_next_batch(trial: Trial) -> Capture:
    """Train the next batch in a copy of the trial, and record it. The trial does not change."""
    recorder = _Recorder(trial.readout)
    copied = Trial.of(
        trial.config, trial.dataset, trial.max_positions, trial.seed, trial.device, recorder
    )
    copied.load_state(deepcopy(trial.state()))
    planes: list[Tensor] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        planes.append(inputs[0].detach().clone())

    seen, batch = trial.positions_seen, trial.next_batch()
    copied.network.register_forward_hook(record)
    copied.train_to(seen + len(batch))
    return Capture(
        planes=planes[0],
        raw=recorder.raw,
        target=recorder.target,
        losses=recorder.losses,
        probability=trial.readout.win_prob(recorder.raw),
        batch=batch,
        positions_seen=seen,
    )


def compare(capture: Capture, predictor: Predictor) -> Parity:
    """Compute a recorded batch as in inference, and explain the first difference."""
    spread = max(float(capture.raw.std()), 1e-6)
    inputs = _different_inputs(capture, predictor)
    raw_train = _gap(_raw(predictor.network, capture.planes, train=True), capture.raw) / spread
    in_eval = predictor.forward(capture.planes).value_raw.to(capture.raw.device)
    raw_eval = _gap(in_eval, capture.raw) / spread
    with torch.inference_mode():
        probability = _gap(predictor.readout.win_prob(capture.raw), capture.probability)
        losses = predictor.readout.loss(capture.raw, capture.target)
    loss = _gap(losses, capture.losses)
    return Parity(
        inputs,
        raw_train,
        raw_eval,
        probability,
        loss,
        _explain(inputs, raw_train, probability, loss, _correlation(in_eval, capture.raw)),
    )


def _explain(
    inputs: float,
    raw_train: float,
    probability: float,
    loss: float,
    correlation: float,
) -> str:
    """The cause of the first difference, in the order of the computation."""
    if inputs:
        return (
            f"encoder: inference builds other planes for {inputs:.0%} of these positions (plane "
            "order, side to move, or orientation)"
        )
    if raw_train > _CLOSE:
        return (
            f"weights: in train mode, raw outputs for the same planes differ by {raw_train:.2g} "
            "standard deviations, so inference does not have the trained weights: a stale file, or "
            "an average of weights (EMA) that is never updated"
        )
    if raw_train > _SAME:
        return f"precision: raw outputs differ by {raw_train:.1e} standard deviations"
    if probability > 1e-3:
        return (
            f"read-out: for the same raw outputs, probabilities differ by up to {probability:.2f}, "
            "so inference decodes with another formula than training"
        )
    if loss > 1e-3:
        return (
            f"loss: for the same raw outputs and targets, it differs by {loss:.2g}; "
            "the loss that is minimised is not that of the read-out that reports"
        )
    if correlation < 0.9:
        return (
            "batch-norm statistics: raw outputs in eval mode and in train mode have a correlation "
            f"of only {correlation:.2f}; the running averages are not those of these weights"
        )
    return ""


def _different_inputs(capture: Capture, predictor: Predictor) -> float:
    """Share of the boards in the planes for which the inference encoder gives other planes."""
    planes = capture.planes.cpu().numpy()
    margin = (planes.shape[-1] - predictor.encoder.size) // 2  # width of an edge ring
    inner = slice(margin, planes.shape[-1] - margin)
    boards = (RED * planes[:, 1] + BLUE * planes[:, 0])[:, inner, inner].astype(np.int8)
    finished = capture.batch.final.cpu().numpy()
    complement = capture.batch.complement.cpu().numpy()
    red_to_move = (capture.batch.ply.cpu().numpy() % 2 == 1) ^ complement
    if predictor.encoder.perspective == "mover":
        red_to_move = np.zeros_like(red_to_move)  # encoded boards always have Blue to move
    to_move = np.where(finished, 0, np.where(red_to_move, RED, BLUE)).astype(np.int8)
    # moves_of_board needs at least one stone of each colour.
    usable = (boards == BLUE).any(axis=(1, 2)) & (boards == RED).any(axis=(1, 2))
    if not usable.any():
        return 0.0
    positions = positions_of_boards(boards[usable], to_move[usable])
    symmetries = np.zeros(len(positions), dtype=np.int64)
    again = predictor.encoder.encode(
        positions.cells, positions.plies, symmetries, positions.finished
    )
    if again.shape != planes[usable].shape:
        return 1.0
    shown = planes.shape[1] - predictor.encoder.history  # boards have no order of moves
    gaps = np.abs(again - planes[usable])[:, :shown]
    return float((gaps > 1e-6).any(axis=(1, 2, 3)).mean())


def _raw(network: nn.Module, planes: Tensor, train: bool) -> Tensor:
    """Raw values of a copy of the network, so that its statistics do not change."""
    copied = deepcopy(network).train(train)
    device = next(copied.parameters()).device
    with torch.no_grad():
        output: NetworkOutput = copied(planes.to(device))
    return output.value_raw.float()


def _correlation(ours: Tensor, theirs: Tensor) -> float:
    """Pearson's correlation of raw outputs; 0 if one side is constant."""
    if min(float(ours.std()), float(theirs.std())) < 1e-9:
        return 0.0
    return float(np.corrcoef(ours.cpu().numpy(), theirs.cpu().numpy())[0, 1])


def _gap(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.cpu() - theirs.cpu()).abs().max())
