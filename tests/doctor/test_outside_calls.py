"""Networks of others whose calls go wrong: buffers, weights that are left out, and temperatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.computation.calls import call_findings
from hexsearch.doctor.checks.computation.edits import check_edits
from hexsearch.doctor.checks.computation.sharpness import check_sharpness
from hexsearch.doctor.checks.computation.unread import check_unread
from hexsearch.doctor.checks.network.independence import check_trained
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses import inputs
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.conftest import SIZE
from tests.doctor.outside import Trained
from tests.doctor.outside_networks import SOUND
from tests.doctor.own_scripts import encode

SCRIPT = SOUND["AlphaZero's tower"]
Wrap = Callable[[Any], nn.Module]


class Wrapped(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def win_prob_red(self, raw: Tensor, to_move: Tensor) -> Tensor:
        answers: Tensor = self.network.win_prob_red(raw, to_move)
        return answers

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = self.network(planes)
        return policy, value


class Buffers(Wrapped):
    """With answers in memory that each call uses again."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.policy, self.value = torch.zeros(4096, SIZE * SIZE), torch.zeros(4096)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        self.policy[: len(planes)], self.value[: len(planes)] = policy, value.reshape(-1)
        return self.policy[: len(planes)], self.value[: len(planes)]


class Cached(Wrapped):
    """With answers that are kept under the stones, without the plane of the side to move."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.kept: dict[bytes, tuple[Tensor, Tensor]] = {}

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        for board in planes:
            key = board[:2].numpy().tobytes()
            if key not in self.kept:
                self.kept[key] = super().forward(board[None])
        rows = [self.kept[board[:2].numpy().tobytes()] for board in planes]
        policy, value = (torch.cat(part) for part in zip(*rows, strict=True))
        return policy, value


class Flat(Wrapped):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy / 16, value  # those of this network are too sure


class Divided(Wrapped):
    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(planes / 255)


class _Norm(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(
            x, self.running_mean, self.running_var, torch.ones_like(self.weight), self.bias
        )


class WithoutScales(Wrapped):
    def __init__(self, network: Any) -> None:
        super().__init__(network)
        for module in self.network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = _Norm


@pytest.fixture(scope="module")
def trained(archive: GameArchive) -> Trained:
    return SCRIPT.trained(archive, SIZE)


def _causes(
    archive: GameArchive, trained: Trained, wrap: Wrap, look: Callable[[ExaminedPipeline], Any]
) -> list[str]:
    kept = [type(module) for module in trained.network.modules()]
    foreign = ForeignNetwork(wrap(trained.network), trained.encode, SIZE)
    try:
        found = list(look(ExaminedPipeline(label="foreign", archive=archive, foreign=foreign)))
    finally:
        for module, kind in zip(trained.network.modules(), kept, strict=True):
            module.__class__ = kind
    return [finding.cause for finding in found]


@pytest.mark.parametrize(
    ("wrap", "look", "words"),
    [
        (Buffers, check_trained, "returns its own buffers"),
        (WithoutScales, check_unread, "`weight` of _Norm is trained and not used"),
        (Divided, check_edits, "it is called once, with planes times 0.00392"),
        (Flat, check_sharpness, "the policy is too flat"),
    ],
)
def test_a_call_that_goes_wrong_is_named(
    wrap: Wrap,
    look: Callable[[ExaminedPipeline], Any],
    words: str,
    archive: GameArchive,
    trained: Trained,
) -> None:
    (cause,) = _causes(archive, trained, wrap, look)
    assert words in cause
    assert _causes(archive, trained, Wrapped, look) == []


def test_a_slow_network_is_asked_less(
    archive: GameArchive, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Counted(Wrapped):
        def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
            asked.append(len(planes))
            return super().forward(planes)

    foreign = ForeignNetwork(Counted(trained.network), trained.encode, SIZE)
    pipeline = ExaminedPipeline(label="foreign", archive=archive, foreign=foreign)
    observed = pipeline.observed
    assert observed is not None
    monkeypatch.setattr(inputs, "seconds_for_one", lambda *_: 0.1)
    asked.clear()
    scores = inputs.input_scores(foreign, observed, 0)
    assert scores[0].name == "as it is" and set(asked) == {120}


class _Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.policy = nn.Linear(3 * SIZE * SIZE, SIZE * SIZE)
        self.value = nn.Linear(3 * SIZE * SIZE, 1)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        flat = planes.flatten(1)
        return self.policy(flat), self.value(flat)[:, 0]


@pytest.mark.parametrize(("wrap", "count"), [(Cached, 1), (Wrapped, 0)])
def test_answers_that_are_kept_for_stones_alone_are_named(wrap: Wrap, count: int) -> None:
    with torch.random.fork_rng():
        foreign = ForeignNetwork(wrap(_Small()), encode, SIZE)
    found = list(call_findings(foreign, torch.randn(16, 3, SIZE, SIZE)))
    assert len(found) == count
    assert all("key of the stones alone" in each.cause for each in found)


class WithWeightsOfLosses(Wrapped):
    """With numbers that only the losses of training used, beside one that is read."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self.scales = nn.Parameter(torch.full((SIZE * SIZE,), 1.1))
        self.log_variances = nn.Parameter(torch.tensor([0.2, -0.3]))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = super().forward(planes)
        return policy * self.scales, value


def test_weights_of_losses_may_stay_unread(archive: GameArchive, trained: Trained) -> None:
    assert _causes(archive, trained, WithWeightsOfLosses, check_unread) == []
