"""Code round a network, sums and activations that training did not have, or had."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.computation.edits import check_edits
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses import edits
from hexsearch.doctor.hypotheses.edits import all_edits
from hexsearch.doctor.hypotheses.edits.inner import inner_calls, told
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.conftest import SIZE
from tests.doctor.outside import Trained
from tests.doctor.outside_networks import SOUND, Tower

ALPHAZERO = SOUND["AlphaZero's tower"]


@pytest.fixture(scope="module")
def trained(archive: GameArchive) -> Trained:
    return ALPHAZERO.trained(archive, SIZE)


def _findings(archive: GameArchive, script: Trained, network: nn.Module) -> list[Finding]:
    network.win_prob_red = script.network.win_prob_red
    foreign = ForeignNetwork(network, script.encode, SIZE)
    return list(check_edits(ExaminedPipeline(label="foreign", archive=archive, foreign=foreign)))


class _Wrapped(nn.Module):
    """A network whose planes and answers other code changes."""

    def __init__(self, net: nn.Module, answer: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.net, self.answer = net, answer

    def forward(self, planes: Tensor) -> Any:
        return self.answer(self.net, planes)


def _averaged(net: nn.Module, planes: Tensor, turned_back: bool) -> tuple[Tensor, Tensor]:
    """The mean over a board and its half turn."""
    policy, value = net(planes)
    other, second = net(planes.flip(2, 3))
    other = other.flip(1) if turned_back else other
    return (policy + other) / 2, (value + second) / 2


WRAPPINGS: dict[str, tuple[Callable[[nn.Module, Tensor], Any], str]] = {
    "not turned back": (
        lambda net, planes: _averaged(net, planes, False),
        "called 2 times, with the planes as they are, the board given a half turn",
    ),
    "mirrored": (
        lambda net, planes: net(planes.flip(3)),
        "called once, with the board left and right exchanged",
    ),
}


@pytest.mark.parametrize("name", WRAPPINGS)
def test_code_that_spoils_a_sound_network_is_named(
    name: str, archive: GameArchive, trained: Trained
) -> None:
    answer, words = WRAPPINGS[name]
    (finding,) = _findings(archive, trained, _Wrapped(deepcopy(trained.network), answer))
    assert "does round net spoils" in finding.cause or "mirrored" in finding.cause, finding
    assert ("without being turned back" in finding.cause) == (name == "not turned back")
    planes = torch.zeros(2, 2, SIZE, SIZE)
    planes[0, 0, 1, 2] = planes[1, 1, 4, 0] = 1.0
    calls, _ = inner_calls(_Wrapped(deepcopy(trained.network), answer), planes)
    assert list(calls) == ["net"] and words in told(calls["net"], planes)


@pytest.mark.parametrize(
    ("dims", "words"),
    [
        ((0, 1), "the positions of the batch and their planes in reverse order"),
        ((0,), "the positions of the batch in reverse order"),
        ((2, 3), "the board given a half turn"),
    ],
)
def test_flips_over_other_dimensions_than_those_of_the_board_are_told(
    dims: tuple[int, ...], words: str
) -> None:
    network, planes = _sample()
    wrapped = _Wrapped(network, lambda net, shown: net(shown.flip(dims)))
    calls, _ = inner_calls(wrapped, planes)
    assert words in told(calls["net"], planes)


class _OneValue(nn.Module):
    """A network whose value has one dimension."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.inner = net

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = self.inner(planes)
        return policy, value[:, 0]


def test_a_network_inside_may_give_a_value_of_one_dimension() -> None:
    network, planes = _sample()
    wrapped = _Wrapped(_OneValue(network), lambda net, shown: net(shown.flip(3)))
    calls, whole = inner_calls(wrapped, planes)
    assert list(calls) == ["net"] and torch.equal(whole[0], calls["net"][0].policy)
    (edit,) = [each for each in all_edits(wrapped, planes) if each.family == "wrapping"]
    with edit.made():
        assert torch.equal(wrapped(planes)[0], network(planes)[0])


