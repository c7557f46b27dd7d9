"""Loads the network of a checkpoint for prediction, without its training and its games."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.predictor import Predictor
from hexsearch.config.data import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.encoder import PositionEncoder
from hexsearch.errors import CheckpointError
from hexsearch.model.network import build_network
from hexsearch.model.readout import build_readout
from hexsearch.training.stored_trial import read_stored_trial


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint of `train` (model.pt) or of a study's trial (checkpoint.pt).

    Attributes:
        predictor: predictor with the weights that were evaluated.
        trained: predictor with the weights from which training continues. They are the same
            unless weights are averaged.
        data: board size, split and stages of its training and evaluation.
        archive_hash: content hash of its training games.
        state: result of `Trial.state()`.
        games: hashes of the games in its training archive, if the file holds them.
        recorded_value_loss: validation Brier score of its last report, if the file holds it.
    """

    path: Path
    predictor: Predictor
    trained: Predictor
    config: TrialConfig
    data: DataConfig
    archive_hash: str
    positions_seen: int
    state: dict[str, Any]
    recorded_value_loss: float | None
    games: NDArray[np.uint64] | None = None


def load_network(
    path: Path, checked: bool = True, board_size: int | None = None
) -> LoadedCheckpoint:
    """Rebuild network, read-out and encoder of a checkpoint.

    Args:
        checked: check the contract of a plug-in read-out, and that weights are finite. `doctor`
            does not, so that it can say more about a faulty one.
        board_size: size of the board to play on, if not the network's own; only a network whose
            layers are convolutions or pool over the board can do this.
    Raises:
        CheckpointError: it is not a checkpoint, is damaged, or has another encoder or architecture.
        ContractError: a plug-in that it names cannot be imported, or breaks its contract.
    """
    stored = read_stored_trial(path)
    state, config, data = stored.state, stored.config, stored.data
    size = board_size or data.board_size
    encoder = PositionEncoder.of(config.encoder, size)
    readout = build_readout(config.readout, checked)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def with_weights(weights: dict[str, Tensor]) -> Predictor:
        _require_real(path, weights)
        network = build_network(config, encoder.planes, encoder.size, seed=0)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            first = str(error).splitlines()[-1].strip()
            what = f"its weights do not fit its configuration: {first}"
            if board_size not in (None, data.board_size):
                own = f"{data.board_size}x{data.board_size}"
                what = f"it plays on {own} alone, since a layer is made for that board: {first}"
            raise CheckpointError(f"{path}: {what}") from error
        if checked:
            _require_finite(path, network)
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Predictor(network.eval(), readout, encoder, device)

    trained = with_weights(state["network"])
    return LoadedCheckpoint(
        path=path,
        predictor=with_weights(state["average"]) if "average" in state else trained,
        trained=trained,
        config=config,
        data=data,
        archive_hash=state["archive"],
        positions_seen=state["positions_seen"],
        state=state,
        recorded_value_loss=_recorded_value_loss(stored.content),
        games=_games(stored.content),
    )


def _require_real(path: Path, weights: dict[str, Any]) -> None:
    """Refuse weights that load_state_dict would convert, or fail at with a traceback.

    Raises:
        CheckpointError: names the first of them.
    """
    for name, weight in weights.items():
        if not isinstance(weight, Tensor) or weight.is_complex() or weight.layout != torch.strided:
            kind = weight.dtype if isinstance(weight, Tensor) else type(weight).__name__
            raise CheckpointError(f"{path}: its weight {name} is not a real tensor, but {kind}")


def _require_finite(path: Path, network: torch.nn.Module) -> None:
    """Refuse a network that can only answer nan.

    Raises:
        CheckpointError: names the first weight that is not finite.
    """
    for name, weight in network.state_dict().items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise CheckpointError(
                f"{path}: its weight {name} is not finite, so it cannot answer; train it again "
                "with a lower learning rate"
            )


def _games(content: dict[str, Any]) -> NDArray[np.uint64] | None:
    games = content.get("games")
    if not isinstance(games, Tensor) or games.dtype != torch.int64 or games.ndim != 1:
        return None
    hashes: NDArray[np.uint64] = games.numpy().view(np.uint64)
    return hashes


def _recorded_value_loss(content: dict[str, Any]) -> float | None:
    """Value loss of the report in the checkpoint; checkpoints of old versions have none."""
    report = content.get("report")
    if not isinstance(report, str):
        return None
    try:
        return float(json.loads(report)["value_loss"])
    except (ValueError, KeyError, TypeError):
        return None
