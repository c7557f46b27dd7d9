"""A checkpoint to a network that answers, without training and without its games."""

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
        predictor: answers with the weights that were evaluated. trained: with those that
            training goes on from; the same unless weights are averaged.
        data: board size, split and stages that it was trained and judged with.
        archive_hash: content hash of the games that it was trained on.
        state: everything that `Trial.state()` wrote.
        games: hashes of the archive that it was trained on, where the file holds them.
        recorded_value_loss: validation Brier score that training reported last, if it is there.
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
        checked: hold a plug-in read-out to its contract. `doctor` leaves it out, to say more
            about a broken one than that it is broken.
        board_size: play on this board in place of its own, as a network can whose layers are
            all convolutions or pool over the board.
    Raises:
        CheckpointError: no checkpoint, damaged, or from another encoder or architecture.
        ContractError: a plug-in that it names cannot be imported, or breaks its contract.
    """
    stored = read_stored_trial(path)
    state, config, data = stored.state, stored.config, stored.data
    shown = config.encoder
    encoder = PositionEncoder(board_size or data.board_size, shown.perspective, shown.edge_ring)
    readout = build_readout(config.readout, checked)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def with_weights(weights: dict[str, Tensor]) -> Predictor:
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


def _games(content: dict[str, Any]) -> NDArray[np.uint64] | None:
    games = content.get("games")
    if not isinstance(games, Tensor) or games.dtype != torch.int64 or games.ndim != 1:
        return None
    hashes: NDArray[np.uint64] = games.numpy().view(np.uint64)
    return hashes


def _recorded_value_loss(content: dict[str, Any]) -> float | None:
    """What the report beside the weights says; checkpoints of old versions have none."""
    report = content.get("report")
    if not isinstance(report, str):
        return None
    try:
        return float(json.loads(report)["value_loss"])
    except (ValueError, KeyError, TypeError):
        return None
