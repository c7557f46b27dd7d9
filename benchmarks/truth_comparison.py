"""Part c of `truth.py`: compares result and cost of a comparison with independent training."""

from __future__ import annotations

import numpy as np
from truth_runs import HEADS, NAMES, Store

from hexsearch.leaderboard.agreement import HeadRuns, agreement
from hexsearch.leaderboard.phase_sentences import agreement_sentence
from hexsearch.statistics.ranking import rank


def part_c(store: Store, seeds: int) -> str:
    """Both rankings side by side, as Markdown."""
    found = {kind: store.read(kind, HEADS, seeds) for kind in ("shared", "variant")}
    panels = {kind: runs.paired() for kind, runs in found.items()}
    shared, separate = (rank(paired, np.random.default_rng(0)) for paired in panels.values())
    lines = [
        f"{len(HEADS)} heads, {found['shared'].seeds} seeds on one trunk each, "
        f"{found['variant'].seeds} apart, {store.positions:,} positions",
        "",
        "| head | on one trunk | to its leader | apart | to its leader |",
        "|---|---:|---:|---:|---:|",
    ]
    for index in np.argsort(shared.means, kind="stable"):
        cells = [NAMES[HEADS[index]]]
        for board in (shared, separate):
            half = (board.to_leader.high[index] - board.to_leader.low[index]) / 2
            tied = " =" if board.tied[index] else ""
            cells += [f"{board.means[index]:.4f}{tied}"]
            cells += [
                ""
                if index == board.leader
                else f"{board.to_leader.difference[index]:+.4f}±{half:.4f}"
            ]
        lines.append("| " + " | ".join(cells) + " |")
    widths = [
        np.median((board.to_leader.high - board.to_leader.low)[np.arange(len(HEADS)) != leader]) / 2
        for board, leader in ((shared, shared.leader), (separate, separate.leader))
    ]
    names = tuple(NAMES[number] for number in HEADS)
    agreed = agreement(
        HeadRuns("one trunk", names, panels["shared"], store.positions),
        HeadRuns("independent training", names, panels["variant"], store.positions),
    )
    lines += [
        "",
        f"Median half-width of a difference to the leader: {widths[0]:.4f} on one trunk, "
        f"{widths[1]:.4f} apart.",
        f"Rankings: {agreement_sentence(agreed)}.",
        *_cost(store),
    ]
    return "\n".join(lines)


def _cost(store: Store) -> list[str]:
    """CPU seconds of one seed, of the trainings that were timed."""
    one, all_of_them = store.seconds("apart*-seed*"), store.seconds("shared-seed*")
    if one is None or all_of_them is None:
        return []
    return [
        f"CPU seconds of one seed: {all_of_them:.0f} for {len(HEADS)} heads on one trunk, "
        f"{one:.0f} for one head apart: {len(HEADS) * one / all_of_them:.1f} times cheaper.",
    ]
