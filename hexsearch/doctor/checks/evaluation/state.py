"""The check of what is saved: a state must give back the answers, weights and moments it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import Predictor
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.networks import TrainedNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import CheckpointError
from hexsearch.model.network import Network
from hexsearch.training.stored_trial import answering_weights

_POSITIONS = 48
_CLOSE = 0.01  # in standard deviations of the answers
_REMEDY = "save the state_dict() of the network that is evaluated, whole, and load it strictly"


def check_state(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The state of a trial, loaded into a fresh network and into a fresh trial."""
    trial = pipeline.finite
    assert trial is not None and pipeline.shown is not None
    planes = torch.from_numpy(pipeline.shown.planes[:_POSITIONS])
    state = trial.state()
    fresh = _emptied(trial)
    try:
        fresh.load_state_dict(answering_weights(state))
    except RuntimeError as error:
        last = str(error).splitlines()[-1].strip()
        yield _finding(
            f"the saved weights cannot be loaded: {last}",
            "what is saved are not the weights of this network: some are missing or renamed",
        )
        return
    gap = _gap(trial, trial.answering, fresh, planes)
    own = dict(trial.answering.named_parameters())
    other = [name for name, p in fresh.named_parameters() if not torch.equal(p, own[name])]
    if gap > _CLOSE or other:
        others = [name for name, part in _saved(state).items() if _is(trial, part, fresh)]
        told = f"; it is that of {others[0]}" if others else ""
        yield _finding(
            f"{len(other)} of {len(own)} weights that are saved differ from those of the network "
            f"that is evaluated, and its answers by {gap:.2f} standard deviations{told}",
            "what is saved is not what is evaluated: other weights (initial, not averaged, of "
            "another part), or batch-norm statistics that are not saved",
        )
        return
    yield from _resumed(pipeline, trial, state)


def _emptied(trial: WatchedTrial) -> Network:
    """A network of the same modules, with every number at 0."""
    own = trial.network
    network = Network(
        deepcopy(own.trunk),
        deepcopy(own.value_head),
        deepcopy(own.policy_head),
        {name: deepcopy(head) for name, head in own.auxiliary.items()},
    )
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
    return network


def _resumed(
    pipeline: ExaminedPipeline, trial: WatchedTrial, state: dict[str, Any]
) -> Iterator[Finding]:
    again = pipeline.new_trial(trial.max_positions)
    assert again is not None
    try:
        again.load_state(state)
    except CheckpointError:
        return  # a plug-in's read-out that is examined all the same
    if again.positions_seen != trial.positions_seen:
        yield _finding(
            f"after {trial.positions_seen:,} positions a restored trial believes to have seen "
            f"{again.positions_seen:,}",
            "the cursor is not restored: a resumed training repeats or skips positions, and its "
            "schedule starts anew",
        )
    own = dict(trial.network.named_parameters())
    other = [n for n, p in again.network.named_parameters() if not torch.equal(p, own[n])]
    if other:
        yield _finding(
            f"{len(other)} of {len(own)} weights of a restored trial are not the saved ones, such "
            f"as {other[0]}",
            "a resumed training goes on from other weights than the saved ones (checkpoint)",
        )
        return
    wrong = _differing(trial.optimiser.state_dict(), again.optimiser.state_dict())
    if wrong:
        yield _finding(
            f"the optimiser's state is not restored: {wrong} differs",
            "a resumed training loses the moments of the optimiser (its state is not saved, or "
            "not loaded)",
        )


def _saved(state: Mapping[str, Any]) -> dict[str, Any]:
    names = {"network": "the weights that are trained", "average": "the averaged weights"}
    return {told: state[name] for name, told in names.items() if name in state}


def _is(trial: WatchedTrial, weights: Mapping[str, Tensor], network: nn.Module) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[name], weights[name]) for name in own if name in weights)


def _gap(trial: WatchedTrial, own: nn.Module, other: nn.Module, planes: Tensor) -> float:
    answers = []
    for network in (own, other):
        predictor = Predictor(network, trial.readout, trial.encoder, trial.device)
        answers.append(TrainedNetwork(predictor).respond(planes))
    gaps = [
        float((a.float() - b.float()).abs().max()) / max(float(a.float().std()), 1e-3)
        for a, b in zip(*answers, strict=True)
    ]
    return max(gaps)


def _differing(own: Any, other: Any, name: str = "state") -> str:
    """The name of the first tensor or number that is not the same; empty if all are."""
    if isinstance(own, dict):
        if not isinstance(other, dict) or own.keys() != other.keys():
            return name
        return next(filter(None, (_differing(own[k], other[k], str(k)) for k in own)), "")
    if isinstance(own, list | tuple):
        if len(own) != len(other):
            return name
        pairs = zip(own, other, strict=True)
        return next(filter(None, (_differing(a, b, name) for a, b in pairs)), "")
    if isinstance(own, Tensor):
        return "" if torch.equal(own, other) else name
    return "" if own == other or own is None else name


def _finding(evidence: str, cause: str) -> Finding:
    return Finding("saved state", "error", evidence, cause, _REMEDY, root="state")
