"""Checks which outputs the heads can reach, by random weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.model.network import Network

_DRAWS = 8  # sets of random weights
_SCALES = (2.0, 64.0)  # scales of these weights
_HUGE = (4096.0,)  # scale at which a linear output leaves its range far behind
_GROWS = 8.0  # times that its range must grow to be called linear
_POSITIONS = 32  # positions that are answered with each set
_CUT = 0.05  # share of outputs that are cut off
_SURE_POLICY, _LARGE = 0.5, 8.0  # share of a uniform policy's entropy; size of features
_SURE = 0.02  # distance from 0 or 1 within which an answer is sure
_ALIKE, _TOLD = 1e-3, 8  # spread over positions, relative to the size; modules that are told
_BOUNDS = ((0.0, 1.0, "a sigmoid or softmax"), (-1.0, 1.0, "a tanh"))


def check_ranges(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Draw random weights many times: training will not reach an output that no draw reaches."""
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    planes = torch.from_numpy(samples.planes[:_POSITIONS])
    draws = _DRAWS
    values, logits = _reached(trial, planes, _DRAWS)
    if not _spans(trial, values):  # more draws may still span the range
        draws = 5 * _DRAWS
        more, more_logits = _reached(trial, planes, 4 * _DRAWS)
        values, logits = torch.cat([values, more]), torch.cat([logits, more_logits])
        yield from _value(trial, values, planes, draws)
    if trial.config.policy_head.weight > 0:
        yield from _policy(logits, draws)
        yield from _cut_policy(logits, draws)
    yield from _first_answers(trial)
    yield from _alike_features(trial, planes)


def _alike_features(trial: WatchedTrial, planes: Tensor) -> Iterator[Finding]:
    """Report a trunk whose features hardly differ from one position to the next."""
    trunk, spreads = trial.network.trunk, {}

    def look(name: str) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and len(output) == len(planes):
                size = float(output.float().square().mean().sqrt())
                centred = output.float() - output.float().mean(dim=0)
                spread = float(centred.square().mean().sqrt())
                spreads[name] = spread / size if size > 0 else 1.0

        return keep

    leaves = [(n, m) for n, m in trunk.named_modules() if not list(m.children()) or m is trunk]
    handles = [module.register_forward_hook(look(name)) for name, module in leaves]
    try:
        with torch.no_grad(), in_eval_mode(trial.network.modules()):
            trunk(trial.execution.show(planes))
    finally:
        for handle in handles:
            handle.remove()
    last = spreads.pop("", 1.0)
    if last < _ALIKE:
        name = next((n for n, spread in spreads.items() if spread < _ALIKE), "its end")
        course = ", ".join(f"{spread:.1g}" for spread in list(spreads.values())[-_TOLD:])
        yield Finding.error(
            "range of outputs",
            f"on {len(planes)} positions the features at the end of the trunk differ by "
            f"{last:.1g} of their size; after its last {min(_TOLD, len(spreads))} modules by "
            f"{course}",
            "positions give nearly the same features: what tells them apart vanishes in the trunk, "
            f"at the latest in {name} (saturating activations such as sigmoids one behind another, "
            "weights that begin too small, or a mean over too much), and gradients vanish with it",
            "use activations that do not saturate, norms or shortcuts, or larger initial weights",
            root="features",
        )


def _answers(trial: WatchedTrial, values: Tensor) -> tuple[float, float]:
    """The smallest and the largest answer that is reported for the raw values."""
    ends = trial.readout.win_prob(torch.stack([values.min(), values.max()])).tolist()
    return min(ends), max(ends)


def _spans(trial: WatchedTrial, values: Tensor) -> bool:
    """Whether some answers are nearly 0, and some nearly 1."""
    least, most = _answers(trial, values)
    return least < _SURE and most > 1 - _SURE


