"""Checks whether training steps see the positions that belong to their cursor."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.data.batch import Batch
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.watching import WatchedTrial

_FAR = 40  # batches before and after that are looked at


def cursor_findings(trial: WatchedTrial) -> Iterator[Finding]:
    """Compare the batch of each recorded step with that of the stream at its cursor."""
    size = trial.config.batch_size
    steps = [step for step in trial.steps if len(step.batch) == size]
    cursors = [round(step.progress * trial.max_positions) for step in steps]
    for step, cursor in zip(steps, cursors, strict=True):
        if same_positions(step.batch, trial.stream.batch(cursor, size)):
            continue
        off = _offset(trial, step.batch, cursor, size)
        if off is None:
            return
        begun = cursor > 0 and off == -cursor
        yield Finding.error(
            "batches",
            f"the step after {cursor:,} positions sees the batch of cursor {cursor + off:,}; the "
            f"steps that were looked at began at {', '.join(f'{c:,}' for c in cursors[:4])}",
            (
                "training sees the first batch again and again: the stream begins anew at each "
                "call of train_to (after each report), or the cursor does not advance inside a "
                "chunk of batches that is built ahead"
                if begun
                else f"training is {abs(off) // size or 1} batch(es) "
                f"{'ahead of' if off > 0 else 'behind'} its cursor: batches are "
                f"{'lost (skipped)' if off > 0 else 'seen twice'} where batches are built ahead in "
                "chunks, so a resumed training sees other positions than one that was not stopped"
            ),
            "take the batch of (seed, number of positions seen), and from nothing else",
            root="continued",
        )
        return


def _offset(trial: WatchedTrial, batch: Batch, cursor: int, size: int) -> int | None:
    """By how many positions another cursor lies off whose batch it is; None if none does."""
    near = [n * size for n in sorted(range(-_FAR, _FAR + 1), key=abs) if n]
    for off in (-cursor, *near):
        if cursor + off >= 0 and same_positions(batch, trial.stream.batch(cursor + off, size)):
            return off
    return None


def same_positions(one: Batch, other: Batch) -> bool:
    """Whether two batches hold the same positions in the same order."""
    return torch.equal(one.game, other.game) and torch.equal(one.ply, other.ply)
