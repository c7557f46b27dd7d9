"""Checks how much of the network serves the value: layers that learn from it, and what varies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.networks import take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.doctor.recorded import Flat
from hexsearch.doctor.samples import enough
from hexsearch.doctor.strength import is_read_otherwise
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.errors import PluginError

_POSITIONS = 64
_SAME = 1e-5  # standard deviation over positions, in the size of an output, of equal outputs
_LINEAR = 1e-4  # difference from a linear function, in standard deviations
_VARIES = 1e-5  # standard deviation of values that are not all one number
_PUSH, _SPREAD, _UNSURE = 1e4, 0.1, 0.2  # of a bias; of answers; their distance from 0 and 1
_HALF, _ONE, _NEAR = 0.5, 0.7311, 0.01  # sigmoids of 0 and 1, and how near to them is the same
_TANH = 1 / (math.e + 1)  # the sigmoid of -1
_RANGES = {  # least answers
    "two softmaxes over win, draw and loss": 1.5 / (math.e + 2),
    "two softmaxes over win and loss, or a tanh and a sigmoid": _TANH,
}
_LAYERS = 6  # layers of the policy from which on depths are compared


def check_reach(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The value must be computed from about as many layers as the policy."""
    trial = needed(pipeline.finite)
    steps = [step for step in trial.steps if step.value_gradient and step.policy_gradient]
    if trial.config.policy_head.weight == 0 or len(steps) < 2:
        return
    for part, module in trial.network.parts().items():
        layers = {"value": list[str](), "policy": list[str]()}
        start = 0
        for name, weight in module.named_parameters():
            here = slice(start, start + weight.numel())
            start = here.stop
            for loss, reached in layers.items():
                gradients: list[Flat] = [getattr(step, f"{loss}_gradient") for step in steps]
                if weight.ndim > 1 and any(
                    bool(g[part][here].any()) for g in gradients if part in g
                ):
                    reached.append(name)
        value, policy = layers["value"], layers["policy"]
        if not value or len(policy) < _LAYERS or 2 * len(value) > len(policy):
            continue
        missed = [name for name in policy if name not in value]
        yield Finding.warning(
            "what is read",
            f"in {len(steps)} steps the value loss has a gradient on {len(value)} of the layers of "
            f"the {in_words(part)} ({', '.join(value[:3])}), the policy loss on {len(policy)}; on "
            f"{', '.join(missed[:3])} and others that of the value is exactly 0",
            f"the value is computed from an early layer ({value[0]}), and does not depend on the "
            "blocks behind it, which serve the policy alone: the value head is given the features "
            "of the stem, or of a block in the middle, in place of the last ones",
            "give the value head what the last block puts out; if it branches off there on "
            "purpose, all is well",
            root="unread",
        )
        return


