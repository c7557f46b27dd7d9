"""Files of a report in its trial's folder: per-game losses, and the run's curve."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexsearch.training.atomic import append_line, read_whole, write_atomically
from hexsearch.training.metrics import GameLosses

if TYPE_CHECKING:  # it imports torch, which is slow and not needed to read losses
    from hexsearch.training.report import TrialReport

CURVE = "curve.jsonl"
BASELINES = "baselines"
_MOST_UNPACKED = 1 << 30  # bytes of the losses of one report, for 20 million games
_STAGES = 3


def baseline_folder(study: Path, name: str) -> Path:
    """Where a study keeps the per-game losses of a baseline."""
    return study / BASELINES / name.replace(" ", "-")


def store_evidence(folder: Path, report: TrialReport) -> None:
    """Store the per-game losses of a report, and append its full text to the run's curve."""
    write_game_losses(folder, report.positions_seen, report.game_losses)
    append_line(folder / CURVE, json.dumps(report.to_json()))


def write_game_losses(folder: Path, positions_seen: int, losses: GameLosses) -> None:
    """Store the losses of one report, compressed and atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **asdict(losses))
    write_atomically(_path(folder, positions_seen), buffer.getvalue())


def read_game_losses(folder: Path, positions_seen: int) -> GameLosses | None:
    """The losses of one report; None if they are missing or damaged."""
    try:
        content = io.BytesIO(read_whole(_path(folder, positions_seen)))
        with zipfile.ZipFile(content) as packed:
            if sum(member.file_size for member in packed.infolist()) > _MOST_UNPACKED:
                return None
        with np.load(content, allow_pickle=False) as stored:
            losses = GameLosses(**{name: stored[name] for name in ("games", "sums", "counts")})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, MemoryError):
        return None
    except (NotImplementedError, RuntimeError):  # an unknown compression, a password
        return None
    return losses if _is_whole(losses) else None


def _is_whole(losses: GameLosses) -> bool:
    """Whether the arrays have the kinds and shapes that are written."""
    table = (len(losses.games) if losses.games.ndim == 1 else -1, _STAGES)
    return (
        losses.games.dtype == np.int64
        and losses.sums.dtype == np.float32
        and losses.counts.dtype == np.int32
        and losses.sums.shape == losses.counts.shape == table
        and bool((np.diff(losses.games) > 0).all() and np.isfinite(losses.sums).all())
    )


def _path(folder: Path, positions_seen: int) -> Path:
    return folder / f"games-{positions_seen}.npz"
