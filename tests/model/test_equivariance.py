"""An equivariant network gives a board and the turned board the same answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError
from hexsearch.model.cost import measure_cost
from hexsearch.model.equivariance import turned
from hexsearch.model.network import Network, build_network, count_parameters

AUXILIARY = {
    "moves_left": 0.1,
    "ownership": 0.1,
    "winning_chain": 0.1,
    "future_stones": {"weight": 0.1},
}
SIZE = 7


def network(equivariant: bool = True, **settings: Any) -> Network:
    """A network whose norms have seen some boards."""
    trunk = {"preset": "tiny", "blocks": [1, 2], "features": 32, "equivariant": equivariant}
    trunk |= settings.pop("trunk", {})
    raw = {"trunk": trunk, "value_head": "32->8->1", "auxiliary": AUXILIARY, **settings}
    made = build_network(build(TrialConfig, raw, "trial"), 2, SIZE, 3)
    made(boards(64, 9), auxiliary=True)
    return made.eval()


def boards(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 2, SIZE + 2, SIZE + 2, generator=generator) < 0.3).float()


def differences(made: Network) -> dict[str, float]:
    """Greatest difference between the answers to boards and to turned boards, by answer.

    In units of the standard deviation of the answers.
    """
    shown = boards(5, 1)
    with torch.no_grad():
        one, other = made(shown, auxiliary=True), made(turned(shown), auxiliary=True)
    assert one.auxiliary is not None and other.auxiliary is not None
    pairs = {name: (here, other.auxiliary[name]) for name, here in one.auxiliary.items()}
    pairs |= {"value": (one.value_raw, other.value_raw)}
    pairs |= {"policy": (one.policy_logits, other.policy_logits)}
    found = {}
    for name, (here, there) in pairs.items():
        back = there if there.ndim == 1 else there.flip(-1)
        found[name] = float((here - back).abs().max() / here.std())
    return found


@pytest.mark.parametrize("block", ["plain", "preact", "bottleneck"])
@pytest.mark.parametrize("norm", ["batch", "layer", "group", "none"])
@pytest.mark.parametrize("extra", [{}, {"squeeze_excitation": True, "global_pooling_every": 1}])
def test_a_turned_board_gets_the_same_answers_whatever_the_trunk(
    block: str, norm: str, extra: dict[str, Any]
) -> None:
    # Maps of 9, 5 and 3 rows have a middle row, maps of 4 and 2 rows have none.
    trunk = {"block": block, "norm": norm, "channels": [8, 12, 16], "blocks": [1, 1, 1], **extra}
    for strides in ([1, 2, 2], [2, 2, 1], [1, 1, 3]):
        made = network(trunk={**trunk, "strides": strides})
        assert max(differences(made).values()) < 1e-3


@pytest.mark.parametrize(
    "head",
    [
        "flatten 32->8->1",
        "mean_max 32->8->1",
        "gpool 32->8->1",
        "attention reduced 32->16->1 heads 2",
    ],
)
@pytest.mark.parametrize("policy", ["linear", "convolution"])
def test_a_turned_board_gets_the_same_answers_whatever_the_heads(head: str, policy: str) -> None:
    for strides in ([1, 1], [2, 2]):
        made = network(trunk={"strides": strides}, value_head=head, policy_head={"family": policy})
        assert max(differences(made).values()) < 1e-3


def test_an_ordinary_network_answers_otherwise() -> None:
    assert min(differences(network(equivariant=False)).values()) > 0.1


def test_every_channel_is_learnt_and_the_views_are_not_alike() -> None:
    made = network().train()
    features = made.trunk(boards(5, 2))
    own, other = features.chunk(2, dim=1)
    assert (
        float((own - other).detach().abs().max()) > 0.1
    )  # an invariant trunk could not name cells
    out = made(boards(5, 2), auxiliary=True)
    (out.value_raw.square().sum() + out.policy_logits.square().sum()).backward()
    trained = [*made.trunk.parameters(), *made.value_head.parameters()]
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in trained)


def test_it_has_half_the_weights_at_the_same_cost() -> None:
    cpu = torch.device("cpu")
    costs = []
    for equivariant in (False, True):
        raw = {"trunk": {"preset": "small", "equivariant": equivariant}}
        made = build_network(build(TrialConfig, raw, "trial"), 2, 13, 0)
        costs.append(measure_cost(made, 2, 15, cpu, made))
        assert count_parameters(made.trunk) == pytest.approx(375_000 / (1 + equivariant), rel=0.02)
    # The heads look at both views.
    assert 1.0 < costs[1].mflops / costs[0].mflops < 1.03


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        ({"channels": [16, 31, 64, 128]}, "make 31 in channels or features an even number"),
        ({"features": 511}, "make 511 in channels or features an even number"),
        ({"family": "plugin:make", "features": 32}, "equivariant: settings of the built-in trunk"),
    ],
)
def test_what_cannot_be_divided_is_refused(trunk: dict[str, Any], message: str) -> None:
    raw = {"trunk": {**trunk, "equivariant": True}}
    with pytest.raises(ConfigError, match=message):
        build(TrialConfig, raw, "trial")
