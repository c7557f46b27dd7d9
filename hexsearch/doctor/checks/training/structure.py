"""Checks which modules run, and which of them the network, its optimiser and its file know."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.general.calls import Calls, calls
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 4
_TOLD = 3
_ONE, _MANY = 1e-3, 3  # accepted difference of a sum of weights, and least number of cells
_NEVER = "a momentum of 0 in batch norms"
_LARGE, _MOSTLY = 0.05, 0.9  # epsilon of a norm, and share that is dropped, seldom meant


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


def check_settings(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report modules with settings that are seldom meant."""
    foreign = pipeline.foreign
    network = needed(pipeline.watched).network if foreign is None else foreign.model
    if isinstance(network, nn.Module):
        yield from settings_findings("settings of modules", network)


def settings_findings(check: str, network: nn.Module) -> Iterator[Finding]:
    """Report modules of a network with settings that are seldom meant.

    Args:
        check: name of the check in the findings.
    """
    found: dict[str, list[str]] = {}
    for name, module in network.named_modules():
        for words in _unusual(module):
            found.setdefault(words, []).append(name)
    for words, names in found.items():
        severity = Finding.error if words.startswith(_NEVER) else Finding.warning
        yield severity(
            check,
            f"{len(names)} module(s), such as {names[0]}, have {words.split(':')[0]}",
            f"modules have {words}",
            "look up what the setting means in torch; if it is meant, all is well",
            root="norms",
        )


