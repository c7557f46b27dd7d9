"""A read-out turns a raw value into a loss and into a probability: one object, never two.

No other code applies a sigmoid or a tanh to a value. Training a raw output against 0 and 1 and
passing it through a sigmoid afterwards gives 0.50 and 0.73 for a perfect network; here that
exists as a labelled negative control only (`raw_mse`), and `check_readout` finds it in a plug-in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.config.readout import ReadoutConfig
from hexsearch.config.section import is_import_path
from hexsearch.errors import ContractError
from hexsearch.model.plugins import import_factory, plugin_code


class Readout(ABC):
    """Raw value output [B] to loss and probability, both in the network's own perspective."""

    # Whether the loss over a mixture of outcomes is least at their share. log-cosh is not.
    proper: bool = True
    # Whether it is a negative control, whose loss and probability need not agree.
    control: bool = False

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """[B] loss of raw outputs [B] float against targets [B] in [0, 1]."""

    @abstractmethod
    def win_prob(self, raw: Tensor) -> Tensor:
        """[B] probability, in [0, 1], of the outcome that target 1 stands for."""


class Bce(Readout):
    """The raw output is a logit. Its gradient p - t does not vanish at confident errors."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SigmoidMse(Readout):
    """Squared error of the probability. Its gradient vanishes where it is confidently wrong."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.sigmoid() - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class TanhMse(Readout):
    """AlphaZero's: (tanh z - (2t - 1))^2, which is 4 x `sigmoid_mse` at twice the gain."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.tanh() - (2.0 * target - 1.0)).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return 0.5 * (raw.tanh() + 1.0)


class TanhLogcosh(Readout):
    """log cosh(tanh z - clamp(2t - 1, -0.95, 0.95)): robust, but not a proper score."""

    proper = False

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        gap = raw.tanh() - (2.0 * target - 1.0).clamp(-0.95, 0.95)
        return gap.cosh().log()

    def win_prob(self, raw: Tensor) -> Tensor:
        return 0.5 * (raw.tanh() + 1.0)


class RawMse(Readout):
    """Negative control: the raw output itself regressed on 0 and 1.

    Read by a clamp it is a sound least-squares probability; read by a sigmoid, as the project
    that this one set out to mend did, a perfect network answers 0.50 and 0.73.
    """

    control = True

    def __init__(self, mismatched: bool) -> None:
        self._mismatched = mismatched

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid() if self._mismatched else raw.clamp(0.0, 1.0)


class SmoothedReadout(Readout):
    """Another read-out, trained against targets moved towards 0.5. Metrics keep hard labels."""

    def __init__(self, inner: Readout, smoothing: float) -> None:
        self.inner = inner
        self.smoothing = smoothing
        self.proper = False
        self.control = inner.control

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        smoothed = target * (1.0 - self.smoothing) + 0.5 * self.smoothing
        return self.inner.loss(raw, smoothed)

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


_BUILT_IN: dict[str, type[Readout]] = {
    "bce": Bce,
    "sigmoid_mse": SigmoidMse,
    "tanh_mse": TanhMse,
    "tanh_logcosh": TanhLogcosh,
}


def build_readout(config: ReadoutConfig, checked: bool = True) -> Readout:
    """The read-out of a configuration; a plug-in is held to the contract first.

    Args:
        checked: False only to examine a plug-in that may break the contract.
    Raises:
        ContractError: a plug-in cannot be imported, built, or breaks the contract.
    """
    if is_import_path(config.name):
        factory = import_factory(config.name, "readout.name")
        readout = _call(factory, config.name, config.options)
        if readout.control:
            raise ContractError(
                f"readout {config.name}: calls itself a negative control; only raw_mse is one, as "
                "its trials are known by that name. Remove `control`"
            )
        with plugin_code(f"readout {config.name}: its loss() or win_prob()"):
            problems = check_readout(readout) if checked else []
        if problems:
            raise ContractError(f"readout {config.name}: " + "; ".join(problems))
    elif config.name == "raw_mse":
        readout = RawMse(config.decode == "mismatched")
    else:
        readout = _BUILT_IN[config.name]()
    return SmoothedReadout(readout, config.label_smoothing) if config.label_smoothing else readout


def win_prob_red(readout: Readout, raw: Tensor, complement: Tensor) -> Tensor:
    """[B] probability that Red wins, whatever side the network was shown.

    Args:
        raw: [B] raw value outputs.
        complement: [B] bool, where the network answers for Blue's side.
    """
    probability = readout.win_prob(raw.float())
    return torch.where(complement, 1.0 - probability, probability)


def raw_of(readout: Readout, win_prob: float) -> float:
    """The raw value in [-12, 12] that is read as a probability, by bisection.

    >>> round(raw_of(Bce(), 0.731059), 4)
    1.0
    """
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        answer = float(readout.win_prob(torch.tensor([middle], dtype=torch.float64)))
        low, high = (middle, high) if answer < win_prob else (low, middle)
    return (low + high) / 2


def check_readout(readout: Readout) -> list[str]:
    """What is wrong with a read-out, in words; nothing for a sound one.

    Minimises the loss over the raw output alone, as a perfect network would, and reads the
    answer: below 0.05 for target 0, above 0.95 for target 1, 0.3 for 30% ones unless the
    read-out says that it is not proper. Also asks for shapes, range and monotonicity. A declared
    negative control is only held to the latter three.
    """
    grid = torch.linspace(-8.0, 8.0, 33)
    probability = readout.win_prob(grid)
    if probability.shape != grid.shape:
        return [f"win_prob returned shape {list(probability.shape)} for [33]"]
    loss = readout.loss(grid, torch.ones_like(grid))
    if loss.shape != grid.shape:
        return [f"loss returned shape {list(loss.shape)} for [33]; it must not reduce"]
    problems = []
    if not bool(((probability >= 0) & (probability <= 1)).all()):
        problems.append("win_prob leaves [0, 1]")
    if bool((probability.diff() < 0).any()):
        problems.append("win_prob falls as the raw output rises")
    if readout.control:
        return problems
    for target, low, high in ((0.0, 0.0, 0.05), (1.0, 0.95, 1.0)):
        reached = _probability_at_optimum(readout, target)
        if not low <= reached <= high:
            problems.append(
                f"at the least loss for target {target:g} it answers {reached:.3f}, not "
                f"{'below 0.05' if target == 0 else 'above 0.95'}: loss and win_prob disagree"
            )
    if readout.proper:
        reached = _probability_at_optimum(readout, 0.3)
        if abs(reached - 0.3) > 0.02:
            problems.append(
                f"at the least loss for 30% ones it answers {reached:.3f}; "
                "set proper = False if that is meant"
            )
    return problems


def _probability_at_optimum(readout: Readout, share_of_ones: float) -> float:
    """Answer where the expected loss is least, by a fine scan and then a finer one."""

    def expected(raw: Tensor) -> Tensor:
        ones, zeros = torch.ones_like(raw), torch.zeros_like(raw)
        with torch.no_grad():
            return share_of_ones * readout.loss(raw, ones) + (1 - share_of_ones) * readout.loss(
                raw, zeros
            )

    low, high = -12.0, 12.0
    for _ in range(3):
        grid = torch.linspace(low, high, 2401, dtype=torch.float64)
        best = int(expected(grid).argmin())
        low = float(grid[max(best - 1, 0)])
        high = float(grid[min(best + 1, len(grid) - 1)])
    return float(readout.win_prob(torch.tensor([(low + high) / 2], dtype=torch.float64)))


def _call(factory: Any, path: str, options: dict[str, Any]) -> Readout:
    with plugin_code(f"readout {path}: its factory"):
        readout = factory(**options)
    missing = [name for name in ("loss", "win_prob") if not callable(getattr(readout, name, None))]
    if missing:
        raise ContractError(f"readout {path}: the object it makes lacks {' and '.join(missing)}()")
    for name, usual in (("proper", True), ("control", False)):
        if not hasattr(readout, name):
            setattr(readout, name, usual)
    return readout  # type: ignore[no-any-return]
