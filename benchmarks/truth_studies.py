"""Part a of `truth.py`: compares studies of the same variants with different seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from truth_runs import NAMES, Runs

from hexsearch.statistics.ranking import rank
from hexsearch.statistics.variance import PairedRuns

_DRAWS = 400  # pairs of studies in which every variant has a seed of its own


@dataclass(frozen=True)
class Announced:
    """The answers of a study: naively the variant of the best single run and its score; by
    hexsearch the first group of its leaderboard, the group's leader, and its expected score.

    Attributes:
        naive, leader: numbers of variants. tied: [V] whether in the first group.
        naive_score, expected: of the two. means: [V] over the study's own seeds.
    """

    naive: int
    naive_score: float
    leader: int
    tied: NDArray[np.bool_]
    expected: float
    means: NDArray[np.float64]


def announce(paired: PairedRuns) -> Announced:
    """Both answers of a study. The second one is that of `leaderboard`."""
    best = int(np.argmin(paired.table.means))
    ranking = rank(paired, np.random.default_rng(0))
    return Announced(
        naive=int(paired.variant[best]),
        naive_score=float(paired.table.means[best]),
        leader=ranking.leader,
        tied=ranking.tied,
        expected=float(ranking.expected_value_loss[ranking.leader]),
        means=paired.means,
    )


Pairs = Sequence[tuple[Announced, Announced]]

# Two studies contradict each other if the leader of one is, by the other, really worse than its
# own: outside of the group that cannot be told from it. Leaders that merely differ do not.
COUNTS: dict[str, Callable[[Announced, Announced], bool]] = {
    "naive winner differs": lambda s, t: s.naive != t.naive,
    "best mean differs": lambda s, t: s.leader != t.leader,
    "leader outside the other's group": lambda s, t: not (t.tied[s.leader] and s.tied[t.leader]),
    "groups have nobody in common": lambda s, t: not (s.tied & t.tied).any(),
}


def part_a(runs: Runs) -> str:
    """How often the answers agree, over pairs of studies that share no seed."""
    lines = [
        f"{len(runs.variants)} variants, {runs.seeds} seeds, {len(runs.table.counts)} games",
        "",
        "| seeds a study | pairs of studies | " + " | ".join(COUNTS) + " | variants in a group "
        "| naive score too good by | ours |",
        "|" + "---:|" * (len(COUNTS) + 5),
    ]
    for count in range(1, runs.seeds // 2 + 1):
        studies = {s: announce(runs.paired(s)) for s in combinations(range(runs.seeds), count)}
        pairs = [
            (studies[s], studies[t]) for s, t in combinations(studies, 2) if not set(s) & set(t)
        ]
        lines.append(f"| {count} | {len(pairs)} | {_row(pairs)} |")
    drawn = _drawn(runs, np.random.default_rng(0))
    lines.append(f"| 1, another for every variant | {len(drawn)} drawn | {_row(drawn)} |")
    everything = rank(runs.paired(), np.random.default_rng(0))
    lines += ["", "| variant | value loss over all seeds | lowest and highest | group |"]
    lines.append("|---|---:|---:|---:|")
    for place in np.argsort(everything.means, kind="stable"):
        row = runs.means[place]
        lines.append(
            f"| {NAMES[runs.variants[place]]} | {row.mean():.4f} "
            f"| {row.min():.4f} to {row.max():.4f} | {everything.group[place] + 1} |"
        )
    seed = everything.seed
    observed = float(np.sqrt(seed.total + seed.per_game))
    lines += [
        "",
        f"Between seeds of one variant: standard deviation {observed:.4f} as seen on these games, "
        f"{seed.deviation:.4f} with the noise of the games taken out.",
    ]
    return "\n".join(lines)


def _row(pairs: Pairs) -> str:
    both = [study for pair in pairs for study in pair]
    crossed = [*pairs, *((t, s) for s, t in pairs)]
    cells = [f"{np.mean([told(s, t) for s, t in pairs]):.0%}" for told in COUNTS.values()]
    cells.append(f"{np.mean([study.tied.sum() for study in both]):.1f}")
    # What one study announces of a variant, against what the other measured of that variant.
    cells.append(f"{np.mean([t.means[s.naive] - s.naive_score for s, t in crossed]):+.4f}")
    cells.append(f"{np.mean([t.means[s.leader] - s.expected for s, t in crossed]):+.4f}")
    return " | ".join(cells)


def _drawn(runs: Runs, rng: np.random.Generator) -> Pairs:
    """Studies with one run for each variant, all with different seeds."""
    pairs = []
    for _ in range(_DRAWS):
        order = np.argsort(rng.random((len(runs.variants), runs.seeds)), axis=1)
        first, second = (runs.panel_of(order[:, place : place + 1].tolist()) for place in (0, 1))
        pairs.append((announce(first), announce(second)))
    return pairs