def _unusual(module: nn.Module) -> Iterator[str]:
    if isinstance(module, _BatchNorm) and module.track_running_stats and module.momentum == 0:
        yield (
            f"{_NEVER}: the running statistics of the batch norms are never updated, so inference "
            "normalises by the numbers that they were made with"
        )
    if isinstance(module, _BatchNorm) and module.momentum is not None and module.momentum > 0.5:
        yield (
            f"a momentum of {module.momentum:g} in batch norms: in torch it is the share of the "
            "newest batch, so the running statistics are those of the last batch alone, or of two "
            f"(a momentum of {module.momentum:g} in Keras is {1 - module.momentum:.2g} here)"
        )
    epsilon = getattr(module, "eps", None)
    if isinstance(epsilon, float) and epsilon > _LARGE:
        yield (
            f"an epsilon of {epsilon:g} in norms: it is added to a variance that should be about "
            "1, so weak features are hardly normalised"
        )
    if isinstance(module, _DropoutNd) and module.p >= _MOSTLY:
        yield (
            f"a dropout of {module.p:g}: it is the share that is dropped, not the share that is "
            "kept, so hardly anything passes in training"
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
    yield from _masked(foreign.model, lambda: foreign.respond(planes))
    yield from _padding(foreign.model, lambda: foreign.respond(planes))
    yield from _over_queries(foreign, planes)


def _padding(network: nn.Module, run: Callable[[], object]) -> Iterator[Finding]:
    """Report rows of an embedding that are asked for and never trained (padding_idx)."""
    asked: dict[str, tuple[int, bool]] = {}  # how often, and whether by whole positions

    def look(name: str) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def count(module: nn.Module, given: tuple[object, ...]) -> None:
            index = given[0]
            if isinstance(index, Tensor) and isinstance(module, nn.Embedding):
                there = index.eq(module.padding_idx or 0).reshape(len(index), -1)
                varies = bool((there != there[:1]).any())  # a frame has the same places always
                asked[name] = (int(there.sum()) if varies else 0), there.shape[1] == 1

        return count

    padded = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Embedding) and module.padding_idx is not None
    }
    handles = [m.register_forward_pre_hook(look(n)) for n, m in padded.items()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    for name, (count, whole) in asked.items():
        if count:
            place = padded[name].padding_idx
            yield Finding(
                "structure",
                "error" if whole else "warning",  # a free cell of zeros does no harm
                f"{name} has padding_idx={place}, and is asked for row {place} {count} times",
                f"row {place} of the embedding {name} is never trained and stays 0 (padding_idx), "
                "though it stands for something real (a colour, a side, a kind of cell)",
                "leave padding_idx out, or give padding a number of its own; if it is the free "
                "cell, all is well",
                root="dead",
            )
            return


def _over_queries(foreign: ForeignNetwork, planes: Tensor) -> Iterator[Finding]:
    """Report a softmax of attention weights over the queries in place of the keys."""
    ahead = [part.grad_fn for _, part, _ in foreign.with_gradient(planes)]
    seen: set[object] = set()
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        ahead += [following for following, _ in node.next_functions]
        made = getattr(node, "_saved_result", None) if "Softmax" in node.name() else None
        if not isinstance(made, Tensor):
            continue
        for dim in range(1, made.ndim - 1):  # queries and keys are as many, and side by side
            if made.shape[dim] != made.shape[dim + 1] or made.shape[dim] < _MANY:
                continue
            ones = [
                float(made.detach().sum(dim=d).sub(1).abs().max()) < _ONE for d in (dim, dim + 1)
            ]
            if ones != [True, False]:
                continue
            yield Finding.warning(
                "structure",
                f"weights of attention of shape {list(made.shape)} sum to 1 over dimension {dim}, "
                f"and not over dimension {dim + 1}",
                "the softmax of the attention goes over the queries in place of the keys (the "
                "wrong dim): the weights with which a cell looks at the others do not sum to 1",
                "take the softmax over the keys, dim=-1 of scores [batch, query, key]; if the keys "
                "come first on purpose, all is well",
                root="dead",
            )
            return


def _masked(network: nn.Module, run: Callable[[], object]) -> Iterator[Finding]:
    """Report boolean masks of attention that keep every cell from itself."""
    seen: dict[str, Tensor] = {}

    def look(name: str) -> Callable[[nn.Module, tuple[object, ...], dict[str, object]], None]:
        def keep(module: nn.Module, given: tuple[object, ...], named: dict[str, object]) -> None:
            mask = named.get("attn_mask", given[5] if len(given) > 5 else None)
            if isinstance(mask, Tensor) and mask.ndim >= 2 and mask.shape[-1] == mask.shape[-2]:
                seen[name] = mask

        return keep

    attention = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.MultiheadAttention)]
    handles = [m.register_forward_pre_hook(look(n), with_kwargs=True) for n, m in attention]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    for name, mask in seen.items():
        hidden = mask if mask.dtype == torch.bool else torch.isneginf(mask)
        own = hidden.diagonal(dim1=-2, dim2=-1)
        share = float(hidden.float().mean())
        if bool(own.all()) and share < 1:
            yield Finding.error(
                "attention mask",
                f"the mask of {name} keeps all {own.shape[-1]} cells from attending to themselves, "
                f"and {share:.0%} of all pairs from each other",
                "the attention mask is inverted: in nn.MultiheadAttention True means that "
                "attention is NOT allowed, so each cell attends to those only that the mask was "
                "to hide (the far ones), and not to itself and its neighbours",
                "give ~mask; in scaled_dot_product_attention True means allowed",
                root="structure",
            )
            return


def _in_train_mode(found: Calls) -> Iterator[Finding]:
    if not found.training:
        return
    evidence = (
        f"{len(found.training)} of {found.switchable} batch norms and dropouts, such as "
        f"{found.training[0]}, are in train mode while the network answers"
    )
    if len(found.unreached) == len(found.training):
        place = found.unreached[0]
        yield Finding.error(
            "modes",
            evidence,
            f"modules are kept where eval() does not reach them, in {place}: torch knows modules "
            "in attributes, nn.ModuleList and nn.ModuleDict alone, so these stay in train mode "
            "(batch norm uses the statistics of the batch, dropout is active), and their weights "
            "are neither saved nor loaded",
            "keep modules in nn.ModuleList or nn.ModuleDict in place of a plain list or dictionary",
            root="modes",
        )
        return
    yield Finding.error(
        "modes",
        evidence,
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
