"""What every tracker is told of a report, and of a trial's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hexsearch.errors import ConfigError
from hexsearch.interface.trial import StudyTrial
from hexsearch.ledger.report import ReportSummary


def figures(report: ReportSummary) -> dict[str, float]:
    """The numbers of a report that are worth a curve, by the trackers' name."""
    found: dict[str, float | None] = {
        "validation/value_loss": report.value_loss,
        "validation/accuracy": report.metrics.overall.accuracy,
        "validation/policy_loss": report.policy_loss,
        "train/value_loss": report.train_value_loss,
        "train/policy_loss": report.train_policy_loss,
        "positions_per_s": report.timings.positions_per_s,
    }
    found |= {f"stages/{name}": part.value_loss for name, part in report.metrics.stages.items()}
    found |= {f"validation/{name}_loss": loss for name, loss in report.auxiliary_losses.items()}
    found |= {f"train/{name}_loss": loss for name, loss in report.train_auxiliary_losses.items()}
    return {name: float(figure) for name, figure in found.items() if figure is not None}


def settings(trial: StudyTrial) -> dict[str, Any]:
    """The searched settings of a trial with its variant and seed, as plain values."""
    plain = {name: _plain(value) for name, value in trial.values.items()}
    return {**plain, "variant": trial.variant, "seed": trial.history.seed}


def missing(package: str, extra: str, error: ImportError) -> ConfigError:
    """What to say where a tracker's package is not installed."""
    return ConfigError(
        f"the callback for {extra} needs the package {package} ({error}); "
        f"pip install 'hexsearch[{extra}]'"
    )


def _plain(value: Any) -> str | float | bool:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={part}" for key, part in value.items())
    return value if isinstance(value, str | int | float | bool) else str(value)
