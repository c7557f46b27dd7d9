"""A user's own network, examined through two functions of the user.

`doctor --model package.module:load --encoder package.module:encode --games PATH` calls

* `load()`. It returns the model: a callable of planes [P, C, N, N], a float32 tensor, that
  returns (policy, value), or a mapping with these keys. Policy logits are [P, N*N], cells numbered
  row * N + column; values are [P], [P, 1] or [P, K].
* `encode(stones, to_move)` for each position. `stones` is [N, N] int8: -1 for Blue, who connects
  top to bottom, +1 for Red, 0 for free cells. `to_move` is -1, +1, or 0 on a finished board (an
  encoder that raises an error for 0 gets the side whose turn it would be). It returns planes
  [C, N, N].

The model may have two more functions:

* `win_prob_red(raw)` turns raw values into the reported probabilities. Without it a single raw
  value is taken for Red's win probability, two for logits of Red's win and loss, three for win,
  draw and loss, and more for equal bins over [0, 1]. For a value of the side to move write
  `win_prob_red(raw, to_move)`: `to_move` [P] is -1 for Blue and +1 for Red. Finished boards are
  then encoded as if the game continued.
* `loss(raw, target)` is the loss of each position that the model was trained with; `target` is 1.0
  where Red wins. With it the contract of the read-out is checked, too.

Example, a two-headed ResNet whose value is a logit of the side to move:

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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hexsearch.analysis.boards import Positions
from hexsearch.doctor.hypotheses.formulas.foreign_readout import ForeignReadout, of_values
from hexsearch.errors import ContractError, PluginError
from hexsearch.model.plugins import import_factory, plugin_code

_ENCODE = "encode()"


class ForeignNetwork:
    """A user's model with the interface of an ExaminedNetwork.

    Args:
        names: names of model and encoder in error messages.
    Attributes:
        model, encoder: the user's functions.
        for_mover: whether the value belongs to the side to move.
        is_list: whether the value is a list of outcomes, as far as the model has been called.
        needs_mover: whether the encoder raises an error where nobody is to move.
        written: arguments that functions of the user have written into, by the function's name.
        train: the user's training function of a list of (moves, red_won), if one is given.
        factory: the function that loaded the model, if there is one.
    """

    positions_seen: int | None = None

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        encode: Callable[..., Any],
        size: int,
        names: tuple[str, str] = ("--model", "--encoder"),
    ) -> None:
        self.model, self.encoder, self.size = model, encode, size
        self._model_name, self._encoder_name = names
        self._decode = getattr(model, "win_prob_red", None)
        self.for_mover = callable(self._decode) and _takes_two(self._decode)
        self.is_list = self.needs_mover = False
        self.written: dict[str, str] = {}
        self.train: Callable[..., Any] | None = None
        self.factory: Callable[[], Any] | None = None

    def planes(self, positions: Positions) -> Tensor:
        """[P, C, N, N] planes, made by the user's encoder."""
        encoded = self._as_encoded(positions)
        planes = []
        with plugin_code(self._encoder_name):
            for board, mover in zip(encoded.stones, encoded.to_move, strict=True):
                array = self._planes_of(board, int(mover))
                planes.append(torch.as_tensor(array).float())
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
            return self._planes_of(board, to_move)

    def _planes_of(self, board: NDArray[np.int8], to_move: int) -> NDArray[Any]:
        """The encoder's answer for a copy of the board, which it may write into."""
        given = board.copy()
        made = np.asarray(self.encoder(given, to_move))
        if not np.array_equal(given, board) and _ENCODE not in self.written:
            cells = int((given != board).sum())
            side = {1: "Red", -1: "Blue"}.get(to_move, "nobody")
            self.written[_ENCODE] = f"stones ({cells} of {board.size} cells, {side} to move)"
        return made

    def respond(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Policy [P, N*N] and value [P] or [P, K], in the mode in which `load` left the model."""
        with torch.no_grad(), plugin_code(self._model_name):
            given = planes.clone()
            answer = self.model(given)
        if not torch.equal(given, planes):
            self.written.setdefault("the model", f"planes {list(planes.shape)}")
        if isinstance(answer, Mapping) and {"policy", "value"} <= set(answer):
            answer = (answer["policy"], answer["value"])
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

    def with_gradient(self, planes: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Value and policy with their names and the planes that they are computed from.

        Only those through which a gradient passes to the planes: a model need not have one.
        """
        leaves = planes.clone().requires_grad_(True)
        try:
            with torch.enable_grad():
                answer = self.model(leaves * 1.0)  # it may write into its input
        except RuntimeError:  # such as numpy() on a tensor with a gradient
            return
        if isinstance(answer, Mapping):
            answer = (answer.get("policy"), answer.get("value"))
        for name, part in zip(("policy", "value"), answer, strict=False):
            if isinstance(part, Tensor) and part.requires_grad:
                yield name, part.float(), leaves

    def reported(self, raw: Tensor, positions: Positions) -> Tensor:
        """[P] the model's own win_prob_red, or what its raw values stand for without one."""
        to_move = self._as_encoded(positions).to_move.astype(np.int64)
        return self.answered(raw, torch.from_numpy(to_move))

    def answered(self, raw: Tensor, to_move: Tensor) -> Tensor:
        """The same where the sides [P] are to move, +1 for Red and -1 for Blue."""
        if not callable(self._decode):
            return raw if raw.ndim == 1 else _of_list(raw)
        sides = (to_move,) if self.for_mover else ()
        with torch.no_grad(), plugin_code(f"{self._model_name}: win_prob_red()"):
            answered = torch.as_tensor(of_values(self._decode, raw.clone(), *sides)).float()
        if answered.numel() != len(raw):
            raise ContractError(
                f"{self._model_name}: win_prob_red returned {list(answered.shape)} for "
                f"{len(raw)} positions, expected [{len(raw)}]"
            )
        return answered.reshape(len(raw))

    def on_board(self, policy: Tensor, positions: Positions) -> Tensor:
        """The policy as it is: its cells are taken for those of the board as played."""
        return policy

    def _as_encoded(self, positions: Positions) -> Positions:
        """The positions; finished boards as if they were not where a side to move is needed."""
        if not self.for_mover and not self.needs_mover:
            return positions
        return replace(positions, finished=np.zeros(len(positions), dtype=bool))

    @property
    def readout(self) -> ForeignReadout | None:
        """Loss and probability as one object; None if one is missing, or the value is a list.

        A method `loss` that cannot be called with two arguments is another one, such as that of
        a whole batch.
        """
        loss = getattr(self.model, "loss", None)
        if not callable(loss) or not callable(self._decode) or self.is_list:
            return None
        try:
            inspect.signature(loss).bind(None, None)
        except TypeError:
            return None
        return ForeignReadout(loss, self._decode, self.for_mover)


def load_foreign(model: str, encoder: str, size: int) -> ForeignNetwork:
    """Import and load a user's model, and try it on two empty boards.

    Args:
        model, encoder: import paths such as `package.module:load`.
        size: side of the board.
    Raises:
        ContractError: one of them cannot be imported, raises an error, or returns a wrong shape.
    """
    with torch.enable_grad():  # their code may switch gradients off for good
        load, encode = import_factory(model, "--model"), import_factory(encoder, "--encoder")
    with plugin_code(f"--model {model}"):
        loaded = (factory := torch.enable_grad()(lambda: load()))()
    if not callable(loaded):
        what = f"a {type(loaded).__name__}, which is not a callable"
        raise ContractError(f"--model {model} returned {what}")
    network = ForeignNetwork(loaded, encode, size, (f"--model {model}", f"--encoder {encoder}"))
    network.factory = factory
    empty = Positions(
        size, np.zeros(0, dtype=np.int64), np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool)
    )
    network.reported(network.respond(network.planes(empty))[1], empty)
    try:
        network.encoded(np.zeros((size, size), dtype=np.int8), 0)
    except PluginError:
        network.needs_mover = True
    return network


def _takes_two(decode: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(decode).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in kinds for each in parameters) >= 2


def _of_list(raw: Tensor) -> Tensor:
    """[P] Red's win probability from a list of outcomes, for a model without win_prob_red."""
    chances = raw.softmax(dim=1)
    count = raw.shape[1]
    if count == 2:
        return chances[:, 0]
    if count == 3:
        return chances[:, 0] + chances[:, 1] / 2
    return chances @ torch.linspace(0.0, 1.0, count)
