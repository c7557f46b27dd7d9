"""Which formula a loss and a probability are, found by asking them for many raw values.

A loss of one raw value and one target is compared with usual formulas of usual answers, with the
raw value cut off where the loss does not change any more, and with other targets in place of 0 and
1. The first one that is exact says what a loss wants the answer to be, so that it can be compared
with the probability that is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hexsearch.doctor.hypotheses.formulas.loss_inversion import seen_outputs
from hexsearch.doctor.hypotheses.loss_formulas import usual_formulas
from hexsearch.model.readout import Bce, Readout, SigmoidMse, TanhMse

Function = Callable[[Tensor], Tensor]
_GRID = torch.linspace(-6.0, 6.0, 241, dtype=torch.float64)
_EXACT = 1e-4  # largest residual, in standard deviations of the loss
_SAME = 2e-6  # largest difference of equal probabilities
_FLAT = 1e-12  # largest change of a loss that does not change
_REACH = 4.0  # a loss that is flat from a raw value below this on is cut off
_EPSILON = 1e-3  # a number inside a logarithm from which on a loss is another one
_KNOWN = 8  # raw values that are needed
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
        weight: how many times a target of 1 weighs as much as one of 0.
    """

    formula: str
    answer: str
    zero: float
    one: float
    weight: float

    def __str__(self) -> str:
        return f"{self.formula} of {self.answer}"

    @property
    def plain(self) -> bool:
        """Whether its targets are 0 and 1, and weigh alike."""
        return not self.targets and abs(self.weight - 1.0) < 0.01

    @property
    def targets(self) -> str:
        """In words, the targets in place of 0 and 1; empty if they are these."""
        if abs(self.zero) < 0.004 and abs(self.one - 1.0) < 0.004:
            return ""
        zero, one = (round(each, 3) + 0.0 for each in (self.zero, self.one))
        return f"targets of 0 and 1 are changed to {zero:g} and {one:g} inside it"


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
    inside = _inside(readout)
    if inside is None:
        return None
    grid, found = inside
    first: LossForm | None = None
    for formula, answer, of in _formulas(grid):
        fitted = [_target(each, of) for each in found]
        if fitted[0] is None or fitted[1] is None:
            continue
        (zero, factor), (one, other) = fitted[0], fitted[1]
        form = LossForm(formula, answer, zero, one, other / factor)
        if abs(one - zero) > 0.05:
            if form.plain:
                return form
            first = first or form
    return first


def other_form(readout: Readout) -> str:
    """In words, a loss that is not least at the true probability; empty if it is no usual one."""
    inside = _inside(readout)
    if inside is None:
        return ""
    grid, found = inside
    p = grid.sigmoid()
    both = torch.cat([(-found[0]).exp() - (1.0 - p), (-found[1]).exp() - p])
    if float(both.std()) < _EXACT and float(both.mean()) > _EPSILON:
        return (
            f"the cross-entropy with {float(both.mean()):.3g} added inside its logarithms (an "
            "epsilon that is too large)"
        )
    made = [dict(usual_formulas(grid, torch.full_like(grid, t))) for t in (0.0, 1.0)]
    for name in made[0]:
        if all(_is_affine(each, of[name]) for each, of in zip(found, made, strict=True)):
            return name
    return ""


def scale_of_output(readout: Readout) -> tuple[float, float] | None:
    """Factor and offset of the output before a usual loss, if they are not 1 and 0."""
    inside = _inside(readout)
    if inside is None:
        return None
    grid, found = inside
    for usual in (Bce(), SigmoidMse(), TanhMse()):
        seen = [
            seen_outputs(each, grid, torch.full_like(grid, t), usual)
            for each, t in zip(found, (0.0, 1.0), strict=True)
        ]
        known = torch.isfinite(seen[0]) & torch.isfinite(seen[1]) & (grid.abs() < 2.0)
        if int(known.sum()) < _KNOWN or float((seen[0] - seen[1])[known].abs().max()) > 0.01:
            continue
        factor, offset = np.polyfit(grid[known].numpy(), seen[0][known].numpy(), 1)
        left = np.abs(factor * grid[known].numpy() + offset - seen[0][known].numpy()).max()
        if left < 0.01 and (abs(factor - 1) > 0.02 or abs(offset) > 0.02):
            return float(factor), float(offset)
    return None


def levels_of_answers(readout: Readout) -> int:
    """Number of different probabilities that are reported for 4,001 raw values from -6 to 6."""
    with torch.no_grad():
        fine = torch.linspace(-6.0, 6.0, 4001, dtype=torch.float64)
        return len(torch.unique(readout.win_prob(fine)))


def written_arguments(readout: Readout) -> list[str]:
    """Names of the arguments that its functions write into."""
    raw, target = _GRID.clone(), torch.full_like(_GRID, 0.3)
    with torch.no_grad():
        readout.loss(raw, target)
        written = [] if torch.equal(raw, _GRID) else ["loss() writes into raw"]
        if not torch.equal(target, torch.full_like(_GRID, 0.3)):
            written.append("loss() writes into target")
        raw = _GRID.clone()
        readout.win_prob(raw)
        if not torch.equal(raw, _GRID):
            written.append("win_prob() writes into raw")
    return written


def _inside(readout: Readout) -> tuple[Tensor, list[Tensor]] | None:
    """Raw values between the ends of the loss, with its losses for the targets 0 and 1."""
    ends = cut_off(readout)
    grid = _GRID
    if ends is not None:
        grid = grid[(grid >= ends[0] + 0.06) & (grid <= ends[1] - 0.06)]
    if len(grid) < _KNOWN:
        return None
    with torch.no_grad():
        found = [readout.loss(grid.clone(), torch.full_like(grid, t)).double() for t in (0.0, 1.0)]
    if any(each.shape != grid.shape or not bool(each.isfinite().all()) for each in found):
        return None
    return grid, found


def _is_affine(found: Tensor, made: Tensor) -> bool:
    """Whether some numbers are others times a positive factor, plus a number."""
    if float(made.std()) < 1e-9:
        return float(found.std()) < 1e-9
    factor, offset = np.polyfit(made.numpy(), found.numpy(), 1)
    left = np.abs(factor * made.numpy() + offset - found.numpy()).max()
    return bool(factor > 0 and left < _EXACT * max(float(found.std()), 1e-9))


def answer_form(readout: Readout) -> str:
    """In words, the function that win_prob is, with its ends if it is cut off; else empty."""
    with torch.no_grad():
        found = readout.win_prob(_GRID.clone()).double()
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
    return readout.loss(_GRID.clone(), torch.full_like(_GRID, target)).double()


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


def _target(found: Tensor, of: Function) -> tuple[float, float] | None:
    """The target and the factor under which a formula gives the loss; None if there are none."""
    low, high, left, best, times = -0.5, 1.5, torch.inf, 0.0, 1.0
    for _ in range(_LEVELS):
        taus = torch.linspace(low, high, 41, dtype=torch.float64)
        made = torch.stack([of(tau) for tau in taus])
        factor = (made * found).sum(dim=1) / made.square().sum(dim=1).clamp(min=1e-12)
        gaps = (factor[:, None] * made - found).abs().amax(dim=1) / found.std().clamp(min=1e-9)
        gaps = torch.where(factor > 0, gaps, torch.inf)
        index = int(gaps.argmin())
        best, left, times = float(taus[index]), float(gaps[index]), float(factor[index])
        step = float(taus[1] - taus[0])
        low, high = best - 2 * step, best + 2 * step
    return (best, times) if left < _EXACT else None
