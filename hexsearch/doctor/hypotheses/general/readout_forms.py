"""Which formula a loss and a probability are, found by asking them for many raw values.

A loss of one raw value and one target is compared with usual formulas of usual answers, with the
raw value cut off where the loss does not change any more, and with other targets in place of 0 and
1. The first one that is exact says what a loss wants the answer to be, so that it can be compared
with the probability that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hexsearch.model.readout import Readout

Function = Callable[[Tensor], Tensor]
_GRID = torch.linspace(-6.0, 6.0, 241, dtype=torch.float64)
_EXACT = 1e-4  # largest residual, in standard deviations of the loss
_SAME = 2e-6  # largest difference of equal probabilities
_FLAT = 1e-12  # largest change of a loss that does not change
_REACH = 4.0  # a loss that is flat from a raw value below this on is cut off
_LEVELS = 4  # scans of targets, each ten times as fine as the one before

_ANSWERS: dict[str, Function] = {
    "sigmoid(raw)": torch.sigmoid,
    "(tanh(raw) + 1) / 2": lambda raw: 0.5 * (raw.tanh() + 1.0),
    "the raw output itself": lambda raw: raw,
    "(raw + 1) / 2": lambda raw: 0.5 * (raw + 1.0),
    "a sigmoid of a sigmoid (two sigmoids, one behind the other)": lambda raw: (
        raw.sigmoid().sigmoid()
    ),
    "a sigmoid of a tanh (two squashing functions, one behind the other)": lambda raw: (
        raw.tanh().sigmoid()
    ),
    "tanh(raw), which is in -1..1": torch.tanh,
    "1 - sigmoid(raw)": lambda raw: (-raw).sigmoid(),
}


@dataclass(frozen=True)
class LossForm:
    """What a loss is.

    Attributes:
        formula: such as `the cross-entropy`.
        answer: the answer that it compares with the target, a key of the answers.
        zero, one: targets that it uses for 0 and 1.
    """

    formula: str
    answer: str
    zero: float
    one: float

    def __str__(self) -> str:
        return f"{self.formula} of {self.answer}"

    @property
    def targets(self) -> str:
        """In words, the targets in place of 0 and 1; empty if they are these."""
        if abs(self.zero) < 0.004 and abs(self.one - 1.0) < 0.004:
            return ""
        return f"targets of 0 and 1 are changed to {self.zero:.2g} and {self.one:.2g} inside it"


def cut_off(readout: Readout) -> tuple[float, float] | None:
    """Raw values beyond which the loss does not change, whatever the target; None if it does."""
    with torch.no_grad():
        losses = torch.stack([_losses(readout, target) for target in (0.0, 1.0)])
    change = losses.diff(dim=1).abs().amax(dim=0) > _FLAT * (1.0 + losses.abs().max())
    moving = change.nonzero().flatten()
    if not len(moving):
        return None
    low, high = float(_GRID[int(moving[0])]), float(_GRID[int(moving[-1]) + 1])
    low = low if low > -_REACH else -torch.inf
    high = high if high < _REACH else torch.inf
    return None if low == -torch.inf and high == torch.inf else (low, high)


def loss_form(readout: Readout) -> LossForm | None:
    """The form of the loss between its ends; None if it is no usual one."""
    ends = cut_off(readout)
    grid = _GRID
    if ends is not None:
        grid = grid[(grid >= ends[0] + 0.06) & (grid <= ends[1] - 0.06)]
    if len(grid) < 8:
        return None
    with torch.no_grad():
        found = [readout.loss(grid, torch.full_like(grid, t)).double() for t in (0.0, 1.0)]
    if any(each.shape != grid.shape or not bool(each.isfinite().all()) for each in found):
        return None
    for formula, answer, of in _formulas(grid):
        fitted = [_target(each, of) for each in found]
        if all(fit is not None for fit in fitted):
            zero, one = (float(fit) for fit in fitted if fit is not None)
            if abs(one - zero) > 0.05:
                return LossForm(formula, answer, zero, one)
    return None


def answer_form(readout: Readout) -> str:
    """In words, the function that win_prob is, with its ends if it is cut off; else empty."""
    with torch.no_grad():
        found = readout.win_prob(_GRID).double()
    if found.shape != _GRID.shape:
        return ""
    for name, of in _ANSWERS.items():
        expected = of(_GRID)
        cut = expected.clamp(float(found.min()), float(found.max()))
        if float((cut - found).abs().max()) < _SAME and float(found.std()) > 1e-3:
            if float((expected - found).abs().max()) < _SAME:
                return name
            return f"{name}, cut off to {float(found.min()):.3g}..{float(found.max()):.3g}"
    return ""


def ends_of_answers(readout: Readout) -> tuple[float, float]:
    """The smallest and the largest probability that is reported for any raw value."""
    with torch.no_grad():
        found = readout.win_prob(torch.tensor([-40.0, 40.0], dtype=torch.float64))
    return float(found.min()), float(found.max())


def _losses(readout: Readout, target: float) -> Tensor:
    return readout.loss(_GRID, torch.full_like(_GRID, target)).double()


def _formulas(raw: Tensor) -> Iterator[tuple[str, str, Function]]:
    """Each formula and answer, with the loss [R] of a target."""
    for name, of in _ANSWERS.items():
        p = of(raw)
        yield "the squared error", name, lambda t, p=p: (p - t).square()  # type: ignore[misc]
        if float(p.min()) >= 0.0 and float(p.max()) <= 1.0:
            log_p, log_q = p.clamp(min=1e-300).log(), (1.0 - p).clamp(min=1e-300).log()
            yield (
                "the cross-entropy",
                name,
                lambda t, a=log_p, b=log_q: -(t * a + (1.0 - t) * b),  # type: ignore[misc]
            )
        yield "the absolute error", name, lambda t, p=p: (p - t).abs()  # type: ignore[misc]


def _target(found: Tensor, of: Function) -> float | None:
    """The target under which a formula gives the loss up to a factor; None if there is none."""
    low, high, left, best = -0.5, 1.5, torch.inf, 0.0
    for _ in range(_LEVELS):
        taus = torch.linspace(low, high, 41, dtype=torch.float64)
        made = torch.stack([of(tau) for tau in taus])
        factor = (made * found).sum(dim=1) / made.square().sum(dim=1).clamp(min=1e-12)
        gaps = (factor[:, None] * made - found).abs().amax(dim=1) / found.std().clamp(min=1e-9)
        gaps = torch.where(factor > 0, gaps, torch.inf)
        index = int(gaps.argmin())
        best, left = float(taus[index]), float(gaps[index])
        step = float(taus[1] - taus[0])
        low, high = best - 2 * step, best + 2 * step
    return best if left < _EXACT else None