def check_variation(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The value must differ between positions."""
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[: enough(_POSITIONS, samples.planes.shape[-1])])
    passed: list[tuple[str, nn.Module, float, float]] = []
    value = _answered(trial, planes, passed)
    if len(value) < 2 or _variation(value) > _SAME or not bool(value.abs().any()):
        return
    lost = next(((n, m) for n, m, given, made in passed if given > _SAME >= made), None)
    before = [n for n, _, _, made in passed if made > _SAME]
    where = "of an operation in the value head"
    if lost is not None:
        where = f"of {lost[0]} ({type(lost[1]).__name__})"
    elif before:
        where = f"of an operation behind {before[-1]}"
    yield Finding.error(
        "what is read",
        f"on {len(planes)} positions the raw values lie between {float(value.min()):.6f} and "
        f"{float(value.max()):.6f}, though the features of the trunk differ",
        f"the value is one constant, whatever the position: the output {where} is the same for "
        "all positions (a mean over cells of maps that were normalised for each position before, "
        "so that it is always 0, or a part that nothing passes)",
        "take the mean over the cells before the normalisation, or normalise over the batch",
        root="unread",
    )


def check_constant_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The same of a user's trained network: the module at which all positions become alike."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    if not isinstance(foreign.model, nn.Module):
        return
    chosen = np.linspace(0, len(observed.positions) - 1, _POSITIONS).astype(np.int64)
    planes = foreign.planes(take(observed.positions, np.unique(chosen)))
    passed: list[tuple[str, nn.Module, float, float]] = []
    leaves = [(n, m) for n, m in foreign.model.named_modules() if not list(m.children())]
    handles = [module.register_forward_hook(_keep(name, passed)) for name, module in leaves]
    try:
        value = foreign.respond(planes)[1].float()
    finally:
        for handle in handles:
            handle.remove()
    if value.ndim != 1 or _variation(value) > _SAME:
        return
    # A dead layer is another fault: its numbers are 0, and no norm makes them alike.
    lost = [
        (name, module)
        for name, module, given, made in passed
        if given > _SAME >= made and not isinstance(module, nn.ReLU | nn.Linear | nn.Conv2d)
    ]
    if lost:
        name, module = lost[0]
        yield Finding.error(
            "what is read",
            f"on {len(planes)} positions what {name} gets differs, and what it puts out is the "
            f"same; the raw value is {float(value[0]):.4g} everywhere",
            f"the value is one constant, whatever the position: {name} ({type(module).__name__}) "
            "puts out the same for all positions (a norm over a single number, such as a map of 1 "
            "x 1, or over what was normalised before, or a part that nothing passes)",
            "normalise over the batch or over several channels there, or pool after the norm",
            root="unread",
        )


def check_bounded_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Whatever the last layer before the value gives, answers must be able to be nearly sure."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    positions = take(observed.positions, np.arange(min(_POSITIONS, len(observed.positions))))
    planes = foreign.planes(positions)
    last = _last_of_value(foreign, planes)
    if last is None or not isinstance(bias := last[1].bias, Tensor):
        return
    name = last[0]
    kept, ends = bias.detach().clone(), list[Tensor]()
    pushes = [(0, 1.0), (0, -1.0)] if len(bias) == 1 else [(0, 1.0), (len(bias) - 1, 1.0)]
    try:
        for place, sign in pushes:
            with torch.no_grad():
                bias.copy_(kept)
                bias[place] += sign * _PUSH
            ends.append(foreign.reported(foreign.respond(planes)[1], positions))
    finally:
        with torch.no_grad():
            bias.copy_(kept)
    answers = torch.cat(ends)
    low, high = float(answers.min()), float(answers.max())
    if abs(low - _HALF) < _NEAR and abs(high - _ONE) < _NEAR:
        return  # chances under one more sigmoid: check `reading of the value` says so
    if abs(low - _TANH) < _NEAR / 4 and is_read_otherwise(observed, needed(pipeline.table)):
        return  # values from -1 to 1 under a sigmoid: the same
    varied = high - low > _SPREAD  # both ends were reached
    if varied and low > _UNSURE and high < 1 - _UNSURE:
        yield Finding.error(
            "range of answers",
            f"with {_PUSH:g} added to a bias of {name}, or taken from it, answers on {len(planes)} "
            f"positions still lie between {low:.3f} and {high:.3f}",
            f"the value cannot reach its targets: behind {name} {_squashed_by(low, high)}, so no "
            f"board is ever answered below {low:.2f} or above {high:.2f}",
            "leave one softmax, squashing or factor out, so that answers reach 0 and 1",
            root="bounded",
        )


def _squashed_by(low: float, high: float) -> str:
    """In words, what keeps answers in a range: functions that do so exactly, if it is theirs."""
    for words, least in _RANGES.items():
        if abs(low - least) < _NEAR / 4 and abs(high + least - 1) < _NEAR / 4:
            return f"it goes through {words} (the network ends in one, and another one reads it)"
    return (
        "it is squashed or scaled to a narrow range (a tanh or sigmoid times a small number, or "
        "smoothed towards a half)"
    )


def _last_of_value(foreign: ForeignNetwork, planes: Tensor) -> tuple[str, nn.Module] | None:
    """The layer with weights that is called last before the value; None if that is not known."""
    called: list[tuple[str, nn.Module, Tensor]] = []

    def keep(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def look(module: nn.Module, given: tuple[object, ...], output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                called.append((name, module, output))

        return look

    modules = foreign.model.named_modules() if isinstance(foreign.model, nn.Module) else ()
    layers = [(n, m) for n, m in modules if isinstance(m, nn.Linear | nn.Conv2d)]
    handles = [module.register_forward_hook(keep(name)) for name, module in layers]
    try:
        values = [part for name, part, _ in foreign.with_gradient(planes) if name == "value"]
    finally:
        for handle in handles:
            handle.remove()
    if not values or not called:
        return None
    outputs = [output for _, _, output in called]
    slopes = torch.autograd.grad(values[0].sum(), outputs, allow_unused=True)
    reached = [each for each, slope in zip(called, slopes, strict=True) if slope is not None]
    return (reached[-1][0], reached[-1][1]) if reached else None


def _answered(
    trial: WatchedTrial, planes: Tensor, passed: list[tuple[str, nn.Module, float, float]]
) -> Tensor:
    """Raw values in eval mode; the value head's leaves with the variation they get and give."""
    leaves = [
        (name, module)
        for name, module in trial.network.named_modules()
        if name.startswith("value_head") and not list(module.children())
    ]
    handles = [module.register_forward_hook(_keep(name, passed)) for name, module in leaves]
    try:
        with torch.no_grad(), in_eval_mode(trial.network.modules()):
            value: Tensor = trial.network(trial.execution.show(planes)).value_raw.float()
    finally:
        for handle in handles:
            handle.remove()
    return value


def _keep(
    name: str, passed: list[tuple[str, nn.Module, float, float]]
) -> Callable[[nn.Module, tuple[object, ...], object], None]:
    """A hook that keeps how much the input and the output of a module vary."""

    def look(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            passed.append((name, module, _variation(inputs[0]), _variation(output)))

    return look


def _variation(output: Tensor) -> float:
    """Largest standard deviation over positions of an entry, in the size of all entries."""
    if len(output) < 2 or not output.is_floating_point():
        return 1.0
    flat = output.detach().float().reshape(len(output), -1)
    return float(flat.std(dim=0).max() / flat.abs().mean().clamp(min=1e-12))


def check_linear(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The value must not be a linear function of the planes."""
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[: enough(_POSITIONS, samples.planes.shape[-1])])

    def values(shown: Tensor) -> Tensor:
        with torch.no_grad(), in_eval_mode(trial.network.modules()):
            found: Tensor = trial.network(trial.execution.show(shown)).value_raw.double()
        return found

    yield from linear_findings(values, planes)


def check_linear_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The same of a user's trained network."""
    foreign, observed = needed(pipeline.foreign), needed(pipeline.observed)
    chosen = np.linspace(0, len(observed.positions) - 1, _POSITIONS).astype(np.int64)
    planes = foreign.planes(take(observed.positions, np.unique(chosen)))
    try:
        found = list(linear_findings(lambda shown: foreign.respond(shown)[1].double(), planes))
    except PluginError:  # a model that looks stones up in a table takes no other numbers
        return
    yield from found


def linear_findings(values: Callable[[Tensor], Tensor], planes: Tensor) -> Iterator[Finding]:
    """Report values that the sum of two boards gives as the sum of their values."""
    half = len(planes) // 2
    if half < 2:
        return
    some, others = planes[:half], planes[half : 2 * half]
    apart, together = values(some) + values(others), values(some + others)
    gap = (apart - together - values(torch.zeros_like(some))).abs().max()
    known = values(planes)
    spread = float(known.reshape(len(known), -1).std(dim=0).max())
    if spread > _VARIES and float(gap) < _LINEAR * spread:
        yield Finding.error(
            "what is read",
            f"on {half} pairs of boards the raw value of the sum of two boards is the sum of their "
            f"values within {float(gap) / spread:.1g} standard deviations",
            "the value is a linear function of the planes: no activation acts between the layers "
            "(none is called in forward(), or each was replaced by the identity), so all layers "
            "are worth a single one, which cannot see whether stones are connected",
            "put an activation behind each convolution, and look at forward() for one that is not "
            "called",
            root="unread",
        )
