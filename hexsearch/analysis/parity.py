"""Does inference answer as training did? One batch, caught while it is trained, replayed.

Nothing in the training loop knows of this: hooks on the network and on the read-out look on.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.analysis.boards import positions_of_boards
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.batches import Batch
from hexsearch.game.board import BLUE, RED
from hexsearch.model.network import NetworkOutput
from hexsearch.model.readout import Readout
from hexsearch.training.trial import Trial

# In standard deviations of the raw outputs:
_SAME = 5e-4  # float32 on the same weights stays far below
_CLOSE = 0.1  # bfloat16 against float32 stays below; other weights do not


@dataclass(frozen=True)
class Capture:
    """One training batch at the instant it was trained.

    Attributes:
        planes: [B, C, N, N] as the network was given them. raw: [B] in train mode.
        target: [B] that the loss was given. losses: [B] the loss it returned.
        probability: [B] what training's own read-out would have reported.
        batch: the positions behind it. positions_seen: before this batch.
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
    """Largest gaps between training and inference on a captured batch, raw ones in units of the
    raw outputs' standard deviation, and what explains the first of them.

    Attributes:
        inputs: share of positions whose planes the inference encoder would build otherwise.
        raw_train: same planes, inference's weights, train mode. raw_eval: the same in eval mode;
            with batch norm or dropout it differs, by how much is what matters.
        probability: |reported by inference - reported by training's read-out|, on training's raw.
        loss: |loss recomputed by inference's read-out - loss as trained|.
        explanation: empty where nothing has to be explained.
    """

    inputs: float
    raw_train: float
    raw_eval: float
    probability: float
    loss: float
    explanation: str

    @property
    def holds(self) -> bool:
        """Whether inference does what training did, rounding apart."""
        return not self.explanation or self.explanation.startswith("precision")


class _Recorder(Readout):
    """A read-out that keeps what it is asked."""

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
    """Train the next batch in a copy of the trial, looking on; the trial stays where it is."""
    recorder = _Recorder(trial.readout)
    copied = Trial.of(
        trial.config, trial.dataset, trial.max_positions, trial.seed, trial.device, recorder
    )
    copied.load_state(deepcopy(trial.state()))
    planes: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        planes.append(inputs[0].detach().clone())

    seen, batch = trial.positions_seen, trial.next_batch()
    copied.network.register_forward_hook(look)
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
    """Send a captured batch through the inference path and explain the first difference."""
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
    """The first stage at which the two part company."""
    if inputs:
        return (
            f"encoder: inference would show {inputs:.0%} of these positions as other planes (plane "
            "order, side to move, or orientation)"
        )
    if raw_train > _CLOSE:
        return (
            f"weights: in train mode the same planes give raw outputs {raw_train:.2g} standard "
            "deviations away, so inference does not have the weights that were trained: a stale "
            "file, or an average of weights (EMA) that is never updated"
        )
    if raw_train > _SAME:
        return f"precision: raw outputs differ by {raw_train:.1e} standard deviations"
    if probability > 1e-3:
        return (
            f"read-out: the same raw outputs are reported up to {probability:.2f} apart, so "
            "inference decodes with another formula than training"
        )
    if loss > 1e-3:
        return (
            f"loss: recomputed from the same raw outputs and targets it differs by {loss:.2g}; "
            "the loss that is minimised is not that of the read-out that reports"
        )
    if correlation < 0.9:
        return (
            f"batch-norm statistics: in eval mode the same planes correlate only {correlation:.2f} "
            "with train mode; the running averages are not those of these weights"
        )
    return ""


def _different_inputs(capture: Capture, predictor: Predictor) -> float:
    """Encode the boards that the planes show once more, by the inference encoder."""
    planes = capture.planes.cpu().numpy()
    margin = (planes.shape[-1] - predictor.encoder.size) // 2  # of an edge ring
    inner = slice(margin, planes.shape[-1] - margin)
    boards = (RED * planes[:, 1] + BLUE * planes[:, 0])[:, inner, inner].astype(np.int8)
    finished = capture.batch.final.cpu().numpy()
    complement = capture.batch.complement.cpu().numpy()
    red_to_move = (capture.batch.ply.cpu().numpy() % 2 == 1) ^ complement
    if predictor.encoder.perspective == "mover":
        red_to_move = np.zeros_like(red_to_move)  # shown as if Blue were to move, always
    to_move = np.where(finished, 0, np.where(red_to_move, RED, BLUE)).astype(np.int8)
    # One stone of each colour is needed to write a board as moves; see moves_of_board.
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
    return float((np.abs(again - planes[usable]) > 1e-6).any(axis=(1, 2, 3)).mean())


def _raw(network: nn.Module, planes: Tensor, train: bool) -> Tensor:
    """Raw values of a copy of the network, so that no statistics move."""
    copied = deepcopy(network).train(train)
    device = next(copied.parameters()).device
    with torch.no_grad():
        output: NetworkOutput = copied(planes.to(device))
    return output.value_raw.float()


def _correlation(ours: Tensor, theirs: Tensor) -> float:
    """Of raw outputs; 0 where one side is constant."""
    if min(float(ours.std()), float(theirs.std())) < 1e-9:
        return 0.0
    return float(np.corrcoef(ours.cpu().numpy(), theirs.cpu().numpy())[0, 1])


def _gap(ours: Tensor, theirs: Tensor) -> float:
    return float((ours.cpu() - theirs.cpu()).abs().max())
