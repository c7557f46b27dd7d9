"""A study that lies in a folder: running, interrupted or finished."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    import pandas as pd

    from hexsearch.interface.callbacks import Callback


class Study:
    """What `launch`, `resume`, `compare` and `load_study` return.

    Nothing is kept in memory: each call reads the ledger anew, so that a study that another
    process runs can be looked at while it goes on.

    Example:
        >>> study = hs.load_study("results/mine")                    # doctest: +SKIP
        >>> study.leaderboard()                                      # doctest: +SKIP
        >>> study.trial("t0007").predictor().answer(["#13,g7f8"])    # doctest: +SKIP
    """

    def __init__(self, folder: StudyFolder) -> None:
        self.folder = folder

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.folder.path

    @property
    def name(self) -> str:
        """Its name, which is the folder's."""
        return self.folder.name

    @property
    def config(self) -> StudyConfig:
        """Everything that was asked for."""
        return self.folder.read_description()[1]

    @property
    def state(self) -> str:
        """running, interrupted or finished."""
        return state_of(self._history(), self.folder)

    @property
    def trials(self) -> tuple[StudyTrial, ...]:
        """All trials, in the order in which they were suggested."""
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

    def leaderboard(self, by: By = "variant", stage: str | None = None) -> Board:
        """Who leads, and how sure that is.

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

        from hexsearch.interface.frames import curve_point

        history = self._history()
        points = [
            curve_point(event.trial, variant_name(history.trials[event.trial]), event.report)
            for event in read_events(self.folder.ledger)
            if isinstance(event, Reported)
        ]
        return pd.DataFrame(points)

    def report(self, output: str | Path | None = None) -> Path:
        """Write one self-contained HTML page; `report.html` in the study's folder by default."""
        from hexsearch.report.html.page import write_report

        return write_report(self.folder, None if output is None else Path(output))

    def resume(
        self,
        trials: int = 0,
        *,
        address: str | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool = True,
    ) -> Study:
        """Go on where the study stopped.

        Args:
            trials: further ones, beyond those that it was to have.
        """
        from hexsearch.interface.studies import resume

        return resume(
            self.path, trials=trials, address=address, callbacks=callbacks, progress=progress
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
    """A study by its folder; nothing is changed in it.

    Example:
        >>> hs.load_study("results/mine").curves()                   # doctest: +SKIP

    Raises:
        LedgerError: no study lies there.
        ConfigError: its study.yaml is damaged.
    """
    folder = StudyFolder(Path(path))
    folder.read_description()
    study = Study(folder)
    study._history()
    return study
