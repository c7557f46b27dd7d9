"""A check of weights that each call of the user's `load()` makes anew: they are not loaded."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from hexsearch.doctor.checks.network.encoders import random_boards
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.edits.edit import having
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_SEEDS = 11, 12
_GAP = 1e-4  # of logits and raw values
_NAMED = 3  # modules that a finding names


def check_reloaded(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Load the network twice, with other random numbers: weights of a file are equal then."""
    foreign = needed(pipeline.foreign)
    if not isinstance(foreign.model, nn.Module) or foreign.factory is None:
        return
    try:
        first, second = (_loaded(foreign, seed) for seed in _SEEDS)
        gaps = _gaps(first, second)
    except Exception:  # whatever a second call breaks, the first one gave a network
        return
    if not isinstance(first.model, nn.Module) or not isinstance(second.model, nn.Module):
        return
    other, count = _that_differ(first.model, second.model)
    changed = [f"the {head} by up to {gap:.2g}" for head, gap in gaps.items() if gap > _GAP]
    if not other or not changed:
        return
    names = _modules_of(other)
    told = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    which = f"the weights of {told}" if len(other) < count else "all weights of the network"
    yield Finding.error(
        "loaded weights",
        f"two calls of load() give other numbers for {len(other)} of {count} tensors, and so "
        f"change {' and '.join(changed)}",
        f"{which} are random initial ones: load() does not load them (keys that do not match and "
        "strict=False, a part that the file lacks, or one that is made after the weights were "
        "loaded)",
        "load with strict=True, or look at the missing_keys that load_state_dict returns, and "
        "load every part that answers need",
        root="unloaded",
    )


def _loaded(foreign: ForeignNetwork, seed: int) -> ForeignNetwork:
    """The network of another call, with random numbers that no seed of the user sets."""
    assert foreign.factory is not None
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()):
        torch.manual_seed(seed)
        with (
            having([torch, torch.random], manual_seed=lambda seed: torch.default_generator),
            having([np.random, random], seed=lambda *seed: None),
        ):
            model = foreign.factory()
    return ForeignNetwork(model, foreign.encoded, foreign.size)


def _gaps(first: ForeignNetwork, second: ForeignNetwork) -> dict[str, float]:
    """By how much policies and values of the two differ, at most."""
    boards = random_boards(first.size)
    arrays = [np.asarray(first.encoded(stones, to_move)) for stones, to_move in boards]
    planes = torch.stack([torch.as_tensor(each).float() for each in arrays])
    pairs = zip(("policy", "value"), first.respond(planes), second.respond(planes), strict=True)
    return {head: float((one - other).abs().max()) for head, one, other in pairs}


def _that_differ(first: nn.Module, second: nn.Module) -> tuple[list[str], int]:
    """Names of the tensors that differ, and how many there are."""
    others, names = second.state_dict(), []
    for name, tensor in first.state_dict().items():
        other = others.get(name)
        if other is None or other.shape != tensor.shape or not torch.equal(other, tensor):
            names.append(name)
    return names, len(others)


def _modules_of(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