def _value(trial: WatchedTrial, values: Tensor, planes: Tensor, draws: int) -> Iterator[Finding]:
    """Report a value head whose answers cannot come near 0 and 1."""
    if _spans(trial, values) or not _spans(trial, torch.tensor([-40.0, 40.0])):
        return  # check `read-out` reports a probability that cannot come near 0 and 1
    low, high = float(values.min()), float(values.max())
    least, most = _answers(trial, values)
    if high - low < 1e-6:
        return  # check `gradient flow` reports an output that does not depend on weights
    huge = _reached(trial, planes, _DRAWS, _HUGE)[0]
    if float(huge.min()) < _GROWS * low < 0 < _GROWS * high < float(huge.max()):
        yield Finding.error(
            "range of outputs",
            f"with {draws} sets of random weights the raw value stays between {low:.3g} and "
            f"{high:.3g}, which is reported as {least:.2f} to {most:.2f}; it has no bound and "
            "grows with the weights",
            "the value head's output is divided by a large number, or its features are tiny: it is "
            "scaled down so far that usual weights give no sure answer",
            "take the division out of forward(), or normalise what the value head reads",
            root="detached value",
        )
        return
    cut = float((values == low).float().mean()) > _CUT
    by = next(
        (name for a, b, name in _BOUNDS if low >= a - 1e-3 and high <= b + 1e-3),
        ("a relu" if cut else "an absolute value, a square or a softplus, which are never negative")
        if low >= -1e-6
        else "an activation",
    )
    if _clamped(_reached(trial, planes, _DRAWS, _SCALES[:1])[0]):
        by = "a clamp or a relu (its output is cut off, and passes no gradient at the ends)"
    yield Finding.error(
        "range of outputs",
        f"with {draws} draws of random weights the raw value stays between {low:.3g} and "
        f"{high:.3g}, which read-out {trial.config.readout.name} reports as {least:.2f} to "
        f"{most:.2f}",
        f"the value head ends in {by}, and the read-out squashes its output once more: the output "
        f"is bounded, and answers stay between {least:.2f} and {most:.2f}",
        "end the value head in a plain linear layer; sigmoid and tanh belong to the read-out",
        root="detached value",
    )


def _clamped(values: Tensor) -> bool:
    """Whether values reach their ends exactly, and not by coming ever nearer, as in a tanh."""
    low, high = values.min(), values.max()
    at = (values == low) | (values == high)
    near = ((values - low) < 0.02 * (high - low)) | ((high - values) < 0.02 * (high - low))
    return float(at.float().mean()) > 0.05 and float(near.sum()) < 1.3 * float(at.sum())


def _policy(logits: Tensor, draws: int) -> Iterator[Finding]:
    """Report policy logits that are bounded."""
    spread = float((logits.amax(dim=1) - logits.amin(dim=1)).max())
    for low, high, name in _BOUNDS:
        inside = bool((logits >= low - 1e-3).all()) and bool((logits <= high + 1e-3).all())
        if inside and 1e-6 < spread:
            yield Finding.error(
                "range of outputs",
                f"with {draws} draws of random weights the policy's outputs stay between {low:g} "
                f"and {high:g}",
                f"the policy head ends in {name}, and the loss applies a softmax once more: no "
                f"move can be more than {math.exp(high - low):.1f} times as likely as another",
                "end the policy head in a plain linear layer or convolution",
                root="detached policy",
            )
            return


def _cut_policy(logits: Tensor, draws: int) -> Iterator[Finding]:
    """Report policy logits that are never negative."""
    zero = float((logits == 0).float().mean())
    if float(logits.min()) >= 0.0 and 0.05 < zero < 1.0:
        yield Finding.error(
            "range of outputs",
            f"with {draws} draws of random weights no output of the policy is below 0, and "
            f"{zero:.0%} are exactly 0",
            "the policy head ends in a relu: its outputs are cut off at 0, where unlikely moves "
            "get no gradient",
            "end the policy head in a plain linear layer or convolution",
            root="detached policy",
        )


