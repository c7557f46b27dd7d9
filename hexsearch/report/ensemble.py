"""Evaluates ensembles and the best single network on test games."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.analysis.ensemble import Ensemble, mix
from hexsearch.statistics.intervals import bootstrap_interval, bootstrap_means, game_table
from hexsearch.training.metrics import Evaluation, SliceMetrics

_STAGES = ("early", "middle", "late")
_WIDE_FROM = 130  # columns of a terminal from which all figures are shown


@dataclass(frozen=True)
class EnsembleRow:
    """One ensemble, evaluated on games that were not used to choose it.

    Attributes:
        weights: trial -> its share of the answer, the largest first.
        validation: figures on the games by which it was chosen.
        test: figures on the test games.
        stages: value loss by stage, of "validation" and of "test".
        low, high: 95% interval of its test value loss. All intervals are bootstrapped with the same
            resampled games.
        difference: difference of its test value loss to the best single network's.
        difference_low, difference_high: 95% interval of the difference.
    """

    name: str
    weights: dict[str, float]
    validation: SliceMetrics
    test: SliceMetrics
    stages: dict[str, dict[str, float]]
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float


def evaluate_ensembles(
    ensembles: Sequence[Ensemble],
    names: Sequence[str],
    validation: Sequence[Evaluation],
    test: Sequence[Evaluation],
) -> list[EnsembleRow]:
    """Rows in the order of the ensembles. The others are compared with the first one.

    Args:
        names: names of the M networks.
        validation, test: their answers on validation games and on test games.
    """
    mixed = [mix(ensemble, test) for ensemble in ensembles]
    table = game_table([evaluation.game_losses() for evaluation in mixed])
    assert table is not None, "a test split of two games or more"
    draws = bootstrap_means(table, np.random.default_rng(0))
    low, high = bootstrap_interval(draws)
    behind_low, behind_high = bootstrap_interval(draws - draws[:, :1])
    rows = []
    for index, (ensemble, evaluation) in enumerate(zip(ensembles, mixed, strict=True)):
        shares = [(names[i], float(ensemble.weights[i])) for i in np.argsort(-ensemble.weights)]
        found = {"validation": mix(ensemble, validation).metrics(), "test": evaluation.metrics()}
        rows.append(
            EnsembleRow(
                name=ensemble.name,
                weights={name: share for name, share in shares if share},
                validation=found["validation"].overall,
                test=found["test"].overall,
                stages={
                    split: {name: part.value_loss for name, part in metrics.stages.items()}
                    for split, metrics in found.items()
                },
                low=float(low[index]),
                high=float(high[index]),
                difference=float(table.means[index] - table.means[0]),
                difference_low=float(behind_low[index]),
                difference_high=float(behind_high[index]),
            )
        )
    return rows


def ensemble_json(study: str, rows: Sequence[EnsembleRow]) -> dict[str, Any]:
    """The JSON of `ensemble --format json`. Intervals and differences are of the test games."""
    return {"study": study, "split": "test", "rows": [_plain(asdict(row)) for row in rows]}


def render_ensembles(study: str, rows: Sequence[EnsembleRow], width: int) -> RenderableType:
    """A table, the networks of each ensemble, and sentences on the results."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=study, title_justify="left")
    table.add_column("ensemble")
    titles = ["nets", "validation", "acc", "test", "to the best", "acc"]
    wide = width >= _WIDE_FROM
    for title in [*titles, "log loss", "calib", *_STAGES] if wide else titles:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        cells = [
            str(len(row.weights)),
            f"{row.validation.value_loss:.4f}",
            f"{row.validation.accuracy:.1%}",
            f"{row.test.value_loss:.4f}±{(row.high - row.low) / 2:.4f}",
            "" if row is rows[0] else f"{row.difference:+.4f}±{_half(row):.4f}",
            f"{row.test.accuracy:.1%}",
        ]
        if wide:
            cells += [f"{row.test.log_loss:.4f}", f"{row.test.calibration_error:.4f}"]
            by_stage = row.stages["test"]
            cells += [f"{by_stage[name]:.4f}" if name in by_stage else "" for name in _STAGES]
        table.add_row(Text(row.name), *(Text(cell) for cell in cells))
    test = rows[0].test
    notes = [
        f"value losses; chosen on validation games, evaluated once on {test.games:,} test games "
        f"({test.positions:,} positions); separate 95% intervals by resampling whole games",
        *(f"{row.name}: {_members(row)}" for row in rows if row.name in ("best single", "greedy")),
    ]
    return Group(
        table,
        *(Text(line, style="dim") for line in notes),
        *(Text(line) for line in findings(rows)),
    )


def findings(rows: Sequence[EnsembleRow]) -> list[str]:
    """One sentence for each ensemble, on its difference to the best single network."""
    sentences = []
    for row in rows[1:]:
        if row.difference_high < 0:
            verdict = f"is better than the best single network by {-row.difference:.4f}"
        elif row.difference_low > 0:
            verdict = f"is worse than the best single network by {row.difference:.4f}"
        else:
            verdict = "is tied with the best single network"
        sentences.append(f"{row.name} {verdict} ({_interval(row)})")
    return sentences


def _half(row: EnsembleRow) -> float:
    return (row.difference_high - row.difference_low) / 2


def _interval(row: EnsembleRow) -> str:
    return f"{row.difference_low:+.4f} to {row.difference_high:+.4f}"


def _members(row: EnsembleRow) -> str:
    return ", ".join(f"{share:.0%} {name}" for name, share in row.weights.items())


def _plain(value: Any) -> Any:
    """A value in which nan becomes None at every depth."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return None if isinstance(value, float) and value != value else value
