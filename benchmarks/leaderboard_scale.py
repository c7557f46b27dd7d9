"""Measures how long the leaderboard and the page of a large study take.

`python benchmarks/leaderboard_scale.py --study DIR` writes the folder of a study that never ran
(its ledger is that of a simulated ASHA search, its per-game losses are random), and times the
command on it in new processes.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np

from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.ledger.events import (
    Decided,
    Finished,
    Reported,
    Started,
    StudyOpened,
    Suggested,
    Told,
)
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.ledger import Ledger
from hexsearch.ledger.report import ReportSummary
from hexsearch.model.cost import NetworkCost
from hexsearch.search.space import variant_key
from hexsearch.search.space_parsing import build_space
from hexsearch.training.metrics import Evaluation, GameLosses
from hexsearch.training.monitors.gradients import GradientHealth
from hexsearch.training.monitors.verdict import Verdict
from hexsearch.training.report import TrialReport

HEADS = ["512->1", "512->32->1", "512->64->1", "512->128->64->1", "reduced 512->64->1"]
RUNGS = (20_000, 60_000, 180_000)
GAMES = 900
ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, metavar="DIR")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    folder = StudyFolder(args.study)
    if not folder.ledger.exists():
        write_study(folder, args.trials)
    megabytes = folder.ledger.stat().st_size / 1e6
    print(f"{args.trials:,} trials, ledger of {megabytes:.0f} MB")
    for form in ("table", "json"):
        command = [sys.executable, str(ROOT / "run_search.py"), "leaderboard", str(args.study)]
        seconds = []
        for _ in range(args.repeats):
            started = time.perf_counter()
            subprocess.run([*command, "--format", form], check=True, capture_output=True)
            seconds.append(time.perf_counter() - started)
        print(f"leaderboard --format {form}: median {statistics.median(seconds):.2f} s")
    started = time.perf_counter()
    subprocess.run([sys.executable, str(ROOT / "run_search.py"), "report", str(args.study)],
                   check=True, capture_output=True)  # fmt: skip
    page = args.study / "report.html"
    print(f"report: {time.perf_counter() - started:.2f} s, {page.stat().st_size / 1e6:.1f} MB")
    return 0


def write_study(folder: StudyFolder, trials: int) -> None:
    """Write a study in which a third of the trials continues at each rung.

    A tenth of the trials repeats a variant with another seed.
    """
    rng = np.random.default_rng(0)
    raw = {
        "question": "How long does its leaderboard take?",
        "search": {
            "value_head": {"choice": HEADS},
            "optimiser.learning_rate": {"float": [1e-3, 1e-2], "log": True},
            "optimiser.weight_decay": {"float": [1e-5, 1e-1], "log": True},
        },
    }
    config = build(StudyConfig, raw, "")
    space = build_space(config)
    example = example_report(rng)
    games = SimulatedGames(rng)
    ledger = Ledger(folder.ledger)
    ledger.append(
        StudyOpened(
            trials=trials,
            config=config.model_dump(mode="json", by_alias=True, exclude_none=True),
            baselines=[{"name": "prior", **example}],
        )
    )
    values: dict[str, object] = {}
    replicate = 0
    for number in range(trials):
        name = f"t{number:04d}"
        if not values or rng.random() > 0.1:
            replicate = 0
            values = {
                "value_head": HEADS[int(rng.integers(len(HEADS)))],
                "optimiser.learning_rate": float(np.exp(rng.uniform(-7, -4.6))),
                "optimiser.weight_decay": float(np.exp(rng.uniform(-11, -2.3))),
            }
        else:
            replicate += 1
        resolved = space.resolve(values)
        ledger.append(
            Suggested(
                trial=name,
                number=number,
                variant=variant_key(resolved),
                replicate=replicate,
                seed=replicate,
                origin="tpe",
                head=resolved.value_head.name,
                values=values,
                config=resolved.model_dump(mode="json"),
            )
        )
        ledger.append(Started(trial=name, attempt=1))
        ended = run_trial(ledger, folder, name, example, games)
        ledger.append(Told(trial=name, state="COMPLETE" if ended == "complete" else "PRUNED"))
    ledger.append(Finished())
    ledger.close()


class SimulatedGames:
    """Per-game losses that are drawn at random. All trials share the part of the games."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.lengths = rng.integers(10, 40, (GAMES, 3))
        self.shared = self.lengths * rng.normal(0.16, 0.1, (GAMES, 3))
        self.mean = float(self.shared.sum() / self.lengths.sum())

    def losses(self, gain: float) -> GameLosses:
        """The losses of a trial that is worse by `gain` than the others."""
        noise = self.rng.normal(0.0, 0.03, (GAMES, 3))
        sums = (self.shared + self.lengths * (gain + noise)).astype(np.float32)
        return GameLosses(np.arange(GAMES), sums, self.lengths.astype(np.int32))


def run_trial(
    ledger: Ledger,
    folder: StudyFolder,
    name: str,
    example: dict[str, object],
    games: SimulatedGames,
) -> str:
    """Append the reports and decisions of one trial. Returns its last decision."""
    rng = games.rng
    gain = float(rng.normal(0.0, 0.002))
    for rung in RUNGS:
        loss = round(games.mean + gain, 7)
        said = {**example, "positions_seen": rung, "value_loss": loss}
        ledger.append(Reported(trial=name, report=ReportSummary.from_json(said)))
        last = rung == RUNGS[-1]
        goes_on = rng.random() < 1 / 3
        decision: Literal["complete", "continue", "prune"] = (
            "complete" if last else "continue" if goes_on else "prune"
        )
        if last:
            write_game_losses(folder.trial(name), rung, games.losses(gain))
        ledger.append(
            Decided(
                trial=name,
                positions_seen=rung,
                value_loss=loss,
                decision=decision,
                rung=None if last else rung,
                rank=1,
                of=3,
                cutoff=0.2,
            )
        )
        if decision == "prune":
            break
    return decision


def example_report(rng: np.random.Generator) -> dict[str, object]:
    """A worker's summary of answers that are drawn."""
    count = 5000
    evaluation = Evaluation(
        win_prob_red=rng.random(count),
        red_won=rng.integers(0, 2, count).astype(np.float64),
        stage=rng.integers(0, 3, count).astype(np.int8),
        to_end=rng.integers(0, 60, count),
        final=rng.random(count) < 0.02,
        game=rng.integers(0, GAMES, count),
        ply=rng.integers(0, 80, count),
    )
    report = TrialReport(
        positions_seen=1,
        metrics=evaluation.metrics(),
        policy_loss=4.0,
        train_value_loss=0.2,
        train_policy_loss=4.0,
        gradients=GradientHealth(),
        activations={},
        evaluation_activations={},
        verdict=Verdict("healthy", ""),
        game_losses=evaluation.game_losses(),
        timings={"train_s": 1.0, "evaluate_s": 1.0, "positions_per_s": 1.0},
    )
    return ReportSummary.of(report, NetworkCost(461_000, 18.0, 100.0)).to_json()


if __name__ == "__main__":
    raise SystemExit(main())