def _first_answers(trial: WatchedTrial) -> Iterator[Finding]:
    """The answers before any step should be near 0.5."""
    raw = trial.steps[0].raw.float()
    answers = trial.readout.win_prob(raw)
    sure = float(((answers < _SURE) | (answers > 1 - _SURE)).float().mean())
    if sure > 0.3 and float(raw.abs().max()) > 1.0:  # otherwise it is the read-out's fault
        yield Finding.warning(
            "range of outputs",
            f"{sure:.0%} of the answers before any step are within {_SURE:g} of 0 or 1 "
            f"(raw values from {float(raw.min()):.3g} to {float(raw.max()):.3g})",
            "the value head's initial weights are too large: its first answers are saturated",
            "initialise the last layer with smaller weights, so that the first answers are near "
            "0.5",
        )
    yield from _first_moves(trial)


def _first_moves(trial: WatchedTrial) -> Iterator[Finding]:
    """The policy before any step should be near a uniform one."""
    if trial.config.start_from is not None:
        return  # it does not begin with initial weights
    step = trial.steps[0]
    logits = step.policy_logits.float()
    uniform = math.log(max(logits.shape[-1], 2))
    log_p = logits.log_softmax(dim=-1)
    entropy = float(-(log_p.exp() * log_p).sum(dim=-1).mean())
    if trial.config.policy_head.weight == 0 or not entropy < _SURE_POLICY * uniform:
        return
    if not step.policy > uniform:
        return  # it is right
    with torch.no_grad(), in_eval_mode(trial.network.modules()):
        features = trial.network.trunk(trial.execution.show(step.planes[:_POSITIONS])).float()
    size = float(features.square().mean().sqrt())
    part = f"of the trunk (its features are {size:.2g} in size)" if size > _LARGE else "of its head"
    yield Finding.warning(
        "range of outputs",
        f"the policy's entropy in the first batch is {entropy:.2g}, and {uniform:.3g} if all moves "
        f"are alike; logits have a standard deviation of {float(logits.std()):.2g}, and the policy "
        f"loss is {step.policy:.3g}",
        f"the policy's first answers are sure and wrong: the initial weights {part} are far too "
        "large (a gain, an initialisation without a norm), so features and gradients are huge",
        "initialise residual branches near 0 and other layers by their number of inputs, or use "
        "norms",
        root="range",
    )


def _reached(
    trial: WatchedTrial, planes: Tensor, draws: int, scales: tuple[float, ...] = _SCALES
) -> tuple[Tensor, Tensor]:
    """Raw values [D * B] and policy logits [D * B, N*N] with D sets of random head weights."""
    own = trial.network
    # A copy of its parts, since the hooks of the network itself refer to the records.
    network = Network(deepcopy(own.trunk), deepcopy(own.value_head), deepcopy(own.policy_head))
    network.train()
    heads = [network.value_head, network.policy_head]
    drawn = [part if any(True for _ in part.parameters()) else network for part in heads]
    values, logits = [], []
    shown = trial.execution.show(planes)
    heads_only = network not in drawn
    generator = torch.Generator().manual_seed(SEED + draws)
    with torch.no_grad():
        features = network.trunk(shown) if heads_only else None
        for scale in scales * (draws // len(scales)):
            for part in drawn:
                _draw(part, scale, generator)
            if features is None:
                policy, raw, _ = network(shown)
            else:  # the trunk keeps its weights
                policy, raw = network.policy_head(features), network.value_head(features)
            values.append(raw.float().reshape(-1))
            logits.append(policy.float())
    return torch.cat(values), torch.cat(logits)


def _draw(part: nn.Module, scale: float, generator: torch.Generator) -> None:
    for parameter in part.parameters():
        fan_in = max(parameter[0].numel() if parameter.ndim > 1 else 1, 1)
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(scale * noise / fan_in**0.5)
