"""The small study that `chaos.py` disturbs, and the comparison of its copies."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from hexsearch.errors import LedgerError
from hexsearch.game.board import BLUE, RED, cell_name, winner
from hexsearch.ledger.events import Record
from hexsearch.ledger.ledger import read_ledger, without_times

ROOT = Path(__file__).parents[1]
CALM = "calm"
_SIDE = 5  # of the board
# The moments at which the driver is killed, once in each copy of the study.
MOMENTS = ("report", "phases", "table")
_STORY = frozenset({"suggested", "reported", "decided", "told", "failed"})
FAULTS = (
    "unequal",
    "results_lost",
    "files_lost",
    "trained_twice_beyond_one_interval",
    "left_running_in_optuna",
)


def _small_games(folder: Path) -> Path:
    """Random games on a small board, on which most of a study's time is not spent in evaluation."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        board = np.zeros((_SIDE, _SIDE), dtype=np.int8)
        moves: list[int] = []
        for cell in rng.permutation(_SIDE**2).tolist():
            board.reshape(-1)[cell] = BLUE if len(moves) % 2 == 0 else RED
            moves.append(cell)
            if winner(board):
                break
        lines.append(f"#{_SIDE}," + "".join(cell_name(cell, _SIDE) for cell in moves))
    path = folder / "games.trmph"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class Study:
    """One small study that is run by the command line, in a calm copy and in disturbed ones.

    Attributes:
        copy: name of the copy that is disturbed at present.
        outcome: counts over all copies that were compared.
    """

    def __init__(self, results: Path, arguments: argparse.Namespace, cluster: Any) -> None:
        self.results, self.cluster = results, cluster
        self.copy, self.outcome = "chaos", Counter(dict.fromkeys(FAULTS, 0))
        self._options = ["--seed", arguments.seed, "--trials", arguments.trials]
        self._options += ["--games", _small_games(results)]
        self._settings: dict[str, Any] = {
            "data.board_size": _SIDE,
            "run.max_concurrent": 1,
            "run.retries": arguments.rounds + 1,
            "scheduler.max_t": arguments.positions,
            "scheduler.grace_period": arguments.positions // 9,
            "scheduler.report_every": arguments.positions // 18,
        }
        if arguments.victim == "moment":  # a second phase, as short as possible
            confirmed = {"winners": 1, "seeds": 1}
            self._settings |= {"phases": ["search", "confirm"], "confirm": confirmed}
            self._settings["scheduler.report_every"] = arguments.positions // 3
        self._address = ["--address", cluster.address] if cluster else []
        self._kills_in_trial: Counter[str] = Counter()
        self._kept: list[Record] = []

    def launch(
        self, name: str, *more: str, stdout: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a new copy."""
        settings = [
            part
            for key, value in self._settings.items()
            for part in ("--set", f"{key}={json.dumps(value)}")
        ]
        space = ROOT / "search_spaces" / "smoke.yaml"
        return self._run(
            "launch", space, "--no-doctor", "--results", self.results, "--name", name,
            *self._options, *settings, *self._address, *more, stdout=stdout,
        )  # fmt: skip

    def go_on(self) -> subprocess.Popen[bytes]:
        """Start the disturbed copy, or resume it if it has begun."""
        if not self._ledger(self.copy).exists() or not read_ledger(self._ledger(self.copy)):
            return self.launch(self.copy)
        return self._run("resume", self.results / self.copy, *self._address)

    def begin_another(self, name: str) -> None:
        """Make the next copy the disturbed one."""
        self.copy, self._kept = name, []
        self._kills_in_trial.clear()

    def records(self, name: str) -> list[Record]:
        """The complete records of a copy; none if it has no ledger yet."""
        try:
            return read_ledger(self._ledger(name))
        except LedgerError:
            return []

    def lines(self) -> int:
        """Number of lines of the disturbed copy's ledger."""
        try:
            return self._ledger(self.copy).read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0

    def story(self, name: str) -> list[Record]:
        """The decisions and figures of a copy, without times."""
        return [without_times(r) for r in self.records(name) if r["event"] in _STORY]

    def losses(self, trial: str, positions: int) -> Path:
        """The file that the disturbed copy's worker writes first for a report."""
        return self.results / self.copy / "trials" / trial / f"games-{positions}.npz"

    def note_kill(self) -> None:
        """Check that the ledger still holds all records that it had at the previous kill."""
        self._note_loss()
        self._kills_in_trial.update([self._kept[-1]["trial"]] if self._kept else [])
        records = self.records(self.copy)
        self.outcome[f"killed_after_{records[-1]['event'] if records else 'nothing'}"] += 1

    def settle(self) -> None:
        """Compare the disturbed copy, after its end, with the calm one."""
        self._note_loss()
        calm, chaos = self.story(CALM), self.story(self.copy)
        twice, beyond = self._trained_twice()
        self.outcome.update(
            {
                "unequal": int(calm != chaos or not calm),
                "reports": sum(record["event"] == "reported" for record in chaos),
                "trials": sum(record["event"] == "told" for record in chaos),
                "files_lost": len(self._files(CALM) - self._files(self.copy)),
                "reports_trained_twice": twice,
                "trained_twice_beyond_one_interval": beyond,
                "left_running_in_optuna": self._running_in_optuna(),
            }
        )

    def _note_loss(self) -> None:
        records = self.story(self.copy)
        lost = sum(1 for a, b in zip(self._kept, records, strict=False) if a != b)
        self.outcome["results_lost"] += lost + max(0, len(self._kept) - len(records))
        self._kept = records

    def _trained_twice(self) -> tuple[int, int]:
        """Number of reports that were trained again, and of those that the kills do not explain.

        A trial's curve gets a line whenever an interval has been trained, before the
        checkpoint; a report handed out again from its checkpoint adds none.
        """
        twice = beyond = 0
        for curve in sorted((self.results / self.copy / "trials").glob("*/curve.jsonl")):
            lines = curve.read_text().splitlines()
            seen = Counter(json.loads(line)["positions_seen"] for line in lines)
            again = sum(count - 1 for count in seen.values())
            twice += again
            beyond += max(0, again - self._kills_in_trial[curve.parent.name])
        return twice, beyond

    def _files(self, name: str) -> set[str]:
        """The files of trials, without the older one of two checkpoints."""
        folder = self.results / name / "trials"
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        return {path for path in found if not path.endswith((".previous.pt", ".partial"))}

    def _running_in_optuna(self) -> int:
        """Number of running trials in Optuna's storage; 0 if the study has none."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
        from optuna.trial import TrialState

        path = self.results / self.copy / "optuna.journal"
        if not path.exists():
            return 0
        storage = JournalStorage(JournalFileBackend(str(path)))
        (study,) = storage.get_all_studies()
        trials = storage.get_all_trials(study._study_id, deepcopy=False)
        return sum(trial.state == TrialState.RUNNING for trial in trials)

    def _ledger(self, name: str) -> Path:
        return self.results / name / "ledger.jsonl"

    def _run(self, *arguments: object, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "run_search.py"), *map(str, arguments)],
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
