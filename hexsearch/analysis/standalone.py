"""Exports a network together with its encoder and read-out.

The exported graph takes plain planes and returns `win_prob_red` and move probabilities. A program
that uses it needs neither hexsearch nor knowledge of perspectives, edge rings and read-outs.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch import __version__
from hexsearch.analysis.boards import Positions, positions_of_moves
from hexsearch.analysis.loading import LoadedCheckpoint
from hexsearch.analysis.predictor import Predictor
from hexsearch.data.encoder import RECENCY, PositionEncoder
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.game.record import decided_at
from hexsearch.training.atomic import write_atomically
from hexsearch.training.checkpoint import MODEL, save_checkpoint

ONNX, SAFETENSORS, DESCRIPTION = "model.onnx", "model.safetensors", "model.json"
# Keys of a trial's state that identify it, as in Trial.head_states.
_KEPT = (
    *("configs", "mode", "trunk", "data", "archive", "encoder_version", "code_version"),
    *("max_positions", "seed", "positions_seen"),
)
PLANES = ("blue", "red", "red_to_move")
TOLERANCE = 1e-5  # largest difference of a probability between the exported file and the network
_CHECKED = 64  # positions on which both are compared
_TAKEN = -1e9  # logit of cells that hold a stone
_BETWEEN = 0.75  # threshold for red_to_move, which is 1.0, 0.5 on a finished board, or 0.0


class StandaloneNetwork(nn.Module):
    """Planes [B, 3, N, N] to `win_prob_red` [B] and `policy` [B, N*N].

    The planes are blue stones, red stones, and a constant plane for the side to move: 1.0 for
    Red, 0.0 for Blue, 0.5 on a finished board. A network that is shown the history has a fourth
    plane: 1.0 on the last stone, and RECENCY times as much for each ply before it.
    """

    ring: Tensor

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network = predictor.network
        self._readout = predictor.readout
        self._encoder = predictor.encoder
        self.register_buffer("ring", torch.from_numpy(predictor.encoder.ring()))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Answers for positions on the real board."""
        encoder = self._encoder
        stones, to_move = planes[:, :2], planes[:, 2, 0, 0]
        reflected = to_move > _BETWEEN
        if encoder.perspective == "absolute":
            reflected = torch.zeros_like(reflected)
        chosen = reflected[:, None, None, None]
        # The reflection in the long diagonal exchanges rows and columns, and the colours.
        shown = torch.where(chosen, stones.transpose(2, 3).flip(1), stones)
        history = planes[:, 3:]
        history = torch.where(chosen, history.transpose(2, 3), history)
        if encoder.edge_ring:
            shown = functional.pad(shown, (1, 1, 1, 1)) + self.ring[:2]
            history = functional.pad(history, (1, 1, 1, 1))
        if encoder.perspective == "absolute":
            side = to_move[:, None, None, None].expand(-1, 1, encoder.side, encoder.side)
            shown = torch.cat([shown, side], dim=1)
        if encoder.history:
            shown = torch.cat([shown, history], dim=1)
        output = self.network(shown)
        own = self._readout.win_prob(output.value_raw)
        complement = ~reflected if encoder.perspective == "mover" else reflected
        win_prob_red = torch.where(complement, 1.0 - own, own)
        size = encoder.size
        logits = output.policy_logits.reshape(-1, size, size)
        logits = torch.where(chosen[:, 0], logits.transpose(1, 2), logits).flatten(1)
        taken = stones.sum(dim=1).flatten(1) > 0
        policy = torch.where(taken, _TAKEN, logits).softmax(dim=1)
        finished = (to_move > 1.0 - _BETWEEN) & (to_move < _BETWEEN)
        return win_prob_red, torch.where(finished[:, None], 0.0, policy)


def standalone_planes(positions: Positions, history: bool = False) -> np.ndarray:
    """[P, 3, N, N] float32, the input of the exported graph; 4 planes with the history."""
    plain = PositionEncoder(positions.size, "absolute", history=history)
    as_it_is = np.zeros(len(positions), dtype=np.int64)
    return plain.encode_game(
        positions.cells, positions.plies, as_it_is, positions.finished, positions.unordered
    )


def export_onnx(loaded: LoadedCheckpoint, folder: Path) -> tuple[Path, float]:
    """Write `model.onnx` and `model.json`, and compare the answers of the file and the network.

    Returns:
        The file, and the largest difference of a probability over random positions.
    Raises:
        ConfigError: onnx is not installed.
        CheckpointError: the network cannot be exported, the answers differ, or the file cannot be
            written.
    """
    predictor = loaded.predictor
    content = _onnx_bytes(StandaloneNetwork(predictor).eval().cpu(), predictor.encoder)
    gap = _largest_gap(content, predictor)
    if not gap <= TOLERANCE:
        raise CheckpointError(
            f"{loaded.path}: answers of its ONNX file differ by {gap:.2g}, more than {TOLERANCE}"
        )
    write_atomically(folder / ONNX, content)
    _describe(loaded, folder, {"input": _onnx_input(loaded), "outputs": _onnx_outputs(loaded)})
    return folder / ONNX, gap


