"""A user's own network, examined through two functions of theirs.

`doctor --model package.module:load --encoder package.module:encode --games PATH` calls

* `load()` once. What it returns is called with planes [P, C, N, N] (float32 tensor) and gives
  (policy, value): logits [P, N*N] by row * N + column, and raw values [P] or [P, 1].
* `encode(stones, to_move)` for each position: stones [N, N] int8 with Blue -1 (top to bottom),
  Red +1 and 0; to_move -1, +1, or 0 on a finished board. It gives planes [C, N, N].

The model may say more: `win_prob_red(raw)` turns raw values [P] into what it reports (without it
the raw value itself is taken for Red's chance), and `loss(raw, target)` is what it was trained
with, target 1.0 where Red wins; then the read-out contract is checked as well.

Example, a foreign two-headed ResNet whose value is a logit:

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = TwoHeadedResNet()
            self.net.load_state_dict(torch.load("best.pt", weights_only=True))
            self.eval()
        def forward(self, planes):
            policy, value = self.net(planes)
            return policy, value
        def win_prob_red(self, raw):
            return torch.sigmoid(raw)

    def load():
        return Wrapped()

    def encode(stones, to_move):
        mover = numpy.full(stones.shape, float(to_move == 1))
        return numpy.stack([stones == -1, stones == 1, mover]).astype("float32")
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.errors import ContractError
from hexsearch.model.plugins import import_factory
from hexsearch.model.readout import Readout


class ForeignNetwork:
    """A user's model behind the doctor's four doors."""

    positions_seen: int | None = None

    def __init__(
        self, model: Callable[[Tensor], Any], encode: Callable[..., Any], size: int
    ) -> None:
        self.model, self._encode, self.size = model, encode, size

    def planes(self, positions: Positions) -> Tensor:
        """Planes of each position by the user's encoder."""
        boards = positions.stones
        planes = [
            torch.as_tensor(np.asarray(self._encode(board, int(mover))), dtype=torch.float32)
            for board, mover in zip(boards, positions.to_move, strict=True)
        ]
        first = planes[0]
        if first.ndim != 3 or first.shape[1:] != (self.size, self.size):
            raise ContractError(
                f"--encoder returned {list(first.shape)} for a {self.size}x{self.size} board, "
                f"expected [C, {self.size}, {self.size}]"
            )
        return torch.stack(planes)

    def respond(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """One call of the model, in whatever mode `load` left it."""
        with torch.no_grad():
            answer = self.model(planes)
        if not isinstance(answer, tuple | list) or len(answer) < 2:
            raise ContractError(
                f"--model returned a {type(answer).__name__}, expected (policy, value)"
            )
        policy, value = (torch.as_tensor(part).detach().float().cpu() for part in answer[:2])
        count = len(planes)
        if value.numel() != count or policy.shape[0] != count:
            raise ContractError(
                f"--model returned policy {list(policy.shape)} and value {list(value.shape)} for "
                f"{count} positions, expected [{count}, {self.size**2}] and [{count}]"
            )
        broken = int((~torch.isfinite(value)).sum())
        if broken:
            raise ContractError(
                f"--model returned {broken} non-finite values for {count} positions; its training "
                "has diverged, or its planes are not those it was trained on"
            )
        return policy.reshape(count, -1), value.reshape(count)

    def reported(self, raw: Tensor, positions: Positions) -> Tensor:
        """The model's own win_prob_red, or the raw value where it has none."""
        decode = getattr(self.model, "win_prob_red", None)
        with torch.no_grad():
            return torch.as_tensor(decode(raw)).float() if callable(decode) else raw

    @property
    def readout(self) -> Readout | None:
        """Loss and probability as one object, where the model names both."""
        loss, decode = (getattr(self.model, name, None) for name in ("loss", "win_prob_red"))
        if not callable(loss) or not callable(decode):
            return None
        return _ForeignReadout(loss, decode)


class _ForeignReadout(Readout):
    def __init__(self, loss: Callable[..., Tensor], decode: Callable[..., Tensor]) -> None:
        self._loss, self._decode = loss, decode

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return self._loss(raw, target)

    def win_prob(self, raw: Tensor) -> Tensor:
        return self._decode(raw)


def load_foreign(model: str, encoder: str, size: int) -> ForeignNetwork:
    """Import, load and try a user's model.

    Raises:
        ContractError: not importable, or not of the shape described above.
    """
    load = import_factory(model, "--model")
    encode = import_factory(encoder, "--encoder")
    loaded = load()
    if not callable(loaded):
        raise ContractError(f"--model {model}: returned a {type(loaded).__name__}, not a callable")
    network = ForeignNetwork(loaded, encode, size)
    empty = Positions(
        size, np.zeros(0, dtype=np.int64), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool)
    )
    network.respond(network.planes(empty))
    return network
