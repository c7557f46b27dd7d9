"""Checks whether training steps see what belongs to their cursor, however batches are cut."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.watching import WatchedTrial

_FAR = 40  # batches before and after that are looked at


def cursor_findings(trial: WatchedTrial) -> Iterator[Finding]:
    """Compare the batch of each recorded step with that of the stream at its cursor."""
    size = trial.config.batch_size
    steps = [step for step in trial.steps if len(step.batch) == size]
    cursors = [round(step.progress * trial.max_positions) for step in steps]
    least = min((int(each) for each in np.diff(cursors)), default=size)
    if least >= 2 * size:
        yield _counted(cursors, size, least)
        return
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
            _cut_elsewhere(off)
            if off % size
            else (
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


def _cut_elsewhere(off: int) -> str:
    kind = (
        "batches overlap: positions come twice, and the last ones of a chunk never"
        if off < 0
        else "positions between two batches are skipped"
    )
    return (
        "batches are cut at wrong places from what is built ahead: this one begins "
        f"{abs(off)} position(s) {'too early' if off < 0 else 'too late'}, so {kind}"
    )


def _counted(cursors: list[int], size: int, grown: int) -> Finding:
    return Finding.error(
        "batches",
        f"after steps with batches of {size:,} positions the count of positions seen is "
        f"{', '.join(f'{c:,}' for c in cursors[:4])}",
        f"the count of positions seen (the cursor) grows by {grown:,} with each batch of {size:,}, "
        f"so positions are counted {grown / size:g} times: the batches between are skipped, and "
        "training and its schedule end too early",
        "count each batch once, by its number of positions",
        root="continued",
    )


def alone_and_cut(trial: WatchedTrial) -> tuple[Batch, Batch]:
    """The second batch, drawn alone and together with the first one."""
    size, stream = trial.config.batch_size, trial.stream
    return stream.batch(size, size), stream.batch(0, 2 * size).rows(slice(size, 2 * size))


def cut_findings(trial: WatchedTrial) -> Iterator[Finding]:
    """Compare the samples of a batch that begins elsewhere with the same ones."""
    size, stream = trial.config.batch_size, trial.stream
    alone, cut = alone_and_cut(trial)
    # Draws with replacement may depend on the batch. A part of a mixture counts its own samples.
    if len(stream.positions.phase_at(0).sets) > 1 and not same_positions(alone, cut):
        other = float(((alone.game != cut.game) | (alone.ply != cut.ply)).float().mean())
        yield Finding.error(
            "batches",
            f"of the samples from number {size:,} on {other:.0%} are other positions if the batch "
            f"begins at {size:,} than if it begins at 0",
            "which positions are drawn depends on how the stream is cut into batches: a part of "
            "the curriculum counts from the beginning of the batch (its cursor, or the first row) "
            "and not by its own number of samples, so positions are skipped or come again",
            "let each sample depend on the seed and on its own number alone",
            root="stream",
        )


def piece_findings(trial: WatchedTrial) -> Iterator[Finding]:
    """Compare batches that are built ahead with the same ones built alone."""
    size, stream = trial.config.batch_size, trial.stream
    borders = [phase.start // size * size for phase in stream.positions.phases[1:]]
    for begin in (0, *(each for each in borders if each >= size)):
        before = max(begin - size, 0)  # what is built ahead begins there
        built = ReadAhead(stream, trial.execution.show)
        built.batch(before, size)
        ahead, alone = built.batch(before + size, size), stream.batch(before + size, size)
        if other_columns(alone, stream.batch(before + size, size)):
            return  # they differ from call to call
        if same_positions(ahead, alone) and (names := other_columns(ahead, alone)):
            first = stream.batch(before, size)
            yield _other_piece(names, ahead, alone, first, before + size, begin > 0)
            return


def _other_piece(
    names: list[str], ahead: Batch, alone: Batch, first: Batch, cursor: int, is_border: bool
) -> Finding:
    """Columns of a batch that was cut from a larger one are not its own."""
    kept = set(names) - set(other_columns(ahead, first))
    whose = "those of the first rows of what was built ahead (a column is not cut with the others)"
    if not kept and is_border:
        whose = (
            "as if the phase before went on: what is built ahead runs across the border of two "
            "phases, and gets the weights and settings of the first"
        )
    elif not kept:
        whose = "other ones"
        if _are_images(ahead, alone):
            whose = (
                "shown under other symmetries: the random symmetry (half turn) is drawn for all "
                "positions that are built together, once or by their places, and not for each "
                "position by its own number"
            )
    return Finding.error(
        "stream",
        f"of the batch from position {cursor:,} on {', '.join(names)} differ between the one "
        "that training fetches, a piece of several that are built ahead, and the same positions "
        "built alone",
        f"{', '.join(names)} of training batches do not belong to their positions: they are "
        f"{whose}",
        "cut all columns of a batch alike, and build nothing ahead across the border of a phase",
        root="stream",
    )


def _are_images(one: Batch, other: Batch) -> bool:
    """Whether the planes of two batches show the same boards under symmetries."""
    planes, wanted = (each.planes.float() for each in (one, other))
    swapped = [1, 0, *range(2, planes.shape[1])]
    views = [planes, planes.transpose(2, 3)[:, swapped]]
    fits = [
        (view[:, :2] == wanted[:, :2]).flatten(1).all(dim=1)
        for each in views
        for view in (each, each.flip(2, 3))
    ]
    return bool(torch.stack(fits).any(dim=0).all())


def other_columns(one: Batch, other: Batch) -> list[str]:
    """Names of columns and auxiliary targets that differ."""
    pairs = {name: (each, other.columns()[name]) for name, each in one.columns().items()}
    pairs |= {
        f"targets of auxiliary head {name}": (each, other.auxiliary[name])
        for name, each in one.auxiliary.items()
        if name in other.auxiliary
    }
    return [name.replace("_", " ") for name, (a, b) in pairs.items() if not torch.equal(a, b)]


def place_of(trial: WatchedTrial, batch: Batch, cursor: int) -> str:
    """In words, which batch of the stream it is in place of that of its cursor; else empty."""
    off = _offset(trial, batch, cursor, len(batch))
    if off is None:
        return ""
    begun = (
        "the first one: the stream begins anew" if off == -cursor else f"that of {cursor + off:,}"
    )
    return f"it sees another batch, {begun}"


def _offset(trial: WatchedTrial, batch: Batch, cursor: int, size: int) -> int | None:
    """By how many positions another cursor lies off whose batch it is; None if none does."""
    near = [n for n in sorted(range(-_FAR, _FAR + 1), key=abs) if n]
    for off in (-cursor, *(n * size for n in near), *near):
        if cursor + off >= 0 and same_positions(batch, trial.stream.batch(cursor + off, size)):
            return off
    return None


def same_positions(one: Batch, other: Batch) -> bool:
    """Whether two batches hold the same positions in the same order."""
    return torch.equal(one.game, other.game) and torch.equal(one.ply, other.ply)
