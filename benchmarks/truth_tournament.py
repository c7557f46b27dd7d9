"""Does a tournament on shared trunks say what independent trainings say, and what does it cost?

`python benchmarks/truth_tournament.py --games GAMES --runs DIR` trains eight heads with some
seeds apart, one plain trial after the other, and then together on one trunk for each seed, in one
thread. It keeps every run's per-game validation losses in DIR and goes on when started again.
Heads that `benchmarks/truth.py` has trained into DIR are taken from there. It prints, as
Markdown, CPU seconds, value losses, the width of intervals, and how far the rankings agree.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from truth import VARIANTS

from hexsearch.config.section import build
from hexsearch.config.study import DataConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.dataset import Dataset
from hexsearch.data.importing import import_games
from hexsearch.reporting.agreement import HeadRuns, agreement, sentence
from hexsearch.reporting.ranking import rank
from hexsearch.reporting.statistics import game_table
from hexsearch.reporting.variance import Panel
from hexsearch.search.evidence import read_game_losses, write_game_losses
from hexsearch.training.metrics import GameLosses
from hexsearch.training.shared_trial import SharedTrial
from hexsearch.training.trial import Trial

RATE = 4e-3
# Number of the run folder, as in truth.py -> name. Heads on one trunk share the learning rate.
HEADS = {
    **{
        number: (name, head, readout)
        for number, (name, (head, readout, rate)) in enumerate(VARIANTS.items())
        if rate == RATE
    },
    len(VARIANTS): ("512->32->1 sigmoid_mse", "512->32->1", "sigmoid_mse"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", required=True)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--positions", type=int, default=40_000)
    parser.add_argument("--validation-games", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = DataConfig(validation_games=args.validation_games)
    archive, _ = import_games([args.games], data.board_size)
    dataset = Dataset(archive, data)
    configs = [config_of(head, readout) for _, head, readout in HEADS.values()]
    for seed in range(args.seeds):
        together(configs, dataset, args.runs, seed, args.positions)
    for seed in range(args.seeds):
        apart(configs, dataset, args.runs, seed, args.positions)
    print(compare(args.runs, args.seeds, args.positions))
    return 0


def config_of(head: str, readout: str) -> TrialConfig:
    raw = {
        "trunk": "small",
        "encoder": {"perspective": "mover"},
        "policy_head": {"weight": 0.1},
        "batch_size": 64,
        "value_head": head,
        "readout": readout,
        "optimiser": {"learning_rate": RATE},
    }
    return build(TrialConfig, raw, "trial")


def together(
    configs: list[TrialConfig], dataset: Dataset, runs: Path, seed: int, positions: int
) -> None:
    """One seed of all heads on one trunk."""
    folders = [runs / f"shared{number}-seed{seed}" for number in HEADS]
    if all(read_game_losses(folder, positions) for folder in folders):
        return
    started = time.process_time()
    trial = SharedTrial(configs, dataset, positions, seed)
    trial.train_to(positions)
    reports = trial.report()
    seconds = time.process_time() - started
    for folder, report in zip(folders, reports, strict=True):
        write_game_losses(folder, positions, report.game_losses)
    (runs / f"shared-seed{seed}.json").write_text(json.dumps({"seconds": seconds}))
    print(f"all on one trunk, seed {seed}: {seconds:.0f} s", flush=True)


def apart(
    configs: list[TrialConfig], dataset: Dataset, runs: Path, seed: int, positions: int
) -> None:
    """One seed of each head with a trunk of its own; those that are there are kept."""
    for number, config in zip(HEADS, configs, strict=True):
        folder = runs / f"variant{number}-seed{seed}"
        if read_game_losses(folder, positions) is not None:
            continue
        started = time.process_time()
        trial = Trial(config, dataset, positions, seed)
        trial.train_to(positions)
        report = trial.report()
        seconds = time.process_time() - started
        write_game_losses(folder, positions, report.game_losses)
        (runs / f"apart{number}-seed{seed}.json").write_text(json.dumps({"seconds": seconds}))
        print(f"{HEADS[number][0]} apart, seed {seed}: {seconds:.0f} s", flush=True)


def panel_of(runs: Path, kind: str, seeds: int, positions: int) -> Panel:
    losses: list[GameLosses] = []
    for number in HEADS:
        for seed in range(seeds):
            found = read_game_losses(runs / f"{kind}{number}-seed{seed}", positions)
            assert found is not None, "just written"
            losses.append(found)
    table = game_table(losses)
    assert table is not None, "hundreds of games"
    names = [number for number in HEADS for _ in range(seeds)]
    return Panel.of(table, names, list(range(seeds)) * len(HEADS))


def compare(runs: Path, seeds: int, positions: int) -> str:
    """Both rankings side by side, as Markdown."""
    panels = {kind: panel_of(runs, kind, seeds, positions) for kind in ("shared", "variant")}
    shared, separate = (rank(panel, np.random.default_rng(0)) for panel in panels.values())
    lines = [
        f"{len(HEADS)} heads, {seeds} seeds, {positions:,} positions",
        "",
        "| head | on one trunk | to its leader | apart | to its leader |",
        "|---|---:|---:|---:|---:|",
    ]
    for index in np.argsort(shared.means, kind="stable"):
        name = list(HEADS.values())[index][0]
        cells = [name]
        for board in (shared, separate):
            half = (board.to_leader.high[index] - board.to_leader.low[index]) / 2
            tied = " =" if board.tied[index] else ""
            cells += [f"{board.means[index]:.4f}{tied}"]
            cells += [
                ""
                if index == board.leader
                else f"+{board.to_leader.difference[index]:.4f}±{half:.4f}"
            ]
        lines.append("| " + " | ".join(cells) + " |")
    widths = [
        np.median((board.to_leader.high - board.to_leader.low)[np.arange(len(HEADS)) != leader]) / 2
        for board, leader in ((shared, shared.leader), (separate, separate.leader))
    ]
    names = tuple(name for name, _, _ in HEADS.values())
    found = agreement(
        HeadRuns("one trunk", names, panels["shared"], positions),
        HeadRuns("independent training", names, panels["variant"], positions),
    )
    lines += [
        "",
        f"Median half-width of a difference to the leader: {widths[0]:.4f} on one trunk, "
        f"{widths[1]:.4f} apart.",
        f"Rankings: {sentence(found)}.",
        *cost(runs, seeds),
    ]
    return "\n".join(lines)


def cost(runs: Path, seeds: int) -> list[str]:
    """CPU seconds of one seed; those apart are of the heads that were timed here."""
    shared = [seconds_of(runs / f"shared-seed{seed}.json") for seed in range(seeds)]
    single = [seconds_of(path) for path in sorted(runs.glob("apart*-seed*.json"))]
    if not single:
        return []
    one, all_of_them = float(np.mean(single)), float(np.mean(shared))
    return [
        f"CPU seconds of one seed: {all_of_them:.0f} for {len(HEADS)} heads on one trunk, "
        f"{one:.0f} for one head apart: {len(HEADS) * one / all_of_them:.1f} times cheaper.",
    ]


def seconds_of(path: Path) -> float:
    seconds: float = json.loads(path.read_text())["seconds"]
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
