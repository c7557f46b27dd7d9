"""Tables of replays that `search_quality.py --keep` wrote: ours beside all other searchers.

`replays.jsonl.gz` holds those of the table in docs/benchmarks.md, so that a changed search can be
compared with the peers without running them; a later file replaces the replays of an earlier one.

`python benchmarks/search_table.py FILE...` compares `ours` with each other searcher, seed by seed,
in each cell (set, workers, budget), and corrects all comparisons together by Holm's method. The
first table has one row for each cell, the second one for each searcher. Their counts of wins are
over the cells in which a worker has time for at least one whole training.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import ttest_1samp
from search_replay import BUDGETS, Replayed

from hexsearch.statistics.intervals import holm

_TRAININGS = 40  # whole trainings in the full budget, of all workers together
_LEAST_SEEDS = 8
_LEVEL = 0.05
Known = dict[tuple[str, int, str], dict[int, Replayed]]  # set, workers, searcher -> by seed


@dataclass(frozen=True)
class Comparison:
    """The first searcher and another one in a cell.

    Attributes:
        ours, other: mean regrets over the same seeds; errors: their standard errors.
        p: of the paired differences, before correction.
    """

    set: str
    workers: int
    budget: float
    searcher: str
    seeds: int
    ours: float
    other: float
    errors: tuple[float, float]
    p: float

    @property
    def trainings(self) -> float:
        """Whole trainings for which a worker has time."""
        return _TRAININGS * self.budget / self.workers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--first", default="ours", help="searcher that is compared with the others")
    args = parser.parse_args()
    known = by_cell(one for path in args.files for one in load(path))
    print("\n".join(tables(known, args.first)))
    return 0


def load(path: Path) -> list[Replayed]:
    """What a file of replays holds, without replays of other budgets."""
    if not path.exists():
        return []
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        raw = [json.loads(line) for line in text.splitlines()]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SystemExit(f"{path}: no whole file of replays ({error}); make it again") from None
    return [Replayed.from_json(one) for one in raw if len(one["regrets"]) == len(BUDGETS)]


def by_cell(replays: Iterable[Replayed]) -> Known:
    """Replays by set, workers and searcher, then by seed."""
    known: Known = defaultdict(dict)
    for one in replays:
        known[one.set, one.workers, one.searcher][one.seed] = one
    return known


def signed_p(apart: np.ndarray) -> float:
    """p-value of paired differences, negative where the first searcher has less regret."""
    if len(apart) < 2 or not apart.any():
        return 1.0
    p = float(ttest_1samp(apart, 0.0).pvalue)
    return math.copysign(p, float(apart.mean()))


def compared(known: Known, first: str) -> list[Comparison]:
    """All comparisons for which there are enough common seeds."""
    found = []
    for (set_name, workers, name), runs in known.items():
        firsts = known.get((set_name, workers, first), {})
        seeds = sorted(set(runs) & set(firsts))
        if name == first or len(seeds) < _LEAST_SEEDS:
            continue
        ours = np.array([firsts[seed].regrets for seed in seeds])
        other = np.array([runs[seed].regrets for seed in seeds])
        errors = [values.std(0, ddof=1) / math.sqrt(len(seeds)) for values in (ours, other)]
        for place, budget in enumerate(BUDGETS):
            found.append(
                Comparison(
                    set_name, workers, budget, name, len(seeds),
                    float(ours[:, place].mean()), float(other[:, place].mean()),
                    (float(errors[0][place]), float(errors[1][place])),
                    abs(signed_p(ours[:, place] - other[:, place])),
                )
            )  # fmt: skip
    return found


def tables(known: Known, first: str) -> Iterator[str]:
    """Lines of both tables, and of a summary."""
    found = compared(known, first)
    if not found:
        yield "no two searchers have enough seeds in common for a comparison"
        return
    sure = dict(zip(found, holm(np.array([one.p for one in found])) < _LEVEL, strict=True))
    better = [one for one in found if sure[one] and one.ours < one.other]
    worse = [one for one in found if sure[one] and one.ours > one.other]
    yield (
        f"{len(found)} comparisons; after Holm's correction {first} is better in {len(better)} "
        f"and worse in {len(worse)}"
    )
    for one in worse:
        yield f"worse: {one.set}, {one.workers} workers, {one.budget:.0%}, than {one.searcher}"
    yield f"\n| set | workers | budget | trainings a worker | {first} | lowest of the others | " + (
        "their median | beaten | not told apart | beaten by |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    cells: dict[tuple[str, int, float], list[Comparison]] = defaultdict(list)
    for one in found:
        cells[one.set, one.workers, one.budget].append(one)
    yield from (_cell(cells[cell], sure) for cell in sorted(cells))
    yield "\n| searcher | lower regret of ours | better | worse | best tried was cut |"
    yield "|---|---:|---:|---:|---:|"
    long = [one for one in found if one.trainings >= 1]
    for name in dict.fromkeys(one.searcher for one in found):
        yield _peer(name, [one for one in long if one.searcher == name], sure, known)
    yield _peer(first, [], sure, known)


def _cell(rivals: Sequence[Comparison], sure: dict[Comparison, np.bool_]) -> str:
    lowest = min(rivals, key=lambda one: one.other)
    most = max(rivals, key=lambda one: one.seeds)
    wins = sum(bool(sure[one]) and one.ours < one.other for one in rivals)
    losses = sum(bool(sure[one]) and one.ours > one.other for one in rivals)
    median = float(np.median([one.other for one in rivals]))
    return (
        f"| {lowest.set} | {lowest.workers} | {lowest.budget:.0%} | {lowest.trainings:.3g} | "
        f"{_value(most.ours, most.errors[0])} | "
        f"{_value(lowest.other, lowest.errors[1])} {lowest.searcher} | {median:.4f} | "
        f"{wins} | {len(rivals) - wins - losses} | {losses} |"
    )


def _peer(
    name: str, cells: Sequence[Comparison], sure: dict[Comparison, np.bool_], known: Known
) -> str:
    fates = [
        one.best_tried for (_, _, searcher), runs in known.items() if searcher == name
        for one in runs.values()
    ]  # fmt: skip
    lower = sum(one.ours < one.other for one in cells)
    better = sum(bool(sure[one]) and one.ours < one.other for one in cells)
    worse = sum(bool(sure[one]) and one.ours > one.other for one in cells)
    figures = f"{lower} of {len(cells)} | {better} | {worse}" if cells else "- | - | -"
    return f"| {name} | {figures} | {fates.count('cut') / len(fates):.0%} of {len(fates)} |"


def _value(mean: float, error: float) -> str:
    return f"{mean:.4f} ±{error * 1e4:.0f}"


if __name__ == "__main__":
    raise SystemExit(main())
