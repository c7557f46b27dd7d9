"""Checks the saved state of a trial: restored, it must give the same answers and steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.doctor.checks.evaluation.continued import continued_findings
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.general.fits import short_sum
from hexsearch.doctor.networks import TrainedNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import CheckpointError
from hexsearch.model.network import Network
from hexsearch.training.stored_trial import answering_weights

_POSITIONS = 24  # positions whose answers are compared
_CLOSE = 0.01  # largest difference, in standard deviations of the answers
_PARTS = {
    "average": "averaged weights, which are those that are evaluated,",
    "scaler": "loss scales",
    "steps": "counts of steps",
    "losses": "sums of the training losses, which the next report gives,",
}
_COMPARED = ("network", "owners", "positions_seen", "train_seconds")  # elsewhere, or by nobody
_AVERAGED = "the averaged ones"
_AVERAGE = "evaluate the averaged weights, or set optimiser.ema_half_life to 0"
_REMEDY = "save the whole state_dict() of the evaluated network, and load it with strict=True"


def check_state(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Load the state of a trial into a new network and into a new trial, and compare."""
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[:_POSITIONS])
    state = trial.state()
    fresh = _zeroed(trial)
    try:
        fresh.load_state_dict(answering_weights(state))
    except RuntimeError as error:
        last = str(error).splitlines()[-1].strip()
        yield _finding(
            f"the saved weights cannot be loaded: {last}",
            "the saved weights are not those of this network: some are missing or renamed",
        )
        return
    own = dict(trial.answering.named_parameters())
    if not all(bool(each.isfinite().all()) for each in own.values()):
        return  # nothing is equal to them; where they come from is another check's subject
    gap = _gap(trial, trial.answering, fresh, planes)
    other = [name for name, p in fresh.named_parameters() if not torch.equal(p, own[name])]
    if gap > _CLOSE or other:
        same = [name for name, part in _saved(state).items() if _is(part, fresh)]
        source = f"; the saved weights are {same[0]}" if same else ""
        yield _finding(
            f"{len(other)} of {len(own)} saved weights differ from those of the network that is "
            f"evaluated, and its answers differ by {gap:.2f} standard deviations{source}",
            _not_averaged(trial, same)
            or _other_statistics(trial, fresh, own)
            or _relation(trial, fresh, own)
            or "the saved network is not the evaluated one: it has other weights (initial ones, "
            "ones that are not averaged, or those of another part), or no batch-norm statistics",
        )
        return
    yield from list(_of_heads(trial)) or _resumed(pipeline, trial, state)


def _of_heads(trial: WatchedTrial) -> Iterator[Finding]:
    """The state of each head, which is what is kept of a finished trial, against its network."""
    for number, kept in enumerate(trial.head_states()):
        own = (trial.answering if number == 0 else trial.body.with_head(number)).state_dict()
        weights = kept.get("network", {})
        other = [n for n, each in own.items() if n in weights and not torch.equal(each, weights[n])]
        if not other:
            continue
        raw = trial.network.state_dict()
        same = all(torch.equal(raw[n], weights[n]) for n in other if n in raw)
        yield _finding(
            f"{len(other)} of {len(own)} tensors that are kept of a finished trial are not those "
            f"of the network that is evaluated, such as {other[0]}",
            "the weights that are kept are "
            + ("the trained ones, and the averaged ones are evaluated" if same else "other ones")
            + ": the saved network is not the one that was judged",
        )
        return


def _not_averaged(trial: WatchedTrial, same: list[str]) -> str:
    """In words, that evaluation leaves out an average that is configured and saved; else empty."""
    if not trial.config.optimiser.ema_half_life or _AVERAGED not in same:
        return ""
    return (
        "averaged weights are configured and saved, but evaluation uses the trained ones: it "
        "judges another network than the one that is kept"
    )


def _other_statistics(trial: WatchedTrial, saved: Network, own: Mapping[str, Tensor]) -> str:
    """In words, that all weights are saved and the statistics of norms are not; else empty."""
    weights = dict(saved.named_parameters())
    if not all(torch.equal(weights[name], own[name]) for name in own if name in weights):
        return ""
    kept = {n: b.float() for n, b in saved.named_buffers() if b.is_floating_point()}
    evaluated = dict(trial.answering.named_buffers())
    if all(torch.equal(b, evaluated[n].float()) for n, b in kept.items() if n in evaluated):
        return ""
    lost = sum(not bool(b.any()) for b in kept.values())
    return (
        "the weights are saved, and the running statistics of the batch norms (buffers, no "
        f"parameters) are not those of the network that is evaluated: {lost} of {len(kept)} are 0"
        if lost
        else "the weights are saved, and the running statistics of the batch norms (buffers, no "
        "parameters) are those of another moment"
    )


def _relation(trial: WatchedTrial, saved: Network, own: Mapping[str, Tensor]) -> str:
    """In words, what the saved weights are, as far as numbers tell; empty if they do not."""
    stored = _vector(dict(saved.named_parameters()), own)
    evaluated = _vector(own, own)
    bits = 24 - _unused_bits(stored)
    close = (stored - evaluated).abs() <= 2.0 ** (1 - bits) * evaluated.abs() + 1e-30
    if bits <= 16 and bool(close.all()):
        return (
            f"weights are rounded to {bits} significant bits when they are saved (half precision, "
            "such as bfloat16): a restored network gives other answers than the one that was judged"
        )
    names = list(own)
    initial = dict(zip(names, trial.initial_answering, strict=True))
    trained = dict(trial.network.named_parameters())
    fit = short_sum(
        stored.numpy(),
        {
            "the weights that are evaluated": evaluated.numpy(),
            "the weights that are trained": _vector(trained, own).numpy(),
            "the initial weights": _vector(initial, own).numpy(),
        },
    )
    if fit.left > _CLOSE or not fit.terms:
        return ""
    return f"the saved weights are {fit}: the saved network is not the evaluated one"


