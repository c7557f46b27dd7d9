"""Tests of what the doctor says of changes in networks, evaluations, reports and saved states."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.archive import GameArchive
from hexsearch.data.batch import Batch
from hexsearch.doctor.checks.training.configured import check_configured
from hexsearch.model import blocks, pooling
from hexsearch.training import evaluation as evaluations
from hexsearch.training import metrics
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.trial import Trial
from tests.doctor.conftest import pipeline, tiny
from tests.doctor.slips import ABSOLUTE, Inject, Slip, in_network, in_part, in_reported, patched
from tests.doctor.test_yardstick import findings_on

EMA = {"optimiser": {"ema_half_life": 2000}}


def of_block(change: Callable[[Any, Tensor], Tensor]) -> Inject:
    """Another forward pass of all plain blocks."""
    return patched(blocks.PlainBlock, "forward", lambda _: change)


def inner(block: Any, features: Tensor) -> Tensor:
    """What a block adds to its shortcut."""
    first = block.act1(block.norm1(block._first(features)))
    out: Tensor = block._excited(block.norm2(block.conv2(first)))
    return out


def linear_first(block: Any, features: Tensor) -> Tensor:
    out: Tensor = block.norm2(block.conv2(block.norm1(block._first(features))))
    return block.act2(out + block.shortcut(features))  # type: ignore[no-any-return]


def norm_first(block: Any, features: Tensor) -> Tensor:
    first = block.act1(block.norm1(block._first(features)))
    return block.act2(block.conv2(block.norm2(first)) + block.shortcut(features))  # type: ignore[no-any-return]


def in_depth(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, blocks.PlainBlock):
            channels = module.conv2.out_channels
            module.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)


def of_columns(change: Callable[[Tensor, dict[str, Tensor]], dict[str, Tensor]]) -> Inject:
    """Metrics of other columns."""

    def make(sound: Any) -> Any:
        return lambda p, columns: sound(p, {**columns, **change(p, dict(columns))})

    return patched(metrics, "reduce", make)


def shuffled(p: Tensor, columns: dict[str, Tensor]) -> dict[str, Tensor]:
    order = torch.randperm(len(p), generator=torch.Generator().manual_seed(3))
    return {"red_won": columns["red_won"][order]}


def by_root(sound: Any) -> Any:
    def figures(self: Any) -> Any:
        found = sound(self)
        overall = replace(found.overall, value_loss=found.overall.value_loss**0.5)
        return replace(found, overall=overall)

    return figures


def for_ever(sound: Any) -> Any:
    kept: dict[tuple[int, int], Any] = {}

    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        key = id(network), len(positions)
        if key not in kept:
            kept[key] = sound(self, network, positions)
        return kept[key]

    return evaluate


def in_train_mode(sound: Any) -> Any:
    """The trunk's norms alone are in train mode while a network answers."""

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        for module in network.trunk.modules():
            if isinstance(module, _BatchNorm):
                module.train(not network.training)
        return sound(self, network, batch)

    return answer


def turned(sound: Any) -> Any:
    """Raw values of a position and its half turn are averaged in evaluation."""

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        raws, logits = sound(self, network, batch)
        others, _ = sound(self, network, replace(batch, planes=batch.planes.flip(2, 3)))
        return [(a + b) / 2 for a, b in zip(raws, others, strict=True)], logits

    return answer


def without_statistics(sound: Any) -> Any:
    def state(self: Trial) -> Any:
        found = sound(self)
        network = {
            name: torch.zeros_like(each) if name.endswith("running_mean") else each
            for name, each in found["network"].items()
        }
        return {**found, "network": network}

    return state


def trained_weights(sound: Any) -> Any:
    def states(self: Trial) -> Any:
        return tuple({**kept, "network": self.network.state_dict()} for kept in sound(self))

    return states


def on_noise(sound: Any) -> Any:
    def calibrate(network: Any, batches: Iterator[Batch], forward: Any) -> Any:
        return sound(
            network, batches, lambda b: forward(replace(b, planes=torch.rand_like(b.planes)))
        )

    return calibrate


