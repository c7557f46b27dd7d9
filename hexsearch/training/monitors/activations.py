"""Monitor of activations: size, spread, and shares of dead and saturated units, by place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.model.network import Network

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
_SAMPLED = 8192  # values from which quantiles are computed
_RANKED_ROWS = 256  # positions from which the effective rank is computed
_NEAR = 0.01  # distance from a bound, as a share of the range, up to which a value is saturated
_CERTAIN = 1e-3  # distance from 0 or 1 below which the squared error passes no gradient
_SCATTER = "scatter"  # name of the matrix that is kept until the effective rank is needed
_BOUNDS: dict[type[nn.Module], tuple[float, float]] = {
    nn.Tanh: (-1.0, 1.0),
    nn.Sigmoid: (0.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.ReLU6: (0.0, 6.0),
}


@dataclass(frozen=True)
class ActivationHealth:
    """Figures of one place of the network on one batch.

    Attributes:
        quantiles: quantiles at QUANTILES of a sample of the values.
        dead: share of units (channels of a map) that are constant over the batch.
        saturated: share of values at a bound of their activation; for `value_raw`, share of
            answers within 0.001 of 0 or 1. None if the activation has no bounds.
        spread: standard deviation of each unit over the batch, averaged over units.
        effective_rank: exp of the entropy of the spectrum of the pooled features' covariance (Roy
            and Vetterli, 2007); only for the trunk's features.
        label_correlation: correlation of the answers with the outcome; only for `value_raw`.
    """

    mean: float
    std: float
    minimum: float
    maximum: float
    dead: float
    spread: float
    quantiles: tuple[float, ...] = ()
    saturated: float | None = None
    effective_rank: float | None = None
    label_correlation: float | None = None


class ActivationMonitor:
    """Statistics of trunk stages, trunk features, both heads' outputs and bounded activations.

    Args:
        win_prob: the read-out's function from raw values [B] to probabilities [B].
    """

    def __init__(self, network: Network, win_prob: Callable[[Tensor], Tensor]) -> None:
        self._win_prob = win_prob
        self._places: dict[str, nn.Module] = {}
        stages = getattr(network.trunk, "stages", None)
        if isinstance(stages, nn.ModuleList):
            self._places |= {f"stage{i}": stage for i, stage in enumerate(stages, start=1)}
        self._places["trunk_features"] = network.trunk
        self._places["policy_logits"] = network.policy_head
        self._places["value_raw"] = network.value_head
        for name, module in network.named_modules():
            if type(module) in _BOUNDS:
                self._places[name] = module
        self._seen: dict[str, dict[str, Tensor]] = {}

    @contextmanager
    def watching(self, outcome: Tensor) -> Iterator[None]:
        """Sample the forward passes in this context, of a batch with results `outcome` [B]."""
        handles = [
            module.register_forward_hook(self._hook(name, outcome))
            for name, module in self._places.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def health(self) -> dict[str, ActivationHealth]:
        """The figures of the last sample, by place. This waits for the device, once."""
        return {name: _as_health(figures) for name, figures in _on_host(self._seen).items()}

    def state(self) -> dict[str, Any]:
        """The monitor's state for a checkpoint."""
        return {name: dict(figures) for name, figures in self._seen.items()}

    def load_state(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore a result of `state`."""
        self._seen = {
            name: {key: figure.to(device) for key, figure in figures.items()}
            for name, figures in state.items()
        }
        self.health()  # figures that cannot be read are an error here, not at the next report

    def _hook(self, name: str, outcome: Tensor) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                return
            # The figures are computed in float32, also if training uses another format.
            with torch.no_grad(), torch.autocast(output.device.type, enabled=False):
                self._seen[name] = self._look(name, module, output.detach().float(), outcome)

        return look

    def _look(
        self, name: str, module: nn.Module, values: Tensor, outcome: Tensor
    ) -> dict[str, Tensor]:
        seen = _describe(values)
        bounds = _BOUNDS.get(type(module))
        if bounds is not None:
            low, high = bounds
            margin = _NEAR * (high - low)
            seen["saturated"] = (
                ((values <= low + margin) | (values >= high - margin)).float().mean()
            )
        if name == "trunk_features":
            pooled = values.flatten(2).mean(2) if values.ndim > 2 else values
            seen[_SCATTER] = scatter(pooled[:_RANKED_ROWS])
        if name == "value_raw" and values.ndim == 1:
            answers = self._win_prob(values)
            certain = (answers < _CERTAIN) | (answers > 1.0 - _CERTAIN)
            seen["saturated"] = certain.float().mean()
            seen["label_correlation"] = _correlation(answers, outcome)
        return seen


def scatter(rows: Tensor) -> Tensor:
    """The smaller of both products of centred rows [R, C]. Their spectra differ only in zeros."""
    centred = rows - rows.mean(dim=0)
    return centred @ centred.T if len(rows) < rows.shape[1] else centred.T @ centred


def effective_rank(scattered: Tensor) -> Tensor:
    """exp of the entropy of the normalised spectrum of a `scatter` [S, S], between 0 and S.

    It is 0 if all rows were equal. The eigenvalue decomposition waits for the device.
    """
    # In float32, the decomposition can fail where many features are dead or tiny.
    finite = torch.nan_to_num(scattered.double(), nan=0.0, posinf=0.0, neginf=0.0)
    spectrum = torch.linalg.eigvalsh(finite).clamp(min=0.0)
    total = spectrum.sum()
    shares = spectrum / total.clamp(min=1e-30)
    entropy = -(shares * shares.clamp(min=1e-30).log()).sum()
    return torch.where(total > 0, entropy.exp(), torch.zeros_like(total))


@cache
def _levels(device: torch.device) -> Tensor:
    """QUANTILES on a device. They are copied once, since a copy waits for the device."""
    return torch.tensor(QUANTILES, device=device)


def _describe(values: Tensor) -> dict[str, Tensor]:
    by_unit = (
        values.reshape(len(values), -1) if values.ndim < 3 else values.transpose(0, 1).flatten(1).T
    )
    flat = values.reshape(-1)
    # The stride is odd, so that it has no common factor with the usual widths of layers.
    stride = max(1, flat.numel() // _SAMPLED) | 1
    lowest, highest = by_unit.amin(dim=0), by_unit.amax(dim=0)
    return {
        "mean": values.mean(),
        "std": values.std(correction=0),
        "minimum": lowest.min(),
        "maximum": highest.max(),
        "dead": (lowest == highest).float().mean(),
        "spread": by_unit.std(dim=0, correction=0).mean(),
        "quantiles": torch.quantile(flat[::stride], _levels(values.device)),
    }


def _correlation(answers: Tensor, outcome: Tensor) -> Tensor:
    """Pearson's correlation; 0 if one of both is constant."""
    a, b = answers - answers.mean(), outcome - outcome.mean()
    scale = (a.square().sum() * b.square().sum()).sqrt()
    return (a * b).sum() / scale.clamp(min=1e-12)


def _on_host(seen: dict[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """All figures on the CPU, by one copy."""
    figures = [figure for by_name in seen.values() for figure in by_name.values()]
    if not figures:
        return {}
    flat = torch.cat([figure.reshape(-1) for figure in figures]).cpu()
    copied = iter(torch.split(flat, [figure.numel() for figure in figures]))
    return {
        place: {name: next(copied).reshape(figure.shape) for name, figure in by_name.items()}
        for place, by_name in seen.items()
    }


def _as_health(figures: dict[str, Tensor]) -> ActivationHealth:
    plain: dict[str, Any] = {
        name: tuple(figure.tolist()) if figure.ndim else float(figure)
        for name, figure in figures.items()
        if name != _SCATTER
    }
    if _SCATTER in figures:
        plain["effective_rank"] = float(effective_rank(figures[_SCATTER]))
    return ActivationHealth(**plain)
