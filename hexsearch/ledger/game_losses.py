"""Files of a report in its trial's folder: per-game losses, and the run's curve."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hexsearch.training.atomic import append_line, write_atomically
from hexsearch.training.metrics import GameLosses

if TYPE_CHECKING:  # it imports torch, which is slow and not needed to read losses
    from hexsearch.training.report import TrialReport

CURVE = "curve.jsonl"
BASELINES = "baselines"


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
        with np.load(_path(folder, positions_seen), allow_pickle=False) as stored:
            return GameLosses(**{name: stored[name] for name in ("games", "sums", "counts")})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _path(folder: Path, positions_seen: int) -> Path:
    return folder / f"games-{positions_seen}.npz"
