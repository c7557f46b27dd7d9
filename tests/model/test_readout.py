from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hexsearch.config.readout import CONTROLS, READOUTS, ReadoutConfig
from hexsearch.config.section import build
from hexsearch.errors import ConfigError, ContractError
from hexsearch.model.readout import (
    Bce,
    Readout,
    SigmoidMse,
    build_readout,
    check_readout,
    raw_of,
    win_prob_red,
)

BUILT_IN = [name for name in READOUTS if name not in CONTROLS]


class SilentRawMse(Bce):
    """The mystery: trained on the raw output, read through a sigmoid."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square()


class Inverted(Bce):
    def win_prob(self, raw: Tensor) -> Tensor:
        return 1.0 - raw.sigmoid()


class Reducing(Bce):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return super().loss(raw, target).mean()


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_read_out_keeps_its_contract(name: str) -> None:
    assert check_readout(build_readout(ReadoutConfig(name=name))) == []


def test_the_mystery_is_found_with_its_figures() -> None:
    problems = check_readout(SilentRawMse())
    assert any("for target 0 is least, win_prob is 0.500" in problem for problem in problems)
    assert any("for target 1 is least, win_prob is 0.731" in problem for problem in problems)


class DeclaredRawMse(SilentRawMse):
    control = True


@pytest.mark.parametrize("decode", ["matched", "mismatched"])
def test_the_negative_control_is_accepted_because_it_says_that_it_is_one(decode: str) -> None:
    config = build(ReadoutConfig, {"name": "raw_mse", "decode": decode}, "readout")
    control = build_readout(config)
    assert config.is_control and control.control and check_readout(control) == []
    control.control = False
    problems = check_readout(control)
    assert bool(problems) == (decode == "mismatched"), problems
    smoothed = config.model_copy(update={"label_smoothing": 0.1})
    assert build_readout(smoothed).control


def test_a_plug_in_cannot_escape_the_contract_by_calling_itself_a_control() -> None:
    with pytest.raises(ContractError, match="only raw_mse can be"):
        build_readout(ReadoutConfig(name=f"{__name__}:DeclaredRawMse"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"name": "bce", "decode": "mismatched"}, "is only for the negative control raw_mse"),
        ({"name": "bse"}, "unknown read-out 'bse'; known are bce"),
        ({"options": {"scale": 2}}, "a built-in read-out has none"),
    ],
)
def test_a_read_out_that_makes_no_sense_is_refused(raw: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(ReadoutConfig, raw, "readout")


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize("probability", [0.06, 0.3, 0.5, 0.9])
def test_the_raw_value_of_a_probability_is_read_as_that_probability(
    name: str, probability: float
) -> None:
    readout = build_readout(ReadoutConfig(name=name))
    raw = torch.tensor([raw_of(readout, probability)], dtype=torch.float64)
    assert readout.win_prob(raw).item() == pytest.approx(probability, abs=1e-6)


def test_a_probability_of_the_wrong_colour_is_found() -> None:
    assert any("falls as the raw output rises" in problem for problem in check_readout(Inverted()))


def test_a_loss_that_reduces_is_found() -> None:
    assert "must not reduce" in check_readout(Reducing())[0]


def test_log_cosh_says_itself_that_it_is_not_proper() -> None:
    assert not build_readout(ReadoutConfig(name="tanh_logcosh")).proper


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_the_gradient_at_the_neutral_point_leads_to_the_label(name: str, target: float) -> None:
    raw = torch.zeros(1, requires_grad=True)
    loss = build_readout(ReadoutConfig(name=name)).loss(raw, torch.tensor([target])).sum()
    (gradient,) = torch.autograd.grad(loss, raw)
    assert (gradient.item() < 0) == (target == 1.0)


def test_tanh_mse_is_four_times_sigmoid_mse_at_twice_the_gain() -> None:
    raw = torch.linspace(-3, 3, 13)
    target = (torch.arange(13) % 2).float()
    tanh = build_readout(ReadoutConfig(name="tanh_mse")).loss(raw, target)
    sigmoid = SigmoidMse().loss(2 * raw, target)
    torch.testing.assert_close(tanh, 4 * sigmoid)


def test_smoothing_changes_the_loss_and_not_the_probability() -> None:
    plain = build_readout(ReadoutConfig())
    smoothed = build_readout(ReadoutConfig(label_smoothing=0.1))
    raw, ones = torch.tensor([3.0]), torch.ones(1)
    assert smoothed.loss(raw, ones) > plain.loss(raw, ones)
    assert smoothed.win_prob(raw) == plain.win_prob(raw)


def test_the_reported_number_is_always_reds_chance() -> None:
    raw = torch.tensor([2.0, 2.0])
    red = win_prob_red(Bce(), raw, torch.tensor([False, True]))
    torch.testing.assert_close(red, torch.tensor([0.880797, 0.119203]))


def make_readout(scale: float = 1.0) -> Readout:
    class Scaled(Bce):
        def loss(self, raw: Tensor, target: Tensor) -> Tensor:
            return scale * super().loss(raw, target)

    return Scaled()


def test_a_plug_in_gets_its_options_and_is_held_to_the_contract() -> None:
    here = __name__
    readout = build_readout(ReadoutConfig(name=f"{here}:make_readout", options={"scale": 2.0}))
    assert readout.loss(torch.zeros(1), torch.ones(1)).item() == pytest.approx(2 * 0.693147)
    with pytest.raises(ContractError, match="loss and win_prob disagree"):
        build_readout(ReadoutConfig(name=f"{here}:SilentRawMse"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:make", "cannot import module 'no_such_module'"),
        ("hexsearch.errors:no_such", "has no 'no_such'"),
        ("hexsearch:__version__", "has a non-callable"),
    ],
)
def test_a_plug_in_that_cannot_be_had_says_why(name: str, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        build_readout(ReadoutConfig(name=name))


def test_options_that_a_plug_in_does_not_take_are_named() -> None:
    with pytest.raises(ContractError, match="unexpected keyword argument 'depth'"):
        build_readout(ReadoutConfig(name=f"{__name__}:make_readout", options={"depth": 2}))
