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

_DRAWS = 6  # sets of random weights
_SCALES = (2.0, 64.0)  # of these weights
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
    values, logits = _reached(trial, planes)
    yield from _value(trial, values)
    if trial.config.policy_head.weight > 0:
        yield from _policy(logits)
    yield from _first_answers(trial)


def _value(trial: WatchedTrial, values: Tensor) -> Iterator[Finding]:
    low, high = float(values.min()), float(values.max())
    answers = trial.readout.win_prob(torch.tensor([low, high])).tolist()
    least, most = min(answers), max(answers)
    if least < _SURE and most > 1 - _SURE:
        return
    if high - low < 1e-6:
        return  # an output that does not depend on its weights is named by the check of gradients
    by = next(
        (name for a, b, name in _BOUNDS if low >= a - 1e-3 and high <= b + 1e-3),
        "a relu" if low >= -1e-6 else "an activation",
    )
    yield Finding(
        "range of outputs",
        "error",
        f"with {_DRAWS} draws of random weights the raw value stays between {low:.3g} and "
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


def _reached(trial: WatchedTrial, planes: Tensor) -> tuple[Tensor, Tensor]:
    """Raw values [D * B] and policy logits [D * B, N*N] under weights drawn anew."""
    own = trial.network  # whose hooks hold what was recorded
    network = Network(deepcopy(own.trunk), deepcopy(own.value_head), deepcopy(own.policy_head))
    network.train()
    heads = [network.value_head, network.policy_head]
    drawn = [part if any(True for _ in part.parameters()) else network for part in heads]
    values, logits = [], []
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for scale in _SCALES * (_DRAWS // len(_SCALES)):
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
