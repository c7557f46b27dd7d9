"""CPU seconds of the doctor: the quick checks of a launch, and all checks of a configuration.

    python benchmarks/doctor_time.py [--games PATH] [--quick]

The quick checks are those of `launch` for search_spaces/quick.yaml with the games that come with
the package. All checks are those of `doctor` for search_spaces/small_trunk.yaml. One thread
computes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from hexsearch.config.files.load import load_study
from hexsearch.data.collection.importing import STARTER_GAMES
from hexsearch.doctor.admission import admit_configs
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Check
from hexsearch.doctor.registry import CHECKS, QUICK
from hexsearch.interface.doctor_check import configurations
from hexsearch.search.space_parsing import build_space

SPACES = Path(__file__).parents[1] / "search_spaces"


def cpu_seconds(space: str, settings: list[str], games: str, checks: tuple[Check, ...]) -> float:
    """CPU seconds of some checks, with the loading of what they need, without that of games."""
    config = load_study(SPACES / space, settings)
    names = configurations(build_space(config, ""))
    pipeline = admit_configs(space, names, config.data, [games])
    started = time.process_time()
    diagnosis = examine(pipeline, checks)
    seconds = time.process_time() - started
    slowest = sorted(diagnosis.seconds.items(), key=lambda item: -item[1])[:5]
    told = ", ".join(f"{name} {taken:.2f} s" for name, taken in slowest)
    print(f"{space}: {len(diagnosis.checks)} checks, {len(diagnosis.errors)} error(s), {told}")
    return seconds


def main() -> None:
    """Print both figures beside their limits."""
    parser = argparse.ArgumentParser(description="CPU seconds of the doctor")
    parser.add_argument("--games", default=STARTER_GAMES)
    parser.add_argument("--quick", action="store_true", help="the quick checks alone")
    arguments = parser.parse_args()
    games = arguments.games
    torch.set_num_threads(1)
    quick = cpu_seconds("quick.yaml", [], games, QUICK)
    print(f"quick checks of a launch: {quick:.1f} s of CPU (limit 3)")
    if arguments.quick:
        return
    whole = cpu_seconds("small_trunk.yaml", [], games, CHECKS)
    print(f"all checks with trunk small: {whole:.1f} s of CPU (limit 90)")


if __name__ == "__main__":
    main()
