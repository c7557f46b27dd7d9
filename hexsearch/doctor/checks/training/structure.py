"""Checks which modules run, and which of them the network, its optimiser and its file know."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.calls import Calls, calls
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 4
_TOLD = 3


def check_structure(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Every module that runs in training must be one of the network's."""
    trial, samples = needed(pipeline.watched), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[:_POSITIONS])
    network = trial.network
    with torch.no_grad(), in_eval_mode(network.modules()):
        found = calls(network, lambda: network(trial.execution.show(planes)))
    if found.strangers:
        told = list(found.strangers.items())
        examples = "; ".join(f"{kind} in {place}" for place, kind in told[:_TOLD])
        yield Finding.error(
            "structure",
            f"{len(told)} modules with weights or a mode run and are not among the "
            f"{len(list(network.modules()))} modules of the network: {examples}",
            "part of the network is not registered (it is kept in a plain list or dictionary, or "
            "outside the module): its weights are neither trained nor saved, and train(), eval() "
            "and to() do not reach it",
            "keep modules in attributes, nn.ModuleList or nn.ModuleDict",
            root="structure",
        )


def check_called(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """In a user's own network, the modules that belong together must all run, in eval mode."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    if not isinstance(foreign.model, nn.Module):
        return
    count = min(_POSITIONS, len(observed.positions))
    planes = foreign.planes(take(observed.positions, torch.arange(count).numpy()))
    found = calls(foreign.model, lambda: foreign.respond(planes))
    yield from _in_train_mode(found)
    yield from _left_out(found)


def _in_train_mode(found: Calls) -> Iterator[Finding]:
    if not found.training:
        return
    yield Finding.error(
        "modes",
        f"{len(found.training)} of {found.switchable} batch norms and dropouts, such as "
        f"{found.training[0]}, are in train mode while the network answers",
        "the model is in train mode at inference (eval() is missing, or train() is called before "
        "each answer): dropout is active, and batch norm uses the statistics of the batch",
        "call eval() on the model in load(), and do not call train() in forward()",
        root="modes",
    )


def _left_out(found: Calls) -> Iterator[Finding]:
    if not found.left_out:
        return
    told = [f"{name} ({kind})" for name, kind in found.left_out.items()]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    kinds = ", ".join(sorted(set(found.left_out.values())))
    yield Finding.warning(
        "structure",
        f"{len(told)} modules do not run when the network answers, although others of the same "
        f"nn.Sequential do: {', '.join(told[:_TOLD])}{more}",
        f"the code that answers is not the one that was trained: it leaves out {kinds} (or puts "
        "another function in its place, such as another activation)",
        "answer by the forward() of training; if these modules are left out on purpose, as in the "
        "features of a cut network, all is well",
        root="structure",
    )
