"""A read-out is one object that turns a raw value into a loss and into a probability.

No other code applies a sigmoid or a tanh to a value. If a raw output is trained against 0 and 1
and then passed through a sigmoid, a perfect network answers 0.50 and 0.73. This exists here only
as a negative control (`raw_mse`), and `check_readout` detects it in a plug-in.
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
    """From raw value [B] to loss and probability, both in the network's own perspective."""

    # Whether the expected loss is least at the true probability. For log-cosh it is not.
    proper: bool = True
    # Whether it is a negative control, whose loss and probability may disagree.
    control: bool = False

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """[B] loss of raw outputs [B] float against targets [B] in [0, 1]."""

    @abstractmethod
    def win_prob(self, raw: Tensor) -> Tensor:
        """[B] probability, in [0, 1], of the outcome with target 1."""


class Bce(Readout):
    """The raw output is a logit. Its gradient p - t does not vanish for confident errors."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(raw, target, reduction="none")

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class SigmoidMse(Readout):
    """Squared error of the probability. Its gradient vanishes for confident errors."""

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.sigmoid() - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid()


class TanhMse(Readout):
    """AlphaZero's loss (tanh z - (2t - 1))^2, which is 4 x `sigmoid_mse` of 2z."""

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
    """Negative control: the raw output itself is regressed on 0 and 1.

    Read by a clamp, it is a sound least-squares probability. Read by a sigmoid, as in the original
    project, a perfect network answers 0.50 and 0.73.
    """

    control = True

    def __init__(self, mismatched: bool) -> None:
        self._mismatched = mismatched

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw - target).square()

    def win_prob(self, raw: Tensor) -> Tensor:
        return raw.sigmoid() if self._mismatched else raw.clamp(0.0, 1.0)


class SmoothedReadout(Readout):
    """Another read-out with label smoothing: its targets are moved towards 0.5. Metrics are not."""

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
    """The read-out of a configuration. The contract of a plug-in is checked first.

    Args:
        checked: False only to examine a plug-in that may break the contract.
    Raises:
        ContractError: a plug-in cannot be imported or built, or breaks the contract.
    """
    if is_import_path(config.name):
        factory = import_factory(config.name, "readout.name")
        readout = _call(factory, config.name, config.options)
        if readout.control:
            raise ContractError(
                f"readout {config.name}: sets `control`, but only raw_mse can be a negative "
                "control. Remove `control`"
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
    """[B] probability that Red wins.

    Args:
        raw: [B] raw value outputs.
        complement: [B] bool, whether the network's probability is that of Blue.
    """
    probability = readout.win_prob(raw.float())
    return torch.where(complement, 1.0 - probability, probability)


def raw_of(readout: Readout, win_prob: float) -> float:
    """The raw value in [-12, 12] for which the read-out gives `win_prob`, by bisection.

    >>> round(raw_of(Bce(), 0.731059), 4)
    1.0
    """
    low, high = -12.0, 12.0
    for _ in range(60):
        middle = (low + high) / 2
        answer = float(readout.win_prob(torch.tensor([middle], dtype=torch.float64)))
        low, high = (middle, high) if answer < win_prob else (low, middle)
    return (low + high) / 2


def not_finite(readout: Readout) -> str:
    """Where the loss of ordinary raw outputs is not finite, as a sentence; empty if nowhere."""
    for target in (0.0, 1.0):
        raw = _raw_outputs()
        broken = ~readout.loss(raw, torch.full_like(raw, target)).isfinite()
        if bool(broken.any()):
            return (
                f"the loss for target {target:g} is not finite at {int(broken.sum())} of "
                f"{len(raw)} raw outputs, such as {float(_raw_outputs()[broken][0]):g}"
            )
    return ""


def _raw_outputs() -> Tensor:
    """[33] ordinary raw outputs, new ones each time, as a plug-in may write into them."""
    return torch.linspace(-8.0, 8.0, 33)


def check_readout(readout: Readout) -> list[str]:
    """Faults of a read-out as sentences; none for a sound one.

    The loss is minimised over the raw output, as a perfect network would do. The probability must
    then be below 0.05 for target 0, above 0.95 for target 1, and 0.3 if 30% of the targets are 1,
    unless the read-out is declared as not proper. Shapes, range and monotonicity are checked too;
    for a declared negative control only these three are.
    """
    grid = _raw_outputs()
    probability = readout.win_prob(grid)
    if probability.shape != grid.shape:
        return [f"win_prob returned shape {list(probability.shape)} for [33]"]
    loss = readout.loss(grid, torch.ones_like(grid))
    if loss.shape != grid.shape:
        return [f"loss returned shape {list(loss.shape)} for [33]; it must not reduce"]
    if endless := not_finite(readout):
        return [endless]
    problems = []
    if not bool(((probability >= 0) & (probability <= 1)).all()):
        problems.append("win_prob returns values outside [0, 1]")
    if bool((probability.diff() < 0).any()):
        problems.append("win_prob falls as the raw output rises")
    if readout.control:
        return problems
    for target, low, high in ((0.0, 0.0, 0.05), (1.0, 0.95, 1.0)):
        reached = probability_at_optimum(readout, target)
        if not low <= reached <= high:
            problems.append(
                f"where the loss for target {target:g} is least, win_prob is {reached:.3f}, not "
                f"{'below 0.05' if target == 0 else 'above 0.95'}: loss and win_prob disagree"
            )
    if readout.proper:
        reached = probability_at_optimum(readout, 0.3)
        if abs(reached - 0.3) > 0.02:
            problems.append(
                f"where the loss for 30% ones is least, win_prob is {reached:.3f}; "
                "set proper = False if that is intended"
            )
    return problems


def probability_at_optimum(readout: Readout, share_of_ones: float) -> float:
    """The probability where the expected loss is least, found by two scans of a grid."""

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
        raise ContractError(f"readout {path}: the object it makes has no {' or '.join(missing)}()")
    for name, usual in (("proper", True), ("control", False)):
        if not hasattr(readout, name):
            setattr(readout, name, usual)
    return readout  # type: ignore[no-any-return]
