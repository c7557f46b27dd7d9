"""A check of weights that each call of the user's `load()` makes anew: they are not loaded."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.doctor.checks.network.encoders import random_boards
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.code.apart import apart, can_run_apart
from hexsearch.doctor.hypotheses.edits.edit import having
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_SEEDS = 11, 12
_GAP = 1e-4  # of logits and raw values
# Difference of two tensors as a share of their size: 1.4 where they are drawn apart. What is
# trained, or measured, in load() differs less.
_APART = 0.9
_NAMED = 3  # modules that a finding names


def check_reloaded(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Load the network again, with other random numbers: weights of a file are equal then.

    It happens in a process of its own, since a call may leave traces.
    """
    foreign = needed(pipeline.foreign)
    model = foreign.model
    if not isinstance(model, nn.Module) or foreign.factory is None or not can_run_apart(model):
        return
    found = apart(lambda: _compared(foreign))
    if not found or not found["names"] or max(found["gaps"].values()) <= _GAP:
        return
    names, count, seeded = _modules_of(found["names"]), found["count"], found["seeded"]
    told = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    which = f"the weights of {told}" if len(found["names"]) < count else "all weights"
    changed = [f"the {h} by up to {gap:.2g}" for h, gap in found["gaps"].items() if gap > _GAP]
    told_once = " (load() sets a seed, which hides it)" if seeded else ""
    finding = Finding.warning if seeded else Finding.error
    yield finding(
        "loaded weights",
        f"two calls of load() with other random numbers{told_once} give other numbers for "
        f"{len(found['names'])} of {count} tensors, and so change {' and '.join(changed)}",
        f"{which} are random initial ones: load() does not load them (keys that do not match and "
        "strict=False, a part that the file lacks, or one that is made after the weights were "
        "loaded)",
        "load with strict=True, or look at the missing_keys that load_state_dict returns, and "
        "load every part that answers need",
        root="unloaded",
    )


def _compared(foreign: ForeignNetwork) -> dict[str, Any]:
    """Names of tensors that are drawn anew, how many there are, and what follows for answers."""
    first, second = (_loaded(foreign, seed) for seed in _SEEDS)
    assert foreign.factory is not None
    plain = ForeignNetwork(foreign.factory(), foreign.encoded, foreign.size)
    boards = random_boards(first.size)
    arrays = [np.asarray(first.encoded(stones, to_move)) for stones, to_move in boards]
    planes = torch.stack([torch.as_tensor(each).float() for each in arrays])
    return {
        "names": _drawn_anew(first.model, second.model),
        "count": len(first.model.state_dict()),  # type: ignore[attr-defined]
        "gaps": _gaps(first.respond(planes), second.respond(planes)),
        "seeded": max(_gaps(plain.respond(planes), foreign.respond(planes)).values()) <= _GAP,
    }


def _loaded(foreign: ForeignNetwork, seed: int) -> ForeignNetwork:
    """The network of another call, with random numbers that no seed of the user sets."""
    assert foreign.factory is not None
    torch.manual_seed(seed)
    with contextlib.ExitStack() as stack:
        generator = torch.default_generator
        stack.enter_context(having([torch, torch.random], manual_seed=lambda seed: generator))
        stack.enter_context(having([np.random, random], seed=lambda *seed: None))
        model = foreign.factory()
    return ForeignNetwork(model, foreign.encoded, foreign.size)


def _gaps(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> dict[str, float]:
    """By how much policies and values of the two differ, at most."""
    pairs = zip(("policy", "value"), first, second, strict=True)
    return {head: float((one - other).abs().max()) for head, one, other in pairs}


def _drawn_anew(first: Any, second: Any) -> list[str]:
    """Names of the tensors of two networks that have nothing to do with each other."""
    others, names = second.state_dict(), []
    for name, tensor in first.state_dict().items():
        other = others.get(name)
        if other is None or other.shape != tensor.shape:
            names.append(name)
        elif float((tensor - other).norm()) > _APART * float(tensor.norm()):
            names.append(name)
    return names


def _modules_of(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
