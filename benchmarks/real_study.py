"""Real studies of a few searches on real games: what does each know after the same time?

`python benchmarks/real_study.py --games GAMES --folder FOLDER --seeds 1 2 --minutes 30` launches a
study of `real_study.yaml` for each search and seed, two at a time, one trial at a time each: the
search as it is now, the one of an older commit (`--before`) with its own defaults, and random draws
that are all trained to their end. A study that the folder holds already is not run again. On a
processor without instructions for bfloat16, `--set precision=float32` is many times as fast.

Nothing else should run meanwhile. The best of the trials that have come furthest is what a study
knows. It is shown after a half and three quarters of the time, too. The last winner is exported and
judged on test games, which no study has seen, with the difference to the winner of `now` and its
95% interval, paired by game.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
SPACE = HERE / "real_study.yaml"
ARMS: dict[str, tuple[str, ...]] = {
    "now": (),
    "before": (),
    "random": ("--set", "searcher.name=random", "--set", "scheduler.name=none"),
}
SHARES = (0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Study:
    """One study: its search, its seed, its folder, and the code that runs it."""

    arm: str
    seed: int
    results: Path
    tree: Path

    @property
    def name(self) -> str:
        return f"{self.arm}{self.seed}"

    @property
    def folder(self) -> Path:
        return self.results / self.name

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the study's own version, with one thread."""
        return hexsearch(self.tree, *words)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where the studies go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--before", default="ca20252", metavar="COMMIT")
    parser.add_argument("--searches", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of all studies"
    )
    args = parser.parse_args()
    settings = [word for each in args.set for word in ("--set", each)]
    results = args.folder.resolve()
    # The older version runs in another folder.
    games = str(Path(args.games).resolve())
    with tempfile.TemporaryDirectory() as spare:
        older = Path(spare) / "before"
        if "before" in args.searches:
            git("worktree", "add", "--detach", str(older), args.before)
        try:
            studies = [
                Study(arm, seed, results, older if arm == "before" else ROOT)
                for seed in args.seeds
                for arm in args.searches
            ]
            with ThreadPoolExecutor(2) as pool:
                list(
                    pool.map(lambda study: launched(study, games, args.minutes, settings), studies)
                )
            print(
                "| search | seed | tried | ended | positions | best on validation games, by time |"
            )
            print("|---|--:|--:|--:|--:|---|")
            for study in studies:
                print(line(study, args.minutes * 60), flush=True)
            judge(studies, games)
        finally:
            if older.exists():
                git("worktree", "remove", "--force", str(older))
    return 0


def launched(study: Study, games: str, minutes: float, settings: Sequence[str]) -> None:
    """Run a study to the end of its time, unless it exists."""
    if (study.folder / "ledger.jsonl").exists():
        return
    done = study.call(
        "launch", str(SPACE), "--games", games, "--results", str(study.results),
        "--name", study.name, "--seed", str(study.seed), "--no-doctor",
        "--time-budget", f"{minutes * 60:.0f}s", *settings, *ARMS[study.arm],
    )  # fmt: skip
    (study.results / f"{study.name}.log").write_text(done.stdout + done.stderr)
    if done.returncode and not (study.folder / "ledger.jsonl").exists():
        raise SystemExit(f"{study.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def line(study: Study, seconds: float) -> str:
    """A row of the table."""
    events = list(records(study.folder / "ledger.jsonl"))
    reports = [event for event in events if event["event"] == "reported"]
    last = max(report["report"]["positions_seen"] for report in reports)
    seen = {event["trial"]: event["report"]["positions_seen"] for event in reports}
    ended = [event for event in reports if event["report"]["positions_seen"] == last]
    began = min(event["at"] for event in events if event["event"] == "started")
    known = []
    for share in SHARES:
        there = [
            event["report"]["value_loss"]
            for event in ended
            if event["at"] - began <= share * seconds + 60
        ]
        known.append(f"{min(there):.4f}" if there else "none")
    return (
        f"| {study.arm} | {study.seed} | {len(seen)} | {len(ended)} | {sum(seen.values()):,} "
        f"| {' '.join(known)} |"
    )


def judge(studies: Sequence[Study], games: str) -> None:
    """Value loss of the winners on test games, and how far they are from that of `now`."""
    print("\n| search | seed | value loss on test games | minus now |\n|---|--:|---|---|")
    models = {study.name: winner(study) for study in studies}
    for study in studies:
        words = ["analyze", str(models[study.name]), "--games", games, "--test-games"]
        rival = models.get(f"now{study.seed}")
        if rival is not None and study.arm != "now":
            words += ["--against", str(rival)]
        found = json.loads(hexsearch(ROOT, *words, "--format", "json").stdout)
        print(f"| {study.arm} | {study.seed} | {judged(found)} |", flush=True)


def judged(found: dict[str, Any]) -> str:
    """Two cells of a row: a value loss with its interval, and the difference to the rival."""
    overall = found["overall"]
    low, high = overall["value_loss_low"], overall["value_loss_high"]
    text = f"{overall['value_loss']:.4f} ({low:.4f} to {high:.4f}) |"
    if found.get("against") is None:
        return text
    apart = found["against"]["overall"]
    low, high = apart["low"], apart["high"]
    return f"{text} {apart['difference']:+.4f} ({low:+.4f} to {high:+.4f})"


def winner(study: Study) -> Path:
    """The exported checkpoint of a study's winner."""
    folder = study.results / f"{study.name}-winner"
    if not (folder / "model.pt").exists():
        done = study.call("export", str(study.folder), "--output", str(folder))
        if done.returncode:
            raise SystemExit(done.stderr)
    return folder / "model.pt"


def records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a ledger of any version."""
    for text in path.read_text().splitlines():
        yield json.loads(text)["record"]


def hexsearch(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Ray adds 15 to the niceness of older versions' workers, which then wait for everything else.
    own = {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
    command = [sys.executable, str(tree / "run_search.py"), *words]
    return subprocess.run(
        command, env=os.environ | own, cwd=tree, capture_output=True, text=True, check=False
    )


def git(*words: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True)


if __name__ == "__main__":
    raise SystemExit(main())
