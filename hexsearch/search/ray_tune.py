"""Ray Tune's interfaces over the engine. Ray places and runs; the engine knows and decides.

Tune pickles its searcher, scheduler and callbacks when a run starts, for a restore of its own
that is never used here (it forgets rungs and repeats trials). What it pickles is therefore
emptied: resuming is a new run over the same ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hexsearch.errors import HexsearchError
from hexsearch.search.engine import Engine
from hexsearch.search.history import TrialHistory
from hexsearch.search.worker import HANG_LOG, Assignment

_LOG_LINES = 20


class _Unpicklable:
    """Leaves the engine behind when Tune takes its snapshot."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class TuneSearcher(_Unpicklable, Searcher):  # type: ignore[misc]
    """Hands the engine's next trial to Tune."""

    def __init__(self, engine: Engine, assign: Callable[[TrialHistory], Assignment]) -> None:
        super().__init__(metric=None, mode=None)
        self._engine, self._assign = engine, assign
        self._names: dict[str, str] = {}  # Ray's trial id -> ours
        self.errors: dict[str, tuple[str, str]] = {}  # our trial -> reason and log of its error

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        """Accept anything: the metric is the engine's business."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """A configuration, None to be asked again later, or FINISHED."""
        following = self._engine.next_trial()
        if following == "finished":
            return Searcher.FINISHED
        if following == "wait":
            return None
        assert isinstance(following, TrialHistory)
        self._names[trial_id] = following.trial
        return asdict(self._assign(following))

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Reports reach the engine through the scheduler, which decides."""

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial's worker is gone; an error here means that no retry is left."""
        name = self._names.pop(trial_id, None)
        if name is None:
            return
        if error:
            self._engine.fail(name, *self.errors.get(name, ("its worker process died", "")))
        self._engine.release(name)


class TuneScheduler(_Unpicklable, FIFOScheduler):  # type: ignore[misc]
    """Passes results to the engine and its decisions to Tune."""

    def __init__(self, engine: Engine, searcher: TuneSearcher) -> None:
        super().__init__()
        self._engine, self._searcher = engine, searcher

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP."""
        name = trial.config["trial"]
        message = json.loads(result["message"])
        if "storage" in message:
            text = f"{message['storage']}. What is on disk is whole; make room and resume"
            self._engine.halt("end of storage", HexsearchError(text))
            return str(TrialScheduler.STOP)
        if "failure" in message:
            self._engine.fail(name, f"{message['verdict']}: {message['failure']}")
            return str(TrialScheduler.STOP)
        decision = self._engine.report(name, message["report"])
        return str(TrialScheduler.CONTINUE if decision == "continue" else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep the reason; whether it is final shows when the searcher is told."""
        text = str(trial.get_error() or "")
        reason, hang = _reason(text), Path(trial.config["folder"]) / HANG_LOG
        if hang.exists() and (stack := hang.read_text(encoding="utf-8", errors="replace")):
            seconds = trial.config["hang_timeout"]
            reason, text = f"no report within {seconds:,.0f} s (run.hang_timeout)", stack
        log = "\n".join(text.splitlines()[-_LOG_LINES:])
        self._searcher.errors[trial.config["trial"]] = (reason, log)


class EngineCallback(_Unpicklable, Callback):  # type: ignore[misc]
    """Starts of trials to the ledger; a heartbeat for deadlines and the console."""

    def __init__(self, engine: Engine, beat: Callable[[], None]) -> None:
        self._engine, self._beat = engine, beat

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker begins, or begins again after an error."""
        self._engine.start(trial.config["trial"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune's loop, several times a second."""
        self._beat()


def _reason(traceback: str) -> str:
    """The last line of a traceback that names an error.

    >>> _reason("Traceback:\\n  File x\\nValueError: bad\\n")
    'ValueError: bad'
    """
    lines = [line for line in traceback.splitlines() if line and not line.startswith(" ")]
    return lines[-1] if lines else "its worker process died"