CASES: dict[str, tuple[Inject, str, dict[str, Any]]] = {
    "no activation": (of_block(linear_first), "in block 1 its first activation is left out", {}),
    "norm first": (of_block(norm_first), "norm 2 comes before convolution 2", {}),
    "no shortcut": (
        of_block(lambda b, x: b.act2(inner(b, x))),
        "the shortcut .* is left out",
        {},
    ),
    "shortcut subtracted": (
        of_block(lambda b, x: b.act2(inner(b, x) - b.shortcut(x))),
        "the shortcut is subtracted",
        {},
    ),
    "no last activation": (
        of_block(lambda b, x: inner(b, x) + b.shortcut(x)),
        "its second activation is left out",
        {},
    ),
    "pooled by maximum": (
        patched(pooling.MeanPooling, "forward", lambda _: lambda self, x: x.amax(dim=(2, 3))),
        "pooled by maximum and not by mean",
        {},
    ),
    "value times 100": (
        in_part("value_head", after=lambda x: 100 * x),
        "output is 100 times that of its layers",
        {},
    ),
    "value times 0.05": (in_part("value_head", after=lambda x: x / 20), "is 0.05 times", {}),
    "other layers": (in_network(in_depth), "divided into .* groups", {}),
    "planes times 255": (in_part("trunk", before=lambda x: 255 * x), "255 times the right", {}),
    "values rolled": (in_part("value_head", after=lambda x: x.roll(1)), "values of a batch", {}),
    "never negative": (in_part("value_head", after=torch.abs), "which are never negative", {}),
    "cut off": (in_reported(lambda p, _: p.clamp(0.3, 0.7)), r"clamped to \[0\.3", {}),
    "timid": (in_reported(lambda p, _: 0.8 * p + 0.1), r"reports 0\.8 p \+0\.1", {}),
    "in tenths": (in_reported(lambda p, _: (10 * p).round() / 10), "multiples of 0.1", {}),
    "half of the log odds": (
        in_reported(lambda p, _: (torch.logit(p.clamp(1e-6, 1 - 1e-6)) / 2).sigmoid()),
        "multiplies the log odds by 0.5",
        {},
    ),
    "cut value of tanh": (
        in_reported(
            lambda p, b: torch.where(
                b.complement, 1 - (1 - 2 * p).clamp(0, 1), (2 * p - 1).clamp(0, 1)
            )
        ),
        r"cut to \[0, 1\]",
        {},
    ),
    "stage after": (
        of_columns(lambda _, c: {"stage": (c["stage"] + 1).clamp(max=2)}),
        "counts in the stage after its own",
        {},
    ),
    "plies from the beginning": (
        of_columns(lambda _, c: {"to_end": c["ply"]}),
        "counted from the beginning",
        {},
    ),
    "results in another order": (of_columns(shuffled), "results in another order", {}),
    "root of the Brier score": (
        patched(metrics.Evaluation, "metrics", by_root),
        "is the root of the mean squared error$",
        {},
    ),
    "kept for ever": (patched(Evaluator, "evaluate", for_ever), "repeats the first evalu", {}),
    "norms in train mode": (
        patched(Evaluator, "_answer", in_train_mode),
        "evaluation runs in train mode",
        {},
    ),
    "statistics lost": (
        patched(Trial, "state", without_statistics),
        r"running statistics of the batch norms .* are 0",
        {},
    ),
    "trained weights kept": (
        patched(Trial, "head_states", trained_weights),
        "weights that are kept are the trained ones",
        EMA,
    ),
    "calibrated on noise": (
        patched(evaluations, "calibrate_norms", on_noise),
        "statistics are not computed over training positions",
        {},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_first_finding_names_the_change(name: str, archive: GameArchive) -> None:
    inject, words, settings = CASES[name]
    found = findings_on(Slip(inject, words, settings), archive)
    assert found and re.search(words, found[0].cause), found


def test_a_mean_over_the_half_turn_in_evaluation_is_a_warning(archive: GameArchive) -> None:
    (found,) = findings_on(Slip(patched(Evaluator, "_answer", turned), ""), archive)
    assert found.severity == "warning" and "half turn" in found.cause


def test_a_constant_that_is_added_to_all_logits_is_no_finding(archive: GameArchive) -> None:
    inject = in_part("policy_head", after=lambda x: x.log_softmax(dim=1))
    assert not findings_on(Slip(inject, ""), archive)


HEADS = (
    "512->1",
    "512->128->64->1 norm batch activation silu",
    "reduced 512->64->1",
    "flatten 512->4->128->1",
    "mean_max 512->64->1 dropout 0.1",
    "gpool reduced 512->32->64->1",
    "attention reduced 512->32->64->1 heads 8 norm layer",
)
TRUNKS = [
    {"block": block, "norm": norm, "activation": activation, **more}
    for block, norm, activation, more in (
        ("plain", "batch", "relu", {}),
        ("plain", "none", "gelu", {"squeeze_excitation": True}),
        ("plain", "group", "mish", {"global_pooling_every": 2}),
        ("preact", "layer", "silu", {"squeeze_excitation": True, "global_pooling_every": 1}),
        ("preact", "batch", "relu", {"blocks": (2, 1)}),
        ("bottleneck", "batch", "mish", {"squeeze_excitation": True}),
        ("bottleneck", "group", "relu", {"global_pooling_every": 2}),
    )
]


@pytest.mark.parametrize(
    "settings",
    [
        *({"value_head": head} for head in HEADS),
        *({"trunk": {"preset": "tiny", **trunk}} for trunk in TRUNKS),
        {"trunk": "kata_like"},
        {"policy_head": {"family": "convolution", "weight": 1.0}},
        {"policy_head": {"family": "convolution", "weight": 1.0}, **ABSOLUTE},
        {"encoder": {"history": True, "edge_ring": False}},
    ],
    ids=str,
)
def test_every_part_computes_what_is_configured(
    settings: dict[str, Any], archive: GameArchive
) -> None:
    assert not list(check_configured(pipeline(archive, tiny(**settings))))