def _vector(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Tensor:
    """All weights of these names as one vector."""
    return torch.cat([weights[name].detach().float().reshape(-1) for name in own])


def _unused_bits(numbers: Tensor) -> int:
    """Lowest bits that are 0 in all of the float32 numbers."""
    whole = numbers[numbers != 0].view(torch.int32)
    return next(
        (bits for bits in range(23, 0, -1) if not bool((whole & ((1 << bits) - 1)).any())), 0
    )


def _zeroed(trial: WatchedTrial) -> Network:
    """A network of the same modules in which every number is 0."""
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
    """Compare a trial that is restored from a state with the trial that gave it."""
    again = needed(pipeline.new_trial(trial.max_positions))
    begun = deepcopy(again.network.state_dict())
    try:
        again.load_state(deepcopy(state))  # an optimiser keeps the tensors that it is given
    except CheckpointError:
        return  # a read-out that breaks its contract cannot be restored
    if again.positions_seen != trial.positions_seen:
        yield _finding(
            f"after {trial.positions_seen:,} positions a restored trial has a count of "
            f"{again.positions_seen:,} positions seen",
            "the cursor is not restored: a resumed training repeats or skips positions, and its "
            "learning rates are those of another time",
        )
    own = dict(trial.network.named_parameters())
    other = [n for n, p in again.network.named_parameters() if not torch.equal(p, own[n])]
    if other:
        yield _finding(
            f"{len(other)} of {len(own)} weights of a restored trial are not the saved ones, such "
            f"as {other[0]}",
            "a resumed training continues from other weights than those of the checkpoint"
            + _instead(again.network, begun, state),
        )
        return
    states = trial.optimiser.state_dict(), again.optimiser.state_dict()
    if not _differing(*map(_moments, states)) and (wrong := _differing(*states)):
        yield _finding(
            f"the groups of the optimiser have other settings after a state is loaded: {wrong} "
            "differs",
            f"a resumed training has other settings of its parameter groups ({wrong}): they are "
            "changed in the course of training, or not saved",
        )
        return
    wrong = _differing(*states)
    if wrong:
        yield _finding(
            f"the state of the optimiser is not restored: {wrong} differs",
            "a resumed training loses the moments of the optimiser: its state is not saved, or not "
            "loaded",
        )
        return
    resumed = again.state()
    for name in [each for each in state if each not in _COMPARED]:
        words = _PARTS.get(name, f"{name.replace('_', ' ')} (part '{name}' of the state)")
        if lost := _differing(state[name], resumed.get(name)):
            yield _finding(
                f"after a state is loaded, its part '{name}' is another one: {lost} differs",
                f"a resumed training goes on with other {words} than those of the checkpoint: they "
                "are not restored, begin anew, or are overwritten when the rest is loaded",
            )
            return
    if again.positions_seen == trial.positions_seen:
        yield from continued_findings(trial, again)


def _moments(state: Any) -> Any:
    """The state of an optimiser, or of several, without the settings of its groups."""
    if not isinstance(state, dict):
        return state
    return {key: _moments(each) for key, each in state.items() if key != "param_groups"}


def _instead(restored: Network, begun: dict[str, Tensor], state: Mapping[str, Any]) -> str:
    """In words, which known weights a restored network has; empty if none of them."""
    own = dict(restored.named_parameters())
    for words, weights in (
        ("the initial ones (nothing is loaded: other names, or strict=False)", begun),
        ("the averaged ones (EMA), and not those that are trained", state.get("average", {})),
    ):
        known = [name for name in own if name in weights]
        if known and all(torch.equal(own[name], weights[name]) for name in known):
            return f": from {words}"
    return ""


def _saved(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights in a state, by what they are."""
    names = {"network": "those that are trained", "average": _AVERAGED}
    return {words: state[name] for name, words in names.items() if name in state}


def _is(weights: Mapping[str, Tensor], network: nn.Module) -> bool:
    """Whether the weights of a network are equal to some others, as far as names agree."""
    own = network.state_dict()
    return all(torch.equal(own[name], weights[name]) for name in own if name in weights)


def _gap(trial: WatchedTrial, own: Network, other: Network, planes: Tensor) -> float:
    """Largest difference of two networks' outputs, in standard deviations of each output."""
    answers = [TrainedNetwork.of_trial(trial, each).respond(planes) for each in (own, other)]
    gaps = [
        float((a.float() - b.float()).abs().max()) / max(float(a.float().std()), 1e-3)
        for a, b in zip(*answers, strict=True)
    ]
    return max(gaps)


def _differing(own: Any, other: Any, name: str = "state") -> str:
    """The name of the first tensor or number that differs; empty if none does."""
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
    remedy = _AVERAGE if cause.startswith("averaged weights") else _REMEDY
    return Finding.error("saved state", evidence, cause, remedy, root="state")
