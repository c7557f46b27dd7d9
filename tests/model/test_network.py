from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import TRUNK_PRESETS
from hexsearch.errors import ContractError
from hexsearch.model.network import build_network, count_parameters
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.value_heads import build_value_head, check_value_head

HEADS = [
    "512->1",
    "512->32->1",
    "512->64->1",
    "512->128->64->1",
    "reduced 512->64->1",
    "512->64->1 norm batch activation silu",
    "512->64->1 norm layer dropout 0.1",
    "flatten 512->4->128->1",
    "flatten 512->1->1",
    "mean_max 512->64->1",
    "mean_max reduced 512->32->64->1",
    "gpool 512->1",
    "gpool reduced 512->32->64->1",
    "attention 512->64->1",
    "attention reduced 512->32->1 heads 2",
]


def trial(**settings: Any) -> TrialConfig:
    raw = {"trunk": "tiny", "encoder": {"edge_ring": False}, **settings}
    return build(TrialConfig, raw, "trial")


@pytest.mark.parametrize("head", HEADS)
def test_every_head_gives_one_finite_value_a_position_and_reaches_the_trunk(head: str) -> None:
    network = build_network(trial(value_head=head), planes=2, size=7, seed=0)
    output = network(torch.rand(3, 2, 7, 7))
    assert output.value_raw.shape == (3,)
    assert output.policy_logits.shape == (3, 49)
    output.value_raw.sum().backward()
    stem = next(network.trunk.parameters())
    assert stem.grad is not None and bool(stem.grad.abs().sum() > 0)


@pytest.mark.parametrize("head", HEADS)
def test_first_answers_lie_near_even(head: str) -> None:
    network = build_network(trial(value_head=head), planes=2, size=7, seed=0).eval()
    raw = network(torch.rand(64, 2, 7, 7)).value_raw.detach()
    assert float(raw.abs().max()) < 1.0


@pytest.mark.parametrize("preset", TRUNK_PRESETS)
def test_every_trunk_preset_gives_512_features(preset: str) -> None:
    config = build(TrialConfig, {"trunk": preset}, "trial")
    network = build_network(config, planes=3, size=13, seed=0)
    assert network.trunk(torch.zeros(2, 3, 13, 13)).shape[1] == 512


@pytest.mark.parametrize("ring", [False, True])
def test_a_convolutional_policy_moves_with_the_position(ring: bool) -> None:
    trunk = {"preset": "tiny", "strides": [1, 1], "features": 16}
    config = trial(
        trunk=trunk,
        value_head="16->1",
        policy_head="convolution",
        encoder={"edge_ring": ring},
    )
    network = build_network(config, planes=2, size=19, seed=0).eval()
    planes = torch.zeros(2, 2, 19 + 2 * ring, 19 + 2 * ring)
    planes[0, 0, 8, 9] = planes[1, 0, 9, 11] = 1.0
    one, other = network(planes).policy_logits.view(2, 19, 19)
    # Away from the edges only where the stone lies counts.
    assert torch.allclose(one[7:10, 7:10], other[8:11, 9:12], atol=1e-5)
    assert not torch.allclose(one[7:10, 7:10], other[7:10, 7:10], atol=1e-3)


@pytest.mark.parametrize("size", [5, 7, 13])
@pytest.mark.parametrize("ring", [False, True])
def test_a_convolutional_policy_answers_for_each_cell_of_a_smaller_map(
    size: int, ring: bool
) -> None:
    config = trial(policy_head="convolution", encoder={"edge_ring": ring})
    network = build_network(config, planes=2, size=size, seed=0).eval()
    logits = network(torch.rand(1, 2, size + 2 * ring, size + 2 * ring)).policy_logits
    assert logits.shape == (1, size * size)
    assert len(set(logits[0].tolist())) > size**2 // 2  # cells of one place differ


def test_resnet18_leaves_a_two_by_two_map_of_13x13() -> None:
    config = build(TrialConfig, {"trunk": "resnet18"}, "trial")
    features = build_network(config, 3, 13, 0).trunk(torch.zeros(1, 3, 13, 13))
    assert features.shape == (1, 512, 2, 2)


def test_variants_share_trunk_and_policy_head_and_differ_in_the_value_head_only() -> None:
    one = build_network(trial(value_head="512->1"), 2, 7, seed=5)
    other = build_network(trial(value_head="512->64->1"), 2, 7, seed=5)
    for name in ("trunk", "policy_head"):
        for a, b in zip(
            one.parts()[name].parameters(), other.parts()[name].parameters(), strict=True
        ):
            assert torch.equal(a, b)


def test_building_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    build_network(trial(), 2, 7, seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_another_seed_gives_other_weights_in_every_part() -> None:
    one, other = (build_network(trial(), 2, 7, seed=seed) for seed in (0, 1))
    for name, part in one.parts().items():
        first, second = next(part.parameters()), next(other.parts()[name].parameters())
        assert not torch.equal(first, second), name


def test_parameters_of_the_linear_head_are_its_inputs_and_one() -> None:
    network = build_network(trial(), 2, 7, seed=0)
    assert count_parameters(network.value_head) == 513


def test_the_policy_loss_leaves_positions_without_a_next_move_out() -> None:
    logits = torch.randn(3, 9, requires_grad=True)
    target = torch.tensor([4, 0, 2])
    has_move = torch.tensor([True, False, True])
    loss = policy_loss(logits, target, has_move)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits[[0, 2]], target[[0, 2]]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[0].any() and not gradient[1].any()


def test_a_batch_without_any_next_move_has_no_policy_loss() -> None:
    none = torch.zeros(2, dtype=torch.bool)
    assert policy_loss(torch.randn(2, 9), torch.zeros(2, dtype=torch.long), none).item() == 0.0


class ColumnHead(nn.Module):
    def __init__(self, inputs: int, width: int = 1) -> None:
        super().__init__()
        self.output = nn.Linear(inputs, width)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.output(features.mean(dim=(2, 3)))
        return out


class DetachedHead(ColumnHead):
    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features.detach()).squeeze(1)


def test_a_plug_in_head_with_a_column_too_many_is_told_what_to_drop() -> None:
    head = build_value_head(trial(value_head=f"{__name__}:ColumnHead").value_head, 2)
    assert check_value_head(head, 512, 2, "mine") == [
        "value head 'mine' returned [4, 1], expected [4]: drop the last axis in its forward()"
    ]


def test_a_detached_head_is_found_before_training() -> None:
    with pytest.raises(ContractError, match="passes no gradient to the trunk"):
        build_network(trial(value_head=f"{__name__}:DetachedHead"), 2, 7, seed=0)


def test_a_plug_in_that_makes_no_module_is_refused() -> None:
    with pytest.raises(ContractError, match=r"expected an nn\.Module"):
        build_value_head(trial(value_head="builtins:dict").value_head, 2)
