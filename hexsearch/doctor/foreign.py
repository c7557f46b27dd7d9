"""A user's own network, examined through two functions of theirs.

`doctor --model package.module:load --encoder package.module:encode --games PATH` calls

* `load()` once. What it returns is called with planes [P, C, N, N] (float32 tensor) and gives
  (policy, value): logits [P, N*N] by row * N + column, and values [P], [P, 1] or [P, K].
* `encode(stones, to_move)` for each position: stones [N, N] int8 with Blue -1 (top to bottom),
  Red +1 and 0; to_move -1, +1, or 0 on a finished board. It gives planes [C, N, N].

The model may say more. `win_prob_red(raw)` turns raw values into what it reports. Without it the
raw value itself is taken for Red's chance, or (win, draw, loss) of Red, or K equal bins over
[0, 1]. If it takes a second argument, `win_prob_red(raw, to_move)`, it is also told who is to move
(-1 Blue, +1 Red, [P]), for a value that belongs to the side to move; then finished boards are shown
as if the game went on. `loss(raw, target)`, target 1.0 where Red wins, is what it was trained with;
with it the read-out contract is checked as well.

Example, a foreign two-headed ResNet whose value is a logit of the side to move:

    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = TwoHeadedResNet()
            self.net.load_state_dict(torch.load("best.pt", weights_only=True))
            self.eval()
        def forward(self, planes):
            policy, value = self.net(planes)
            return policy, value
        def win_prob_red(self, raw, to_move):
            mover_wins = torch.sigmoid(raw)
            return torch.where(to_move > 0, mover_wins, 1 - mover_wins)

    def load():
        return Wrapped()

    def encode(stones, to_move):
        if to_move > 0:  # Red's view: reflect the board and exchange the colours
            stones = -stones.T
        return numpy.stack([stones == -1, stones == 1]).astype("float32")
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.errors import ContractError
from hexsearch.model.plugins import import_factory, plugin_code
from hexsearch.model.readout import Readout


class ForeignNetwork:
    """A user's model behind the interface of an ExaminedNetwork."""

    positions_seen: int | None = None

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        encode: Callable[..., Any],
        size: int,
        names: tuple[str, str] = ("--model", "--encoder"),
    ) -> None:
        self.model, self._encode, self.size = model, encode, size
        self._model_name, self._encoder_name = names
        self._decode = getattr(model, "win_prob_red", None)
        self.for_mover = callable(self._decode) and _takes_two(self._decode)
        self.is_list = False  # whether the value is a list of outcomes, as far as it has been asked

    def planes(self, positions: Positions) -> Tensor:
        """Planes of each position by the user's encoder."""
        shown = self._as_asked(positions)
        planes = []
        with plugin_code(self._encoder_name):
            for board, mover in zip(shown.stones, shown.to_move, strict=True):
                planes.append(torch.as_tensor(np.asarray(self._encode(board, int(mover)))).float())
        first = planes[0]
        odd = next((each for each in planes if each.shape != first.shape), first)
        if first.ndim != 3 or odd is not first:
            raise ContractError(
                f"{self._encoder_name} returned {list(odd.shape)} for a {self.size}x{self.size} "
                f"board, expected [C, {self.size}, {self.size}]"
            )
        return torch.stack(planes)

    def encoded(self, board: NDArray[np.int8], to_move: int) -> NDArray[Any]:
        """What the user's encoder returns, the very array."""
        with plugin_code(self._encoder_name):
            return np.asarray(self._encode(board, to_move))

    def respond(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """One call of the model, in whatever mode `load` left it."""
        with torch.no_grad(), plugin_code(self._model_name):
            answer = self.model(planes.clone())
        if not isinstance(answer, tuple | list) or len(answer) < 2:
            raise ContractError(
                f"{self._model_name} returned a {type(answer).__name__}, expected (policy, value)"
            )
        policy, value = (torch.as_tensor(part).detach().float().cpu() for part in answer[:2])
        count = len(planes)
        if value.numel() == 0 or value.numel() % count or policy.shape[:1] != (count,):
            raise ContractError(
                f"{self._model_name} returned policy {list(policy.shape)} and value "
                f"{list(value.shape)} for {count} positions, expected [{count}, {self.size**2}] "
                f"and [{count}] or [{count}, K]"
            )
        value = value.reshape(count, -1)
        if policy.numel() == count and value.shape[1] == self.size**2:
            raise ContractError(
                f"{self._model_name} returned policy {list(policy.shape)} and value "
                f"[{count}, {value.shape[1]}]: value and policy are in the wrong order. Return "
                "(policy, value), the policy first"
            )
        self.is_list = value.shape[1] > 1
        return policy.reshape(count, -1), value[:, 0] if value.shape[1] == 1 else value

    def reported(self, raw: Tensor, positions: Positions) -> Tensor:
        """The model's own win_prob_red, or the raw value where it has none."""
        if not callable(self._decode):
            return raw if raw.ndim == 1 else _of_list(raw)
        with torch.no_grad(), plugin_code(f"{self._model_name}: win_prob_red()"):
            if self.for_mover:
                to_move = torch.from_numpy(self._as_asked(positions).to_move.astype(np.int64))
                found = self._decode(raw, to_move)
            else:
                found = self._decode(raw)
            answered = torch.as_tensor(found).float()
        if answered.numel() != len(raw):
            raise ContractError(
                f"{self._model_name}: win_prob_red returned {list(answered.shape)} for "
                f"{len(raw)} positions, expected [{len(raw)}]"
            )
        return answered.reshape(len(raw))

    def on_board(self, policy: Tensor, positions: Positions) -> Tensor:
        """A model's policy is taken to be on the board as it is played."""
        return policy

    def _as_asked(self, positions: Positions) -> Positions:
        """A value of the side to move needs a side to move, on finished boards, too."""
        if not self.for_mover:
            return positions
        return replace(positions, finished=np.zeros(len(positions), dtype=bool))

    @property
    def readout(self) -> Readout | None:
        """Loss and probability as one object, where the model names both for one number."""
        loss = getattr(self.model, "loss", None)
        if not callable(loss) or not callable(self._decode) or self.is_list:
            return None
        return _ForeignReadout(loss, self._decode, self.for_mover)


class _ForeignReadout(Readout):
    def __init__(
        self, loss: Callable[..., Tensor], decode: Callable[..., Tensor], for_mover: bool
    ) -> None:
        self._loss, self._decode, self._for_mover = loss, decode, for_mover

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return self._loss(raw, target)

    def win_prob(self, raw: Tensor) -> Tensor:
        # What really leaves [0, 1] is seen in real answers: raw values may be bounded.
        if self._for_mover:  # seen from Red's side, where Red is to move
            return self._decode(raw, torch.ones(len(raw), dtype=torch.int64)).clamp(0.0, 1.0)
        return self._decode(raw).clamp(0.0, 1.0)


def load_foreign(model: str, encoder: str, size: int) -> ForeignNetwork:
    """Import, load and try a user's model.

    Raises:
        ContractError: not importable, raises, or not of the shape described above.
    """
    load = import_factory(model, "--model")
    encode = import_factory(encoder, "--encoder")
    with plugin_code(f"--model {model}"):
        loaded = load()
    if not callable(loaded):
        raise ContractError(f"--model {model}: returned a {type(loaded).__name__}, not a callable")
    network = ForeignNetwork(loaded, encode, size, (f"--model {model}", f"--encoder {encoder}"))
    empty = Positions(
        size, np.zeros(0, dtype=np.int64), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool)
    )
    network.reported(network.respond(network.planes(empty))[1], empty)
    return network


def _takes_two(decode: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(decode).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in kinds for each in parameters) >= 2


def _of_list(raw: Tensor) -> Tensor:
    """Red's chance of a list of outcomes, if nothing else is said."""
    chances = raw.softmax(dim=1)
    count = raw.shape[1]
    if count == 2:
        return chances[:, 0]
    if count == 3:
        return chances[:, 0] + chances[:, 1] / 2
    return chances @ torch.linspace(0.0, 1.0, count)
