"""Runs a user's training function to its end, on few games, and watches what steps do not show.

The first steps say nothing of what happens between epochs: modes after an evaluation, weights that
are kept and loaded again, rates at the end, and which network is returned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.weak import WeakTensorKeyDictionary

from hexsearch.doctor.own_training.moving import Averages
from hexsearch.doctor.own_training.outputs import tensors_of
from hexsearch.doctor.own_training.running import GamesOfTraining, called
from hexsearch.doctor.own_training.seen import Enough, SeenPass, rests
from hexsearch.doctor.own_training.where.lines import Line
from hexsearch.errors import PluginError

_FEW_GAMES = 16
_SECONDS, _STEPS = 20.0, 3_000  # after which the function is ended
_AVERAGED = 28  # step after which averages are looked for
_LEAST = 20  # rows of an evaluation


@dataclass(frozen=True)
class _Kept:
    """When and where weights were asked for by state_dict()."""

    moment: int
    steps: int
    line: Line | None


@dataclass(frozen=True)
class Reloaded:
    """Weights that were kept as references, and loaded when they had changed.

    Attributes:
        steps: steps that were taken since they were kept.
        lines: where they were kept, and where they were loaded.
    """

    steps: int
    lines: tuple[Line | None, Line | None]


@dataclass
class WholeTraining:
    """What was seen of a whole training on few games.

    Attributes:
        games: how many it was given.
        rates: of the first group of the first optimiser, at each of its steps.
        complete: whether the function has returned.
        evaluated: numbers of steps after which the network was asked without a gradient.
        asked: where this was first done.
        before, afterwards: modes of the first pass, and of the one of the first step after an
            evaluation.
        reloaded: weights that were kept and loaded as references.
        averages: what an average takes of the new weights, and after how many steps.
        untrained: class of the returned network, if it has the weights of the beginning.
    """

    games: int
    rates: list[float] = field(default_factory=list)
    complete: bool = False
    evaluated: list[int] = field(default_factory=list)
    asked: Line | None = None
    before: SeenPass | None = None
    afterwards: SeenPass | None = None
    reloaded: list[Reloaded] = field(default_factory=list)
    averages: list[float] = field(default_factory=list)
    averaged_after: int = _AVERAGED
    untrained: str = ""


def whole_training(train: Callable[..., Any], games: GamesOfTraining) -> WholeTraining | None:
    """Call a training function with few games; None if it raises an error with so few.

    One that ends soon without an evaluation is called again with all games, as some evaluate after
    a number of steps.
    """
    started = time.monotonic()
    seen = _watched(train, games[:_FEW_GAMES], started + _SECONDS)
    if seen is None or not seen.complete or any(seen.evaluated):
        return seen
    longer = (time.monotonic() - started) * len(games) / _FEW_GAMES
    if _FEW_GAMES < len(games) and longer < _SECONDS:
        again = _watched(train, games, time.monotonic() + _SECONDS)
        return again if again is not None and any(again.evaluated) else seen
    return seen


def _watched(
    train: Callable[..., Any], games: GamesOfTraining, until: float
) -> WholeTraining | None:
    watcher = _Watcher(len(games), until)
    try:
        with called("--train:"), watcher.watching():
            watcher.end(train([(list(moves), won) for moves, won in games]))
    except PluginError:
        return None
    return watcher.seen


class _Watcher:
    def __init__(self, games: int, until: float) -> None:
        self.seen = WholeTraining(games)
        self._until = until
        self._depth = self._moment = self._steps = 0
        self._networks: dict[int, nn.Module] = {}  # that were called with a gradient
        self._first: dict[int, dict[str, Tensor]] = {}  # weights before the first step
        self._trained: dict[int, nn.Parameter] = {}
        self._key = 0  # of the first optimiser
        self._latest: SeenPass | None = None
        self._kept: MutableMapping[Tensor, _Kept] = WeakTensorKeyDictionary()
        self._averages = Averages(_AVERAGED)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """In this context calls, steps, and weights that are kept or loaded are noted."""
        handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        with ExitStack() as stack:
            stack.enter_context(_replaced("state_dict", self._keeping))
            stack.enter_context(_replaced("load_state_dict", self._loading))
            for handle in handles:
                stack.callback(handle.remove)
            try:
                yield
            except Enough:
                pass

    def end(self, returned: Any) -> None:
        """Note that the function has returned, and what."""
        self.seen.complete = True
        if not isinstance(returned, nn.Module) or not self._steps:
            return
        for key, network in self._networks.items():
            first = self._first.get(key, {})
            trained = any(id(p) in self._trained for p in network.parameters())
            moved = [n for n, p in network.named_parameters() if not _same(p, first.get(n))]
            weights = dict(returned.named_parameters())
            if trained and moved and set(moved) <= set(weights):
                if all(_same(weights[name], first[name]) for name in moved):
                    self.seen.untrained = type(returned).__name__
                    return

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._depth += 1
        if self._depth == 1 and time.monotonic() > self._until:
            raise Enough

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._depth = max(self._depth - 1, 0)
        if self._depth or not any(True for _ in module.parameters()):
            return
        given = next(iter(tensors_of(inputs).values()), None)
        if torch.is_grad_enabled():
            self._latest = SeenPass.of_modes(module)
            self.seen.before = self.seen.before or self._latest
            if id(module) not in self._networks:
                self._networks[id(module)] = module
                weights = module.named_parameters()
                self._first[id(module)] = {n: p.detach().clone() for n, p in weights}
        elif given is not None and len(given) >= _LEAST and rests(module):
            if self._steps not in self.seen.evaluated:
                self.seen.evaluated.append(self._steps)
                self.seen.asked = self.seen.asked or Line.here()

    def _before_step(self, optimiser: Optimizer, *_: Any) -> None:
        self._key = self._key or id(optimiser)
        held = [p for group in optimiser.param_groups for p in group["params"]]
        self._trained |= {id(p): p for p in held}
        if id(optimiser) == self._key:
            self.seen.rates.append(float(optimiser.param_groups[0].get("lr", 0.0)))
        if self.seen.afterwards is None and any(self.seen.evaluated):
            self.seen.afterwards = self._latest
        self._averages.look(self._networks.values())
        self.seen.averages = self._averages.shares

    def _after_step(self, *_: Any) -> None:
        self._steps += 1
        self._moment += 1
        if self._steps >= _STEPS:
            raise Enough

    def _keeping(self, sound: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(sound)
        def state_dict(module: nn.Module, *given: Any, **named: Any) -> Any:
            state = sound(module, *given, **named)
            if not given and named.get("destination") is None:  # not of a part
                kept = _Kept(self._moment, self._steps, Line.here())
                for each in state.values():
                    if isinstance(each, Tensor):
                        self._kept[each] = kept
            return state

        return state_dict

    def _loading(self, sound: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(sound)
        def load_state_dict(module: nn.Module, state: Any, *given: Any, **named: Any) -> Any:
            self._note_loaded(module, state)
            loaded = sound(module, state, *given, **named)
            self._moment += 1
            return loaded

        return load_state_dict

    def _note_loaded(self, module: nn.Module, state: Any) -> None:
        held = {p.data_ptr(): p for p in self._trained.values() if p.numel() > 1}
        own = {p.data_ptr() for p in module.parameters()}
        for each in state.values() if hasattr(state, "values") else ():
            kept = self._kept.get(each) if isinstance(each, Tensor) else None
            if kept is None or each.data_ptr() not in held or kept.moment == self._moment:
                continue
            # Somebody may hold the weights of a network from the beginning, to copy them often.
            if each.data_ptr() in own or kept.steps:
                steps = self._steps - kept.steps
                self.seen.reloaded.append(Reloaded(steps, (kept.line, Line.here())))
                return


def _same(one: Tensor, other: Tensor | None) -> bool:
    return other is not None and one.shape == other.shape and torch.equal(one.detach(), other)


@contextmanager
def _replaced(name: str, by: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    sound = getattr(nn.Module, name)
    setattr(nn.Module, name, by(sound))
    try:
        yield
    finally:
        setattr(nn.Module, name, sound)