def export_safetensors(loaded: LoadedCheckpoint, folder: Path) -> Path:
    """Write the weights as `model.safetensors`, and `model.json`.

    Raises:
        ConfigError: safetensors is not installed.
        CheckpointError: a file cannot be written.
    """
    try:
        from safetensors.torch import save
    except ImportError as error:
        raise ConfigError(_missing("safetensors", error)) from error
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in loaded.predictor.network.state_dict().items()
    }
    write_atomically(folder / SAFETENSORS, save(weights, {"format": "pt"}))
    encoder = loaded.predictor.encoder
    _describe(
        loaded,
        folder,
        {
            "input": {
                "shape": ["batch", encoder.planes, encoder.side, encoder.side],
                "perspective": encoder.perspective,
                "edge_ring": encoder.edge_ring,
                "history": encoder.history,
            },
            "outputs": {
                "policy_logits": ["batch", encoder.size**2],
                "value_raw": "trial.readout says how it becomes a probability",
            },
        },
    )
    return folder / SAFETENSORS


def export_checkpoint(loaded: LoadedCheckpoint, folder: Path) -> Path:
    """Write `model.pt` with the evaluated weights, without the state that only training needs.

    Raises:
        CheckpointError: it would replace the source file, or cannot be written.
    """
    path = folder / MODEL
    if path.exists() and path.samefile(loaded.path):
        raise CheckpointError(f"{path}: would replace itself; give another --output")
    kept = {name: loaded.state[name] for name in _KEPT if name in loaded.state}
    weights = loaded.predictor.network.state_dict()
    kept["network"] = {name: tensor.cpu() for name, tensor in weights.items()}
    games = {} if loaded.games is None else {"games": torch.from_numpy(loaded.games.view(np.int64))}
    save_checkpoint(path, {"state": kept, **games})
    return path


def _onnx_bytes(network: StandaloneNetwork, encoder: PositionEncoder) -> bytes:
    example = torch.zeros(2, len(PLANES) + encoder.history, encoder.size, encoder.size)
    try:
        with warnings.catch_warnings(), _quiet_exporter():
            warnings.simplefilter("ignore")  # warnings about the exporter's own internals
            program = torch.onnx.export(
                network,
                (example,),
                input_names=["planes"],
                output_names=["win_prob_red", "policy"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
    except ImportError as error:
        raise ConfigError(_missing("onnx", error)) from error
    except torch.onnx.OnnxExporterError as error:
        first = str(error).strip().splitlines()[0]
        raise CheckpointError(f"the network cannot be exported to ONNX: {first}") from error
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter, which logs warnings about torchvision, which is not used here."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _largest_gap(content: bytes, predictor: Predictor) -> float:
    """Largest difference of a probability over positions of random games, some finished."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(_missing("onnxruntime", error)) from error
    positions = _random_positions(predictor.encoder.size)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    batch = session.get_inputs()[0].shape[0]
    if isinstance(batch, int):
        raise CheckpointError(
            f"the exported graph accepts only batches of {batch}: a part of the network fixes the "
            "number of positions, as len(features) does; use flatten or unflatten there"
        )
    planes = standalone_planes(positions, predictor.encoder.history)
    win_prob_red, policy = session.run(None, {"planes": planes})
    answers = predictor.answer(positions)
    gaps = (win_prob_red - answers.win_prob_red, policy - answers.policy)
    return max(float(np.abs(gap).max()) for gap in gaps)


def _random_positions(size: int) -> Positions:
    generator = np.random.default_rng(0)
    games = []
    for number in range(_CHECKED):
        cells = generator.permutation(size * size).tolist()
        end = decided_at(cells, size)
        assert end is not None, "a full board has a winner"
        games.append(cells[: end if number % 8 == 0 else int(generator.integers(end))])
    return positions_of_moves(games, size)


def _describe(loaded: LoadedCheckpoint, folder: Path, shapes: dict[str, Any]) -> None:
    description = {
        "format": "hexsearch network 1",
        "hexsearch": __version__,
        "board_size": loaded.predictor.encoder.size,
        "colours": "blue moves first and connects top to bottom, red connects left to right",
        "cells": "row * board_size + column, from 0 at the top left",
        **shapes,
        "positions_seen": loaded.positions_seen,
        "games": loaded.archive_hash,
        "trial": loaded.config.model_dump(mode="json"),
    }
    write_atomically(folder / DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())


def _onnx_input(loaded: LoadedCheckpoint) -> dict[str, Any]:
    encoder = loaded.predictor.encoder
    planes = {
        "blue": "1.0 on cells with a blue stone",
        "red": "1.0 on cells with a red stone",
        "red_to_move": "constant: 1.0 if Red is to move, 0.0 if Blue is to move, 0.5 on a "
        "finished board",
    }
    if encoder.history:
        planes["history"] = (
            f"1.0 on the stone played last, and {RECENCY:.9g} times as much on each one before it; "
            "0.0 where the order of the moves is not known"
        )
    return {
        "name": "planes",
        "dtype": "float32",
        "shape": ["batch", len(planes), encoder.size, encoder.size],
        "planes": planes,
    }


def _onnx_outputs(loaded: LoadedCheckpoint) -> dict[str, Any]:
    return {
        "win_prob_red": {"shape": ["batch"], "meaning": "probability that Red wins"},
        "policy": {
            "shape": ["batch", loaded.predictor.encoder.size**2],
            "meaning": "probability of each cell as the next move; 0.0 for occupied cells and on "
            "finished boards",
        },
    }


def _missing(package: str, error: ImportError) -> str:
    return f"--format: {package} is not installed ({error}); pip install 'hexsearch[onnx]'"
