"""Studies whose ledgers are written by hand, for tests of leaderboards and of their rendering."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hexsearch.leaderboard.leaderboard import Leaderboard, read_leaderboard
from hexsearch.ledger.events import Decided, Failed, Reported, Started, StudyOpened, Suggested
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.training.metrics import GameLosses
from tests.search.simulation import report_json

PRIOR = {
    "name": "prior",
    "value_loss": 0.247,
    "accuracy": 0.55,
    "positions": 10,
    "stages": {"late": {"value_loss": 0.24, "accuracy": 0.5, "positions": 5}},
    "to_end": {},
}


class Study:
    """Writes a ledger by hand."""

    def __init__(self, path: Path, name: str = "study") -> None:
        self.folder = StudyFolder(path / name)
        self.ledger = Ledger(self.folder.ledger, clock=lambda: 0.0)
        self.ledger.append(StudyOpened(trials=9, baselines=[PRIOR], warnings=["a leak"]))
        self.number = 0
        self.replicates: Counter[str] = Counter()

    def trial(
        self,
        losses: dict[int, float],
        end: str = "",
        *,
        variant: str = "",
        config: dict[str, Any] | None = None,
        late: float | None = None,
        **values: Any,
    ) -> str:
        """Record a trial with its reports and its end; returns its name.

        Args:
            losses: value loss by positions seen.
            end: `prune`, `complete`, `fail`, or anything else for none.
            late: value loss of the late stage in all reports.
            values: values of the search space.
        """
        name = f"t{self.number:04d}"
        self.ledger.append(
            Suggested(
                trial=name,
                number=self.number,
                variant=variant or name,
                replicate=self.replicates[variant or name],
                seed=self.number,
                head="512->1",
                origin="tpe",
                values={"value_head": "512->1", **values},
                config=config or {},
            )
        )
        self.replicates[variant or name] += 1
        self.ledger.append(Started(trial=name, attempt=1))
        for positions, loss in losses.items():
            report = report_json(positions, loss)
            if late is not None:
                report["stages"]["late"]["value_loss"] = late
            self.ledger.append(Reported(trial=name, report=ReportSummary.from_json(report)))
        self._end(name, end, losses)
        self.number += 1
        return name

    def _end(self, name: str, end: str, losses: dict[int, float]) -> None:
        last = max(losses, default=0)
        if end == "prune":
            self.ledger.append(
                Decided(
                    trial=name,
                    positions_seen=last,
                    decision="prune",
                    rung=last,
                    rank=3,
                    of=7,
                    value_loss=losses[last],
                )
            )
        elif end == "complete":
            self.ledger.append(
                Decided(
                    trial=name, positions_seen=last, decision="complete", value_loss=losses[last]
                )
            )
        elif end == "fail":
            self.ledger.append(Failed(trial=name, reason="nan: loss is not finite", log="a\nb"))

    def evidence(self, trial: str, positions: int, per_game: np.ndarray) -> None:
        """Write the losses [G] of a trial on each validation game, equal in every stage."""
        count = len(per_game)
        sums = np.repeat(per_game[:, None], 3, axis=1).astype(np.float32)
        counts = np.ones((count, 3), dtype=np.int32)
        losses = GameLosses(np.arange(count), sums, counts)
        write_game_losses(self.folder.trial(trial), positions, losses)

    def board(self, **options: Any) -> Leaderboard:
        """Close the ledger and read the leaderboard."""
        self.ledger.close()
        return read_leaderboard(self.folder, **options)
