"""The check of what is random in training: which module, and whether evaluation gives its mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial

_POSITIONS = 24
_FEW, _REPEATED = 4, 7  # positions and passes that tell whether anything is random
_PASSES = 64  # passes over which the mean of a random output is taken
_SAME = 1e-5  # relative difference of equal outputs
_OFF = 0.2  # accepted gap of the mean in training and the output in evaluation
_ROOT = "unread"
_REMEDY = (
    "take the module out, or move it behind the features; a module that drops a part at random "
    "must divide by the share that is kept"
)


@dataclass
class _Seen:
    """Inputs and outputs of each module in consecutive passes."""

    inputs: dict[str, list[Tensor]] = field(default_factory=dict)
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)

    def looking(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], object], None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
            if isinstance(output, Tensor) and inputs and isinstance(inputs[0], Tensor):
                self.inputs.setdefault(name, []).append(inputs[0].detach())
                self.outputs.setdefault(name, []).append(output.detach().float())

        return look


def check_randomness(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare passes in train mode with each other, and their mean with evaluation."""
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[:_POSITIONS])
    name = _random_module(trial, planes)
    if name is None:
        return
    module = trial.network.get_submodule(name)
    states = [step.random for step in trial.steps if step.random is not None]
    if len(states) > 1 and all(torch.equal(states[0], each) for each in states):
        yield _finding(
            f"in {len(states)} steps torch's generator is in one state when the network is called, "
            f"and {name} ({type(module).__name__}) draws from it",
            f"random numbers are the same in every step (a seed is set again in each of them): "
            f"{name} drops the same units each time, so these are never trained and dropout does "
            "nothing else",
            "set a seed once, before training, and not in each step",
        )
        return
    seen = _passes(trial, planes, name, _PASSES)
    outputs = torch.stack(seen.outputs[name])
    training = outputs.mean(dim=0)
    eval_seen = _Seen()
    _run(trial, planes, eval_seen, [name], training=False)
    evaluated = eval_seen.outputs[name][0]
    zero = float(((outputs == 0).float().mean(dim=0))[evaluated != 0].mean())
    how = f"in {_PASSES} passes in train mode the outputs of {name} ({type(module).__name__}) vary"
    if seen.inputs[name][0].shape == planes.shape and torch.equal(seen.inputs[name][0], planes):
        yield _finding(
            f"{how}; it reads the planes, and {zero:.0%} of their entries are 0 by chance",
            f"{name} changes the board at random in training: {zero:.0%} of the stones are "
            "missing in each pass (dropout on the input), so labels belong to other boards",
        )
    elif name.startswith("value_head") and outputs[0].numel() == len(planes):
        yield _finding(
            f"{how}; {zero:.0%} of the values are exactly 0",
            f"{name} makes the value itself random in training: {zero:.0%} of the values are 0, "
            "whatever the position (dropout on the output)",
        )
    else:
        yield from _not_scaled(name, how, outputs, training, evaluated)


def _not_scaled(
    name: str, how: str, outputs: Tensor, training: Tensor, evaluated: Tensor
) -> Iterator[Finding]:
    """Report a random module whose output in evaluation is not its mean in training."""
    noise = float(outputs.std(dim=0).norm()) / len(outputs) ** 0.5
    gap, size = float((training - evaluated).norm()), float(evaluated.norm())
    if gap < max(_OFF * size, 4 * noise):
        return
    ratio = float((training * evaluated).sum() / evaluated.square().sum().clamp(min=1e-12))
    yield _finding(
        f"{how}; their mean differs from the output in evaluation by {gap / max(size, 1e-12):.0%} "
        f"(it is {ratio:.2f} times as large, as far as they are parallel)",
        f"{name} is random in training (a block is skipped, or units are dropped) and is not "
        "scaled: evaluation does not give the mean of what training gives",
    )


def _random_module(trial: WatchedTrial, planes: Tensor) -> str | None:
    """The innermost module whose outputs differ between passes although its inputs do not."""
    few = planes[:_FEW]
    first = _run(trial, few, _Seen(), [], training=True)
    repeated = (_run(trial, few, _Seen(), [], training=True) for _ in range(_REPEATED))
    if all(_equal(first, other) for other in repeated):
        return None
    names = [name for name, _ in trial.network.named_modules() if name]
    seen = _Seen()
    for _ in range(_REPEATED):
        _run(trial, few, seen, names, training=True)
    innermost = None
    for name in names:
        inputs, outputs = seen.inputs.get(name, []), seen.outputs.get(name, [])
        if len(inputs) != _REPEATED or not all(torch.equal(inputs[0], each) for each in inputs):
            continue
        if all(_equal(outputs[0], each) for each in outputs):
            continue
        if innermost is None or name.startswith(innermost):
            innermost = name
    return innermost


def _equal(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= _SAME * max(float(one.abs().max()), 1e-6)


def _passes(trial: WatchedTrial, planes: Tensor, name: str, count: int) -> _Seen:
    seen = _Seen()
    for _ in range(count):
        _run(trial, planes, seen, [name], training=True)
    return seen


def _run(
    trial: WatchedTrial, planes: Tensor, seen: _Seen, names: list[str], training: bool
) -> Tensor:
    """All outputs of a pass in train or eval mode; norms use their statistics in both."""
    network = trial.network
    modes = {module: module.training for module in network.modules()}
    network.train(training)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    handles = [
        network.get_submodule(name).register_forward_hook(seen.looking(name)) for name in names
    ]
    try:
        with torch.no_grad():
            output = network(trial.execution.show(planes))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    policy, value = output.policy_logits.float(), output.value_raw.float()
    return torch.cat([policy.flatten(), value.flatten()])


def _finding(evidence: str, cause: str, remedy: str = _REMEDY) -> Finding:
    return Finding.error("randomness", evidence, cause, remedy, root=_ROOT)