class _Mean(nn.Module):
    """The mean of two networks, the second of which values the other side."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        policy, value = self.first(planes[:, :2])
        other, second = self.second(planes[:, :2])
        return (policy + other) / 2, (value - second) / 2


def test_one_network_of_a_mean_may_be_right() -> None:
    network, planes = _sample()
    mean, more = _Mean(network, Tower(SIZE).eval()), torch.cat([planes, planes], dim=1)
    found = [each for each in all_edits(mean, more) if "called first" in each.words]
    assert [each.words.split()[1] for each in found] == ["first", "second"]
    with found[0].made():
        assert torch.equal(mean(more)[1], network(planes)[1])
    assert not torch.equal(mean(more)[1], network(planes)[1])


def test_sound_code_round_a_network_is_no_finding(archive: GameArchive, trained: Trained) -> None:
    wrapped = _Wrapped(deepcopy(trained.network), lambda net, p: _averaged(net, p, True))
    assert not _findings(archive, trained, wrapped)


def _without_sum(block: Any, x: Tensor) -> Tensor:
    inner = functional.relu(block.norm1(block.conv1(x)))
    out: Tensor = block.norm2(block.conv2(inner))
    return out


def _twice_active(tower: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    features = tower.blocks(tower.stem(planes))
    value = functional.relu(tower.value_norm(tower.value_conv(features))).flatten(1)
    value = tower.value_fc2(functional.relu(tower.value_fc1(value)))
    return tower.policy(features).flatten(1), value.tanh()


def _active_policy(tower: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    features = tower.blocks(functional.relu(tower.stem(planes)))
    value = tower.value_norm(functional.leaky_relu(tower.value_conv(features), 0.5)).flatten(1)
    value = tower.value_fc2(functional.relu(tower.value_fc1(value)))
    return tower.policy(features).flatten(1), value.tanh()


def _sample() -> tuple[Tower, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Tower(SIZE).eval()
    planes = torch.randn(4, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return network, planes


def test_an_activation_that_is_left_out_is_put_back() -> None:
    network, planes = _sample()
    right = network(planes)[1]
    network.forward = MethodType(_twice_active, network)  # type: ignore[method-assign]
    (edit,) = [each for each in all_edits(network, planes) if each.words == "a relu after stem"]
    assert not torch.allclose(network(planes)[1], right)
    with edit.made():
        assert torch.equal(network(planes)[1], right)


def test_an_activation_too_many_is_taken_out_by_its_line() -> None:
    network, planes = _sample()
    network.forward = MethodType(_active_policy, network)  # type: ignore[method-assign]
    wrong = network(planes)[1]
    (edit,) = [each for each in all_edits(network, planes) if "leaky_relu in" in each.words]
    assert "tower.value_norm(functional.leaky_relu" in edit.words
    with edit.made():
        assert not torch.allclose(network(planes)[1], wrong)
    assert torch.equal(network(planes)[1], wrong)


def test_a_sum_that_is_left_out_is_put_back() -> None:
    network, planes = _sample()
    block = network.blocks[0]
    with torch.no_grad():
        features = functional.relu(network.stem(planes))
        plain = block(features)
        block.forward = MethodType(_without_sum, block)
        words = "the input of blocks.* added to its output"
        (edit,) = [each for each in all_edits(network, planes) if each.words == words]
        with edit.made():
            assert torch.allclose(functional.relu(block(features)), plain, atol=1e-6)


class _Cut(nn.Module):
    def __init__(self, least: float) -> None:
        super().__init__()
        self.least = least

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(x, self.least, 0.1)


@pytest.mark.parametrize("least", [0.0, -0.1])
def test_features_are_not_cut_off(least: float) -> None:
    network, planes = _sample()
    if least:  # features of both signs
        network.stem.weight.data.mul_(-1.0)
        network.forward = MethodType(_twice_active, network)  # type: ignore[method-assign]
        network.stem = nn.Sequential(network.stem)  # type: ignore[assignment]
    right = network(planes)[1]
    (network.stem if least else network.blocks).append(_Cut(least))  # type: ignore[operator]
    (edit,) = [each for each in all_edits(network, planes) if each.family == "bounds"]
    assert not torch.allclose(network(planes)[1], right)
    with edit.made():
        assert torch.allclose(network(planes)[1], right, atol=1e-6)


class _Placed(nn.Module):
    """Numbers of rows [N, 1] and of columns, [N, 1] or [1, N], that weigh a board."""

    def __init__(self, exchanged: bool, flat: bool) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.rows = nn.Parameter(torch.randn(SIZE, 1, generator=draw))
        columns = torch.randn(SIZE, 1, generator=draw)
        self.columns = nn.Parameter(columns.T if flat else columns)
        self.exchanged = exchanged

    def forward(self, planes: Tensor) -> Tensor:
        rows, columns = self.rows.flatten(), self.columns.flatten()
        if self.exchanged:
            rows, columns = columns, rows
        return (planes * (rows[:, None] + 2.0 * columns[None])).flatten(1)


@pytest.mark.parametrize("flat", [False, True])
def test_rows_and_columns_are_exchanged(flat: bool) -> None:
    _, planes = _sample()
    wrong, right = _Placed(True, flat), _Placed(False, flat)(planes)
    (edit,) = [e for e in all_edits(wrong, planes) if e.words.startswith("rows and columns of")]
    assert not torch.allclose(wrong(planes), right)
    with edit.made():
        assert torch.allclose(wrong(planes), right, atol=1e-6)


def test_weights_with_a_wrong_zero_point_lose_their_offset() -> None:
    network, planes = _sample()
    assert not [e for e in all_edits(network, planes) if e.family == "offset"]
    right = network(planes)[1]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.numel() >= 200:
                module.weight.add_(2.0 * module.weight.std() - module.weight.mean())
    (edit,) = [e for e in all_edits(network, planes) if e.family == "offset"]
    wrong = network(planes)[1]
    with edit.made():
        assert (network(planes)[1] - right).abs().max() < 0.2 * (wrong - right).abs().max()


class _Masked(nn.Module):
    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, planes: Tensor) -> Tensor:
        cells = planes.flatten(2).transpose(1, 2)
        return functional.scaled_dot_product_attention(cells, cells, cells, attn_mask=self.mask)


def test_masks_are_inverted() -> None:
    _, planes = _sample()
    places = torch.arange(SIZE * SIZE)
    near = (places[:, None] - places[None]).abs() < 3
    wrong, right = _Masked(~near), _Masked(near)(planes)
    (edit,) = [e for e in all_edits(wrong, planes) if e.family == "inverted masks"]
    with edit.made():
        assert torch.allclose(wrong(planes), right)
    assert not torch.allclose(wrong(planes), right)


def test_biases_before_norms_are_made_up_for() -> None:
    _, planes = _sample()
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4, momentum=None))
    layers.train()(planes)
    right = layers.eval()(planes)
    assert not [e for e in all_edits(layers, planes) if e.family == "means"]
    layers[0].register_parameter("bias", None)
    wrong = layers(planes)
    (edit,) = [e for e in all_edits(layers, planes) if e.family == "means"]
    with edit.made():
        assert torch.allclose(layers(planes), right, atol=1e-4)
    assert torch.equal(layers(planes), wrong) and not torch.allclose(wrong, right, atol=0.1)


@pytest.mark.parametrize("name", SOUND)
def test_no_edit_of_a_sound_network_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user's network breaks is passed over, so a fault of an edit itself would hide."""
    monkeypatch.setattr(edits, "_possible", lambda found: found)
    script = SOUND[name]
    stones = np.zeros((2, SIZE, SIZE), dtype=np.int8)
    stones[0, 1, 2] = stones[1, 3, 0] = 1
    planes = torch.from_numpy(np.stack([script.encode(board, 1) for board in stones]))
    wrapped = _Wrapped(script.network(SIZE).eval(), lambda net, shown: net(shown))
    families = {edit.family for edit in all_edits(wrapped, planes)}
    assert families >= {"wrapping", "activation", "bounds", "one activation"}
