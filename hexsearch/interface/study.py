"""A study in a folder, which is running, interrupted or finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsearch.config.study import StudyConfig
from hexsearch.errors import LedgerError
from hexsearch.interface.board import Board
from hexsearch.interface.trial import StudyTrial
from hexsearch.leaderboard.leaderboard import By, read_leaderboard, state_of
from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.events import Reported
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.ledger import read_events
from hexsearch.ledger.named import find_study

if TYPE_CHECKING:
    import pandas as pd

    from hexsearch.interface.callbacks import Callback


class Study:
    """A study, as `launch`, `resume`, `compare` and `load_study` return it.

    Each call reads the ledger again, so a study that another process runs can be read while it is
    running.

    Example:
        >>> study = hs.load_study("results/mine")                    # doctest: +SKIP
        >>> study.leaderboard()                                      # doctest: +SKIP
        >>> study.trial("t0007").predictor().answer(["#13,g7f8"])    # doctest: +SKIP
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """The folder of the study."""
        return self.folder.path

    @property
    def name(self) -> str:
        """The name of the study, which is that of its folder."""
        return self.folder.name

    @property
    def config(self) -> StudyConfig:
        """The whole configuration of the study."""
        return self.folder.read_description()[1]

    @property
    def state(self) -> str:
        """running, interrupted or finished."""
        return state_of(self._history(), self.folder)

    @property
    def trials(self) -> tuple[StudyTrial, ...]:
        """All trials, in the order in which they were planned."""
        trials = self._history().trials.values()
        return tuple(StudyTrial(self.folder, trial) for trial in trials)

    def trial(self, name: str) -> StudyTrial:
        """One trial by its name, such as `t0007`.

        Raises:
            LedgerError: the study has no such trial.
        """
        trials = self._history().trials
        if name not in trials:
            known = f"t0000 to {list(trials)[-1]}" if trials else "none yet"
            raise LedgerError(f"{self.path}: has no trial {name!r}; it has {known}")
        return StudyTrial(self.folder, trials[name])

    @property
    def best_trial(self) -> StudyTrial:
        """The first trial of the leaderboard that has kept its checkpoint.

        Raises:
            LedgerError: no trial has kept one yet.
        """
        for row in self.leaderboard(by="trial").rows:
            trial = self.trial(row.trial_ids[0])
            if row.rank is not None and trial.checkpoint.exists():
                return trial
        raise LedgerError(
            f"{self.path}: no ranked trial has a checkpoint yet; go on with resume(), or raise "
            "run.keep_checkpoints for a new study"
        )

    def leaderboard(self, by: By = "variant", stage: str | None = None) -> Board:
        """The leaderboard of the study.

        Args:
            by: `variant` joins trials that differ only in their seed; `trial` lists each.
            stage: rank by early, middle, late, penultimate or final positions alone.
        """
        return Board(read_leaderboard(self.folder, by, stage))

    def curves(self) -> pd.DataFrame:
        """One line for each report of each trial.

        Columns: trial, variant, positions_seen, seconds (of training), value_loss, accuracy,
        train_value_loss, verdict, and the value loss of each stage of the game.
        """
        import pandas as pd

        from hexsearch.interface.frames import CURVE_COLUMNS, curve_point

        history = self._history()
        points = [
            curve_point(event.trial, variant_name(history.trials[event.trial]), event.report)
            for event in read_events(self.folder.ledger)
            if isinstance(event, Reported)
        ]
        return pd.DataFrame(points, columns=CURVE_COLUMNS)

    def report(self, output: str | Path | None = None) -> Path:
        """Write one self-contained HTML page; `report.html` in the study's folder by default."""
        from hexsearch.report.html.page import write_report

        return write_report(self.folder, None if output is None else Path(output))

    def resume(
        self,
        trials: int = 0,
        *,
        time_budget: str | float | None = None,
        set: Mapping[str, Any] | None = None,
        address: str | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
    ) -> Study:
        """Continue the study.

        Args:
            trials: number of further trials.
            time_budget: as of `launch`, for this session.
            set: settings of `run` that change from now on, such as `{"run.max_concurrent": 1}`.
        """
        from hexsearch.interface.studies import resume

        return resume(
            self.path,
            trials=trials,
            time_budget=time_budget,
            set=set,
            address=address,
            callbacks=callbacks,
            progress=progress,
        )

    def __repr__(self) -> str:
        history = self._history()
        return f"Study({str(self.path)!r}: {self.state}, {len(history.trials)} trials)"

    def _repr_html_(self) -> str:
        from html import escape

        head = f"<p><b>{escape(self.name)}</b>: {escape(self.config.question)} ({self.state})</p>"
        return head + self.leaderboard()._repr_html_()

    def _history(self) -> StudyHistory:
        return StudyHistory.read(self.folder.ledger)


def load_study(path: str | Path) -> Study:
    """A study from its folder, or from its name in `results`. It is not changed.

    Example:
        >>> hs.load_study("results/mine").curves()                   # doctest: +SKIP

    Raises:
        LedgerError: there is no study.
        ConfigError: its study.yaml is damaged.
    """
    folder = StudyFolder(find_study(Path(path)))
    folder.read_description()
    study = Study(folder)
    study._history()
    return study
