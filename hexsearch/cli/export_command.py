"""`export`: writes a network for other programs, or the winner of a study with its recipe."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text

from hexsearch.analysis.loading import load_network
from hexsearch.analysis.standalone import (
    DESCRIPTION,
    export_checkpoint,
    export_onnx,
    export_safetensors,
)
from hexsearch.cli.arguments import add_command, add_looks, looks_of, study_path
from hexsearch.errors import ConfigError, LedgerError
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.folder import StudyFolder
from hexsearch.report.terminal import Console
from hexsearch.study.export import export_trial


def register(commands: Any) -> None:
    """Add the sub-command."""
    export = add_command(
        commands,
        "export",
        ["results/NAME", "results/NAME --trial t0007 --output exported/", "model.pt --format onnx"],
        "Write the network of a study's winner (model.pt), and train.yaml, from which 'train' "
        "makes the same weights; or write any network as ONNX or safetensors.",
    )
    export.add_argument(
        "source",
        type=study_path,
        metavar="STUDY|CHECKPOINT",
        help="the folder of a study, its name in ./results, or a model.pt",
    )
    export.add_argument(
        "--format",
        choices=("checkpoint", "onnx", "safetensors"),
        default="checkpoint",
        help="for a study, onnx and safetensors are written in addition to the checkpoint "
        "(default: checkpoint)",
    )
    export.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="(default: the folder 'winner' in the study's, or the checkpoint's own folder)",
    )
    add_looks(export)
    export.add_argument("--trial", metavar="ID", help="(default: the winner's best trial)")
    export.set_defaults(run=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    """Write the requested files, and print their names."""
    console = Console(stderr=True, highlight=False)
    if any(looks_of(arguments)) and arguments.format != "onnx":
        raise ConfigError(
            "--symmetric and --look-ahead: are for --format onnx; the other formats hold weights "
            "alone, and `analyze` takes these options itself"
        )
    if arguments.source.is_dir():
        checkpoint = _export_winner(arguments, console)
    else:
        checkpoint = arguments.source
        if arguments.trial is not None:
            raise ConfigError("--trial: is for a study; a checkpoint holds one network")
    if arguments.format == "checkpoint" and arguments.source.is_dir():
        return 0
    loaded = load_network(checkpoint)
    folder = arguments.output or checkpoint.parent
    if arguments.format == "onnx":
        answering = loaded.predictor.with_looks(*looks_of(arguments))
        path, gap = export_onnx(replace(loaded, predictor=answering), folder)
        text = f"wrote {path} and {folder / DESCRIPTION}; answers agree within {gap:.1g}"
    elif arguments.format == "checkpoint":
        text = f"wrote {export_checkpoint(loaded, folder)}, without the state for training"
    else:
        text = f"wrote {export_safetensors(loaded, folder)} and {folder / DESCRIPTION}"
    console.print(Text(text), soft_wrap=True)
    return 0


def _export_winner(arguments: argparse.Namespace, console: Console) -> Path:
    """Write model.pt and train.yaml of a study's winner, or of the given trial."""
    folder = StudyFolder(arguments.source)
    name = arguments.trial or winner(folder)
    output = arguments.output or folder.path / "winner"
    export = export_trial(folder, name, output)
    if export.positions_seen < export.budget:
        console.print(
            Text(
                f"note: {name} has seen {export.positions_seen:,} of {export.budget:,} positions, "
                "but the recipe trains to the end"
            ),
            soft_wrap=True,
        )
    console.print(Text(f"wrote {export.model} ({name}) and {export.recipe}"), soft_wrap=True)
    return export.model


def winner(folder: StudyFolder) -> str:
    """The trial of the leading variant with a checkpoint and the lowest value loss.

    Raises:
        LedgerError: the study has no result yet.
    """
    board = read_leaderboard(folder)
    if not board.rows or board.rows[0].rank is None:
        raise LedgerError(f"{folder.path}: no trial has reported yet, so there is no winner")
    of_winner = set(board.rows[0].trial_ids)
    by_trial = read_leaderboard(folder, by="trial").rows
    names = [row.trial_ids[0] for row in by_trial if row.trial_ids[0] in of_winner]
    kept = [name for name in names if folder.checkpoint(name).exists()]
    return (kept or names)[0]
