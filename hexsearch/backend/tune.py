"""Ray Tune's interfaces over the engine. Ray places and runs; the engine knows and decides.

Tune pickles its searcher, scheduler and callbacks when a run starts, for a restore of its own
that is never used here (it forgets rungs and repeats trials). What it pickles is therefore
emptied: resuming is a new run over the same ledger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from hexsearch.backend.faults import DIED, Fault, explain, explain_hang
from hexsearch.backend.trainable import HANG_LOG, Assignment
from hexsearch.errors import DiskError
from hexsearch.ledger.history import TrialHistory
from hexsearch.search.engine import Engine


class _Unpicklable:
    """Leaves the engine behind when Tune takes its snapshot."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SignsOfLife:
    """When each trial was last heard of, and what became of one that is heard of no more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: dict[str, float] = {}

    def note(self, name: str) -> None:
        """A trial's worker has begun or reported."""
        self._at[name] = self._clock()

    def fault(self, trial: Any) -> Fault:
        """What ended an attempt, given Ray's trial."""
        task = trial.config
        silent_s = self._clock() - self._at.get(task["trial"], self._clock())
        stacks, hang = "", Path(task["folder"]) / HANG_LOG
        if task["trial_files"] is None and hang.exists():
            stacks = hang.read_text(encoding="utf-8", errors="replace")
            hang.unlink()  # the next attempt may end before it opens its own
        seconds = task["hang_timeout"]
        # A worker with files in storage leaves its stacks on its node; the wait tells as well.
        if stacks or (task["trial_files"] is not None and seconds and silent_s >= seconds):
            return explain_hang(seconds, stacks)
        return explain(_last_error(trial))


class TuneSearcher(_Unpicklable, Searcher):  # type: ignore[misc]
    """Hands the engine's next trial to Tune."""

    def __init__(self, engine: Engine, assign: Callable[[TrialHistory], Assignment]) -> None:
        super().__init__(metric=None, mode=None)
        self._engine, self._assign = engine, assign
        self._names: dict[str, str] = {}  # Ray's trial id -> ours
        self.faults: dict[str, Fault] = {}  # our trial -> what ended its last attempt

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
        """A trial's worker is gone, perhaps by an error; the engine says what comes of that."""
        name = self._names.pop(trial_id, None)
        if name is None:
            return
        if error:
            fault = self.faults.get(name, Fault(DIED))
            self._engine.lose(name, fault.reason, fault.log)
        self._engine.release(name)


class TuneScheduler(_Unpicklable, FIFOScheduler):  # type: ignore[misc]
    """Passes results to the engine and its decisions to Tune."""

    def __init__(
        self,
        engine: Engine,
        searcher: TuneSearcher,
        signs: SignsOfLife,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__()
        self._engine, self._searcher, self._signs, self._say = engine, searcher, signs, say

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP."""
        name = trial.config["trial"]
        self._signs.note(name)
        message = json.loads(result["message"])
        if "storage" in message:
            self._engine.halt("end of storage", DiskError(message["storage"]))
            return str(TrialScheduler.STOP)
        if "failure" in message:
            self._engine.fail(name, f"{message['verdict']}: {message['failure']}")
            return str(TrialScheduler.STOP)
        for warning in message.get("warnings", ()):
            self._say(f"warning: {name}: {warning}")
        decision = self._engine.report(name, message["report"])
        return str(TrialScheduler.CONTINUE if decision == "continue" else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep the reason for when the searcher is told."""
        self._searcher.faults[trial.config["trial"]] = self._signs.fault(trial)


class EngineCallback(_Unpicklable, Callback):  # type: ignore[misc]
    """Starts of trials to the ledger; a heartbeat for deadlines and the console."""

    def __init__(self, engine: Engine, signs: SignsOfLife, beat: Callable[[], None]) -> None:
        self._engine, self._signs, self._beat = engine, signs, beat

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker begins, or begins again after an error."""
        self._signs.note(trial.config["trial"])
        self._engine.start(trial.config["trial"])

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune's loop, several times a second."""
        self._beat()


def _last_error(trial: Any) -> str:
    """What Ray noted of a trial's last failure.

    Not by the trial's own `get_error`, which reads from Tune's storage: Tune copies the file there
    once an hour, or with checkpoints, which are ours (ray 2.60).
    """
    if not trial.error_file or not Path(trial.error_file).exists():
        return ""
    text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
    _, _, last = text.rpartition("Failure # ")
    return last.partition("\n")[2]
