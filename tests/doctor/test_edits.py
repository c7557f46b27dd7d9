"""A network that computes otherwise than in training is named by the edit that undoes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.computation import edits
from hexsearch.doctor.checks.computation.edits import _of_policy, _of_value, check_edits
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.edits import all_edits
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.hypotheses.edits.trying import Losses, move_losses
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.conftest import SIZE, every_tenth
from tests.doctor.outside import Encode, Foreign, Trained
from tests.doctor.outside_networks import SOUND, Tower, canonical

Damage = Callable[[Any], object]


def _kernels(network: nn.Module) -> list[nn.Conv2d]:
    found = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [module for module in found if module.kernel_size != (1, 1)]


def turn_kernels(network: nn.Module) -> None:
    for layer in _kernels(network):
        layer.weight.data = layer.weight.data.flip(-1, -2)


def exchange_channels(network: nn.Module) -> None:
    for layer in _kernels(network):
        if layer.in_channels == layer.out_channels:
            layer.weight.data = layer.weight.data.transpose(0, 1).contiguous()


def exchange_blocks(network: Any) -> None:
    first, second = (deepcopy(block.state_dict()) for block in network.blocks)
    network.blocks[0].load_state_dict(second)
    network.blocks[1].load_state_dict(first)


def exchange_convolutions(network: Any) -> None:
    for block in network.blocks:
        block.conv1, block.conv2 = block.conv2, block.conv1


def keep_deviations(network: nn.Module) -> None:
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
            norm.running_var.sqrt_()


def pad_otherwise(network: nn.Module) -> None:
    for layer in _kernels(network):
        layer.padding_mode = "circular"


def flatten_otherwise(network: Any) -> None:
    network.value_fc1.weight.data = (
        network.value_fc1.weight.data.unflatten(1, (8, SIZE, SIZE))
        .permute(0, 2, 3, 1)
        .flatten(1)
        .contiguous()
    )


ALPHAZERO, WDL = SOUND["AlphaZero's tower"], SOUND["win, draw and loss"]
DAMAGES: dict[str, tuple[Foreign, Damage, str]] = {
    "turned kernels": (ALPHAZERO, turn_kernels, "loaded turned by half"),
    "transposed kernels": (ALPHAZERO, exchange_channels, "as many inputs as outputs"),
    "exchanged blocks": (ALPHAZERO, exchange_blocks, "the blocks in blocks were loaded in another"),
    "deviations": (ALPHAZERO, keep_deviations, "standard deviations in the place of variances"),
    "padding": (ALPHAZERO, pad_otherwise, "padding of the convolutions"),
    "flattened": (ALPHAZERO, flatten_otherwise, "flattened by row, column, channel"),
    "exchanged layers": (WDL, exchange_convolutions, "conv1 and conv2 of Residual"),
}


@pytest.fixture(scope="module")
def trained(archive: GameArchive) -> dict[int, Trained]:
    """Networks of the scripts that are damaged, by the identity of the script."""
    return {id(script): script.trained(archive, SIZE) for script in (ALPHAZERO, WDL)}


def _findings(archive: GameArchive, script: Trained, damage: Damage | None = None) -> list[Finding]:
    network = deepcopy(script.network)
    network.win_prob_red = script.network.win_prob_red
    if damage is not None:
        damage(network)
    foreign = ForeignNetwork(network, script.encode, SIZE)
    return list(check_edits(ExaminedPipeline(label="foreign", archive=archive, foreign=foreign)))


@pytest.mark.parametrize("name", every_tenth(DAMAGES))
def test_what_undoes_the_damage_is_named(
    name: str, archive: GameArchive, trained: dict[int, Trained]
) -> None:
    script, damage, words = DAMAGES[name]
    (finding,) = _findings(archive, trained[id(script)], damage)
    assert finding.severity == "error" and words in finding.cause, finding
    assert not _findings(archive, trained[id(script)])


def test_what_weights_show_to_be_lost_comes_before_what_makes_up_for_it(
    archive: GameArchive, trained: dict[int, Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = ("no weight is negative", "the signs are lost", "keep them")
    monkeypatch.setattr(edits, "lost_part", lambda foreign: lost)
    script, damage, _ = DAMAGES["turned kernels"]
    (finding,) = _findings(archive, trained[id(script)], damage)
    assert (finding.cause, finding.remedy, finding.root) == (*lost[1:], "weights")
    assert finding.evidence.startswith("no weight is negative; in the second halves of games")


@pytest.mark.slow
def test_a_plane_that_was_filled_in_training_is_named(archive: GameArchive) -> None:
    def shown(level: float) -> Encode:
        def encode(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
            last = np.full((1, *stones.shape), level, dtype=np.float32)
            return np.concatenate([canonical(stones, to_move), last])

        return encode

    script = replace(
        ALPHAZERO, network=lambda size: Tower(size, planes=3), encode=shown(1.0), asked=shown(0.0)
    )
    empty = script.trained(archive, SIZE)
    (finding,) = _findings(archive, empty)
    assert "plane 2 holds 0 on every cell" in finding.cause and finding.severity == "error", finding
    assert not _findings(archive, empty._replace(encode=shown(1.0)))


class _Sample(nn.Module):
    """Layers of every kind that an edit knows."""

    def __init__(self) -> None:
        super().__init__()
        self.states = nn.Embedding(3, 12)
        self.cells = nn.Parameter(torch.randn(1, SIZE * SIZE, 12))
        self.layer = nn.TransformerEncoderLayer(12, 2, 24, batch_first=True)
        self.memory = nn.LSTM(12, 12, batch_first=True)
        self.gate = nn.Linear(12, 24)
        self.conv = nn.Conv2d(12, 12, 3, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.policy, self.value = nn.Linear(12, 1), nn.Linear(24, 3)
        for buffer in self.buffers():
            if buffer.is_floating_point():
                nn.init.uniform_(buffer, 0.5, 2.0)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        stones = (planes[:, 0] - planes[:, 1]).flatten(1).long() + 1
        tokens = self.memory(self.layer(self.states(stones) + self.cells))[0]
        factor, shift = self.gate(tokens.mean(dim=1)).chunk(2, dim=1)
        board = (tokens * factor[:, None].sigmoid() + shift[:, None]).transpose(1, 2)
        board = self.norm(self.conv(board.unflatten(2, (SIZE, SIZE)))).relu()
        pooled = torch.cat([board.mean(dim=(2, 3)), board.amax(dim=(2, 3))], dim=1)
        return self.policy(board.flatten(2).transpose(1, 2))[..., 0], self.value(pooled)


@pytest.fixture(scope="module")
def sample() -> Iterator[tuple[nn.Module, Tensor, list[Edit]]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = _Sample().eval()
        stones = torch.randint(-1, 2, (16, SIZE, SIZE))
        planes = torch.stack([stones == 1, stones == -1], dim=1).float()
        yield network, planes, list(all_edits(network, planes))


def _value(network: nn.Module, planes: Tensor) -> Tensor:
    with torch.no_grad():
        value: Tensor = network(planes)[1]
    return value


def test_every_edit_is_undone(sample: tuple[nn.Module, Tensor, list[Edit]]) -> None:
    network, planes, every = sample
    before, state = _value(network, planes), deepcopy(network.state_dict())
    changed = set()
    for edit in every:
        if edit.family == "scaled planes":
            continue  # its embedding has a row for each kind of stone
        with edit.made():
            if not torch.equal(_value(network, planes), before):
                changed.add(edit.family)
        assert torch.equal(_value(network, planes), before), edit
        after = network.state_dict()
        assert all(torch.equal(after[name], state[name]) for name in state), edit
    assert changed >= {
        "kernels", "square", "cells", "variances", "scale and shift", "parts of gate", "gates",
        "embeddings", "padding of the convolutions", "number of attention heads",
        "place of the norms (norm_first)", "activation", "pooling", "split parts", "joined parts",
        "outcomes",
    }, changed  # fmt: skip


def test_an_error_within_an_edit_leaves_the_weights_as_they_were(
    sample: tuple[nn.Module, Tensor, list[Edit]],
) -> None:
    network, _, every = sample
    state = deepcopy(network.state_dict())
    for edit in every:
        with pytest.raises(ZeroDivisionError), _failing(edit):
            pass
    assert all(torch.equal(network.state_dict()[name], state[name]) for name in state)


@contextmanager
def _failing(edit: Edit) -> Iterator[None]:
    with edit.made():
        raise ZeroDivisionError
    yield


def test_a_module_that_only_looks_like_one_of_torch_hides_no_other_edit() -> None:
    convolution = nn.Conv2d(2, 2, 3)
    del convolution.weight  # a quantised one has a method of this name
    network = nn.Sequential(convolution, nn.BatchNorm2d(2))
    families = {edit.family for edit in all_edits(network, torch.zeros(2, 2, SIZE, SIZE))}
    assert "kernels" not in families and {"variances", "activation", "plane 0"} <= families


@pytest.mark.parametrize(
    "words", ["halves in the order 2, 1", "gates of each LSTM in the order 1, 3, 2, 4"]
)
def test_an_edit_undoes_the_change_of_its_name(
    words: str, sample: tuple[nn.Module, Tensor, list[Edit]]
) -> None:
    network, planes, every = sample
    own = [
        edit for edit in every if words in edit.words and edit.family in ("gates", "parts of gate")
    ]
    before = _value(network, planes)
    with own[0].made():
        damaged = deepcopy(network)
    assert not torch.allclose(_value(damaged, planes), before)
    (again,) = [edit for edit in all_edits(damaged, planes) if edit.words == own[0].words]
    with again.made():
        assert torch.equal(_value(damaged, planes), before)


@pytest.mark.parametrize("reflected", [False, True])
def test_moves_are_scored_on_the_board_as_played_or_as_shown(reflected: bool) -> None:
    rng = np.random.default_rng(0)
    played, red = rng.integers(0, SIZE * SIZE, 40), np.arange(40) % 2 == 1
    played[:4] = -1
    cells = np.where(red & reflected, played % SIZE * SIZE + played // SIZE, played)
    logits = rng.normal(size=(40, SIZE * SIZE))
    logits[np.arange(40), cells] += 12.0
    losses = move_losses(logits, played, red, SIZE)
    assert np.isnan(losses[:4]).all() and np.nanmax(losses) < 0.5


@pytest.mark.parametrize(
    ("gain", "value", "severity"),
    [(1.5, 0.2, "error"), (0.3, 0.2, "warning"), (0.07, 0.2, None), (1.5, 0.3, None)],
)
def test_an_edit_may_show_in_the_policy_alone(
    gain: float, value: float, severity: str | None
) -> None:
    rng = np.random.default_rng(0)
    size, game = 13, np.repeat(np.arange(80), 10)
    own = Losses(np.full(800, 0.2), 4.0 + rng.normal(size=800))
    other = Losses(np.full(800, value), own.policy - gain + 0.1 * rng.normal(size=800))
    told = _of_policy(own, other, game, size)
    assert (told and told[0]) == severity
    assert told is None or told[2]
    poor = [replace(each, policy=each.policy + 0.8) for each in (own, other)]
    told = _of_policy(poor[0], poor[1], game, size)
    assert told is None or told[2] is (gain > 1)


def test_an_edit_that_helps_a_little_is_no_cause() -> None:
    rng = np.random.default_rng(0)
    game = np.repeat(np.arange(80), 10)
    own = 0.24 + 0.01 * rng.normal(size=800)
    found = {gain: _of_value(own, own - gain, game, 0.12) for gain in (0.02, 0.05, 0.08, 0.1)}
    told = {gain: each and (each[0], each[2]) for gain, each in found.items()}
    assert told == {0.02: None, 0.05: ("error", False), 0.08: ("error", True), 0.1: ("error", True)}


class _Attention(nn.Module):
    """Attention of cells to each other, by hand or by torch's own function."""

    def __init__(self, scale: float, by_hand: bool) -> None:
        super().__init__()
        self.scale, self.by_hand = scale, by_hand

    def forward(self, planes: Tensor) -> Tensor:
        cells = planes.flatten(2).transpose(1, 2)
        if self.by_hand:
            scores = cells @ cells.transpose(1, 2) * self.scale
            return scores.softmax(dim=-1) @ cells
        return nn.functional.scaled_dot_product_attention(cells, cells, cells, scale=self.scale)


@pytest.mark.parametrize("by_hand", [True, False])
def test_scores_of_attention_are_scaled(by_hand: bool) -> None:
    planes = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    wrong, right = _Attention(1.0, by_hand), _Attention(0.25, by_hand)(planes)
    words = "attention divided by the root of 16"
    (edit,) = [each for each in all_edits(wrong, planes) if words in each.words]
    assert not torch.allclose(wrong(planes), right)
    with edit.made():
        assert torch.allclose(wrong(planes), right, atol=1e-6)


@pytest.mark.parametrize(
    "flipped",
    [
        lambda planes: torch.fliplr(torch.flipud(planes)),
        lambda planes: planes.flip(0).flip(1),
        lambda planes: planes.flip((0, 1)),
        lambda planes: torch.flip(planes, dims=(-4, -3)),
    ],
)
def test_flips_over_planes_become_those_over_cells(flipped: Callable[[Tensor], Tensor]) -> None:
    planes = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    right = planes.flip(2, 3)
    (edit,) = [each for each in all_edits(nn.Flatten(), planes) if each.family == "flips"]
    with edit.made():
        assert torch.equal(flipped(planes), right)
        assert torch.equal(planes.flip(2, 3), right)
    assert not torch.equal(flipped(planes), right)
