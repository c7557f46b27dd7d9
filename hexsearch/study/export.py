"""Exports a trained network: its checkpoint, and a YAML file from which `train` can repeat it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hexsearch.config.files.yaml_text import dump_yaml
from hexsearch.errors import CheckpointError, LedgerError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.training.atomic import write_atomically
from hexsearch.training.checkpoint import MODEL, load_checkpoint, previous_of
from hexsearch.training.report_points import round_up

RECIPE = "train.yaml"
_REPORTS = 10  # number of reports in the recipe if the study reported at its rungs only


@dataclass(frozen=True)
class Export:
    """The files that were written, and the positions that the network has seen."""

    model: Path
    recipe: Path
    positions_seen: int
    budget: int


def export_trial(folder: StudyFolder, name: str, output: Path) -> Export:
    """Write a trial's checkpoint to `output/model.pt` and its recipe to `output/train.yaml`.

    The recipe fixes configuration, data, budget and seed. With the same games on the same machine,
    `train` then gives exactly the same weights.

    Raises:
        LedgerError: there is no such study or trial.
        CheckpointError: its checkpoint is missing or damaged, or `output` cannot be written.
    """
    _, config = folder.read_description()
    trials = StudyHistory.read(folder.ledger).trials
    if name not in trials:
        raise LedgerError(f"{folder.path}: has no trial '{name}'; see leaderboard --by trial")
    trial = trials[name]
    source = folder.checkpoint(name)
    if not source.exists():
        kept = [other for other in trials if folder.checkpoint(other).exists()]
        raise CheckpointError(
            f"{source}: was not kept (run.keep_checkpoints is {config.run.keep_checkpoints}); "
            f"trials with a checkpoint: {', '.join(kept) or 'none'}"
        )
    state = load_checkpoint(source)["state"]
    budget = int(state["max_positions"])
    batch = int(trial.config["batch_size"])
    every = config.scheduler.report_every or budget / _REPORTS
    recipe = {
        "question": f"How was {name} of the study {folder.name} trained?",
        "data": config.data.model_dump(mode="json", by_alias=True),
        "trial": trial.config,
        "scheduler": {
            "name": "none",
            "grace_period": budget,
            "max_t": budget,
            "report_every": round_up(max(1, int(every)), batch),
        },
        "run": {"seed": trial.seed, "cpus_per_trial": config.run.cpus},
    }
    export = Export(output / MODEL, output / RECIPE, int(state["positions_seen"]), budget)
    head = f"# hexsearch train {export.recipe} --games {folder.archive}\n"
    # A network that somebody else has put there is kept.
    write_atomically(export.model, source.read_bytes(), keep_as=previous_of(export.model))
    write_atomically(export.recipe, (head + dump_yaml(recipe)).encode())
    return export
