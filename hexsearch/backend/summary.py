"""What the ledger keeps of a training's report, on validation games or on test games."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from hexsearch.backend.heads_on_trunk import HeadsOnTrunk
from hexsearch.data.positions import all_positions
from hexsearch.model.cost import NetworkCost
from hexsearch.training.metrics import GameLosses, brief
from hexsearch.training.report import TrialReport


def summarise(report: TrialReport, cost: NetworkCost) -> dict[str, Any]:
    """What the ledger keeps of a report; the rest lies in the trial's folder."""
    return {
        "positions_seen": report.positions_seen,
        "parameters": cost.parameters,
        "mflops": round(cost.mflops, 4),
        "microseconds": round(cost.microseconds, 2),
        **brief(report.metrics),
        "policy_loss": round(report.policy_loss, 6),
        "train_value_loss": round(report.train_value_loss, 6),
        "train_policy_loss": round(report.train_policy_loss, 6),
        "auxiliary_losses": _rounded(report.auxiliary_losses),
        "train_auxiliary_losses": _rounded(report.train_auxiliary_losses),
        "verdict": report.verdict.name,
        "evidence": report.verdict.evidence,
        "timings": {**report.timings, "host": socket.gethostname(), "pid": os.getpid()},
    }


def _rounded(losses: Mapping[str, float]) -> dict[str, float]:
    return {name: round(loss, 6) for name, loss in losses.items()}


def judge_on_test(trial: HeadsOnTrunk) -> tuple[dict[str, Any], GameLosses]:
    """Figures and per-game losses on the test games, beside the validation loss of the search."""
    (validation,) = trial.reports()  # renews batch-norm statistics, so it comes first
    dataset = trial.dataset
    test, _ = trial.evaluate(all_positions(dataset.archive, dataset.games("test")))
    report = {
        **summarise(validation, trial.costs[0]),
        **brief(test.metrics()),
        "validation_loss": validation.value_loss,
    }
    return report, test.game_losses()
