"""Which outputs the heads can reach at all, whatever their weights become."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.doctor.watching import WatchedTrial
from hexsearch.model.network import Network

_DRAWS = 8  # sets of random weights
_SCALES = (2.0, 64.0)  # of these weights
_HUGE, _GROWS = (4096.0,), 8.0  # weights under which a linear output leaves its range so far
_POSITIONS = 32
_SURE, _CERTAIN = 0.02, 0.02  # of an answer, from 0 or 1
_BOUNDS = (
    (0.0, 1.0, "a sigmoid or softmax"),
    (-1.0, 1.0, "a tanh"),
)


def check_ranges(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Weights are drawn again and again: what no draw can put out, no training will."""
    trial = pipeline.finite
    assert trial is not None and pipeline.shown is not None
    planes = torch.from_numpy(pipeline.shown.planes[:_POSITIONS])
    values, logits = _reached(trial, planes, _DRAWS)
    if not _spans(trial, values):  # before anything is said of it
        more, more_logits = _reached(trial, planes, 4 * _DRAWS)
        values, logits = torch.cat([values, more]), torch.cat([logits, more_logits])
    yield from _value(trial, values, planes)
    if trial.config.policy_head.weight > 0:
        yield from _policy(logits)
        yield from _cut_policy(logits)
    yield from _first_answers(trial)


def _answers(trial: WatchedTrial, values: Tensor) -> tuple[float, float]:
    """The least and the largest answer that raw values are reported as."""
    ends = trial.readout.win_prob(torch.stack([values.min(), values.max()])).tolist()
    return min(ends), max(ends)


def _spans(trial: WatchedTrial, values: Tensor) -> bool:
    """Whether some values are reported as nearly 0, and some as nearly 1."""
    least, most = _answers(trial, values)
    return least < _SURE and most > 1 - _SURE


def _value(trial: WatchedTrial, values: Tensor, planes: Tensor) -> Iterator[Finding]:
    if _spans(trial, values):
        return
    low, high = float(values.min()), float(values.max())
    least, most = _answers(trial, values)
    if high - low < 1e-6:
        return  # an output that does not depend on its weights is named by the check of gradients
    huge = _reached(trial, planes, len(_HUGE), _HUGE)[0]
    if float((huge.max() - huge.min()) / (high - low)) > _GROWS:
        yield Finding(
            "range of outputs",
            "error",
            f"with {5 * _DRAWS} draws of random weights the raw value stays between {low:.3g} and "
            f"{high:.3g}, {least:.2f} to {most:.2f} as reported; it has no bound, and grows with "
            "the weights",
            "the value head's output is divided by a large number, or its features are tiny: it is "
            "scaled down so far that no usual weights make a sure answer",
            "take the division out of forward(), or normalise what the value head reads",
            root="detached value",
        )
        return
    by = next(
        (name for a, b, name in _BOUNDS if low >= a - 1e-3 and high <= b + 1e-3),
        "a relu" if low >= -1e-6 else "an activation",
    )
    yield Finding(
        "range of outputs",
        "error",
        f"with {5 * _DRAWS} draws of random weights the raw value stays between {low:.3g} and "
        f"{high:.3g}, which read-out {trial.config.readout.name} reports as {least:.2f} to "
        f"{most:.2f}",
        f"the value head ends in {by}, and the read-out squashes its output once more: it is "
        f"bounded, and answers stay between {least:.2f} and {most:.2f}",
        "let the value head end in a plain linear layer, and leave sigmoid and tanh to the "
        "read-out",
        root="detached value",
    )


def _policy(logits: Tensor) -> Iterator[Finding]:
    spread = float((logits.amax(dim=1) - logits.amin(dim=1)).max())
    for low, high, name in _BOUNDS:
        inside = bool((logits >= low - 1e-3).all()) and bool((logits <= high + 1e-3).all())
        if inside and 1e-6 < spread:
            yield Finding(
                "range of outputs",
                "error",
                f"with {_DRAWS} draws of random weights the policy's outputs stay between {low:g} "
                f"and {high:g}",
                f"the policy head ends in {name}, and the loss takes a softmax once more: no move "
                f"can be made more than {2.72 ** (high - low):.1f} times as likely as another",
                "let the policy head end in a plain linear layer or convolution",
                root="detached policy",
            )
            return


def _cut_policy(logits: Tensor) -> Iterator[Finding]:
    """Logits that can never be negative."""
    zero = float((logits == 0).float().mean())
    if float(logits.min()) >= 0.0 and 0.05 < zero < 1.0:
        yield Finding(
            "range of outputs",
            "error",
            f"with {_DRAWS} draws of random weights no output of the policy is below 0, and "
            f"{zero:.0%} are exactly 0",
            "the policy head ends in a relu: its outputs are cut off at 0, and cells that it "
            "should rule out are given no gradient",
            "let the policy head end in a plain linear layer or convolution",
            root="detached policy",
        )


def _first_answers(trial: WatchedTrial) -> Iterator[Finding]:
    """Before anything is learnt, answers should be near one half."""
    raw = trial.steps[0].raw.float()
    answers = trial.readout.win_prob(raw)
    sure = float(((answers < _CERTAIN) | (answers > 1 - _CERTAIN)).float().mean())
    if sure > 0.3:
        yield Finding(
            "range of outputs",
            "warning",
            f"{sure:.0%} of the first answers, before any step, are within {_CERTAIN:g} of 0 or 1 "
            f"(raw values from {float(raw.min()):.3g} to {float(raw.max()):.3g})",
            "the value head's initial weights are too large: its first answers are saturated",
            "initialise the last layer small, so that first answers lie near 0.5",
        )


def _reached(
    trial: WatchedTrial, planes: Tensor, draws: int, scales: tuple[float, ...] = _SCALES
) -> tuple[Tensor, Tensor]:
    """Raw values [D * B] and policy logits [D * B, N*N] under weights drawn anew."""
    own = trial.network  # whose hooks hold what was recorded
    network = Network(deepcopy(own.trunk), deepcopy(own.value_head), deepcopy(own.policy_head))
    network.train()
    heads = [network.value_head, network.policy_head]
    drawn = [part if any(True for _ in part.parameters()) else network for part in heads]
    values, logits = [], []
    generator = torch.Generator().manual_seed(SEED + draws)
    with torch.no_grad():
        for scale in scales * (draws // len(scales)):
            for part in drawn:
                _draw(part, scale, generator)
            output = network(trial.execution.show(planes))
            values.append(output.value_raw.float().reshape(-1))
            logits.append(output.policy_logits.float())
    return torch.cat(values), torch.cat(logits)


def _draw(part: nn.Module, scale: float, generator: torch.Generator) -> None:
    for parameter in part.parameters():
        fan_in = max(parameter[0].numel() if parameter.ndim > 1 else 1, 1)
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(scale * noise / fan_in**0.5)
