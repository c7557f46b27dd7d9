"""Runs a user's training function for some steps, and records each of them.

torch's global hooks see every module that is called and every step of an optimiser. Of each forward
pass planes and outputs are kept, with the gradients that come back; of each step the gradients that
the optimiser gets, and how far weights move. An exception ends the function after enough steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from hexsearch.doctor.own_training.gradients import fit, gradients_of, has_gradient
from hexsearch.doctor.own_training.moving import Moving
from hexsearch.doctor.own_training.outputs import Graph, Output, hook_on, leaves_of, tensors_of
from hexsearch.doctor.own_training.seen import Enough, Evaluations, SeenPass, SeenStep
from hexsearch.doctor.own_training.ways import factor_of, is_traced, made_by, scale_of, ways_to
from hexsearch.doctor.own_training.where.lines import Lines

_STEPS = 24  # steps after which the function is ended
_LATER = 400  # steps more that are waited for a value, a policy or an evaluation
_PATIENCE = 15.0  # seconds that are waited for an evaluation
_SECONDS = 90.0  # time after which it is ended
_MOST = 40_000  # positions after which it is ended


class Recording:
    """What was seen of a training function.

    Attributes:
        steps, late: the steps in their order, and passes after the last one.
        ended: whether it was ended from outside.
        network: outermost modules with weights, by their classes' names.
        reached, unregistered: weights that outputs of the first pass depend on, and those unheld.
        moving, evaluations: how far weights move; what is asked without a gradient.
        afterwards: modes in the first call with a gradient after an evaluation.
        plateaus: mode, figure, and rates before and after, of each ReduceLROnPlateau.step().
        schedules, lines: of the learning rate; of the user's code.
        scale: factor of the losses by a GradScaler.
    """

    def __init__(self, size: int) -> None:
        self.steps: list[SeenStep] = []
        self.late: list[SeenPass] = []
        self.ended = False
        self.network: dict[str, nn.Module] = {}
        self.reached: dict[str, set[str]] = {}
        self.unregistered: set[int] = set()
        self.evaluations = Evaluations()
        self.afterwards: SeenPass | None = None
        self.plateaus: list[tuple[str, float, float, float]] = []
        self.schedules: list[LRScheduler] = []
        self._depth, self._graph = 0, Graph()  # of the pass that goes on
        self._known: dict[int, str] = {}  # names of the weights
        self._weights: dict[str, nn.Parameter] = {}
        self._sent, self._used = dict[str, Tensor](), dict[str, Tensor]()  # used by the last step
        self.moving, self.lines = Moving(), Lines()
        self._handles: list[Any] = []
        self._hooked: set[int] = set()
        self._sums: list[tuple[nn.Parameter, float]] = []  # of weights at first
        self._size, self.scale, self._waited, self._dropped = size, 1.0, 0, 0
        self._sought: set[str] = set()  # kinds of outputs that the first steps have not shown
        self._started = time.monotonic()
        self._rests_since, self._idle = math.inf, 0  # no step is kept any more

    @property
    def passes(self) -> list[SeenPass]:
        """All passes whose gradients a step has used."""
        return [each for step in self.steps for each in step.passes]

    @property
    def moves_weights(self) -> bool:
        """Whether weights have changed, by an optimiser or by hand."""
        return any(float(p.detach().double().sum()) != total for p, total in self._sums)

    @property
    def rows(self) -> int:
        """Positions in all passes."""
        return sum(len(each.planes) for each in (*self.passes, *self.late))

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._depth += 1
        now = time.monotonic()
        late = now - self._started > _SECONDS or now - self._rests_since > _PATIENCE
        if self._depth == 1 and (late or self.rows > _MOST):
            self._end()

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._depth = max(self._depth - 1, 0)
        has_weights = any(True for _ in module.parameters())  # a loss as a module has none
        if self._depth or output is None or is_traced() or not has_weights:
            return
        returned = [(n, each) for n, each in tensors_of(output).items() if each.is_floating_point()]
        first = next(iter(tensors_of(inputs).values()), None)
        if first is None or not returned:
            return
        if not torch.is_grad_enabled():
            if type(module) in map(type, self.network.values()):  # an average is a copy
                self.evaluations.add(module, first)
            return
        self.evaluations.close(len(first), self.rows)
        if self.afterwards is None and self.evaluations.parts:
            self.afterwards = SeenPass.of_modes(module)
        if self._rests:
            self._end_if_evaluated()
            return
        self._know(module)
        self._add(module, first, returned)

    def _add(self, module: nn.Module, given: Tensor, returned: list[tuple[str, Tensor]]) -> None:
        """Keep a call as a pass of its own, or as part of the pass that is going on."""
        # Planes have no gradient; what has one comes from a module that was called before.
        if not self.late or not given.requires_grad:
            self.late.append(SeenPass(given.detach().clone()))
            self._graph = Graph()
        seen = self.late[-1]
        inner = self._graph.add([t for _, t in returned if len(t) == len(seen.planes)])
        seen.outputs = [each for each in seen.outputs if each.key not in {id(given), *inner}]
        for name, tensor in returned:
            output = Output(name, tensor.detach().clone(), id(tensor))
            output.made_by, output.factor = made_by(tensor), factor_of(tensor)
            output.node = None if self.steps else tensor.grad_fn
            if tensor.requires_grad:
                hook_on(tensor, output.add)
            seen.outputs.append(output)
        seen.note_modes(module)
        if not self.steps and len(self.late) == 1:
            self._trace(given, returned)

    def _trace(self, given: Tensor, returned: list[tuple[str, Tensor]]) -> None:
        """Which weights each output depends on; planes may have a gradient, too."""
        for name, tensor in returned:
            leaves = leaves_of(tensor)
            self.reached[name] = {n for key, n in self._known.items() if key in leaves}
            self.unregistered |= leaves - set(self._known) - {id(given)}

    def _know(self, module: nn.Module) -> None:
        if not any(module is each for each in self.network.values()):
            name = type(module).__name__
            while name in self.network:
                name += "'"
            self.network[name] = module
            for weight, parameter in module.named_parameters():
                if id(parameter) not in self._known:
                    self._known[id(parameter)] = f"{name}.{weight}"
                    self._weights[f"{name}.{weight}"] = parameter
                    self._sums.append((parameter, float(parameter.detach().double().sum())))
        for full, parameter in self._weights.items():  # frozen ones may be thawed later
            if parameter.requires_grad and id(parameter) not in self._hooked:
                self._hooked.add(id(parameter))
                self._handles.append(hook_on(parameter, self._adder(full)))

    def _adder(self, name: str) -> Callable[[Tensor], None]:
        def add(gradient: Tensor) -> None:
            before = self._sent.get(name)
            kept = gradient.detach().clone()
            self._sent[name] = kept if before is None else before + kept

        return add

    def _before_backward(self, losses: Sequence[Tensor]) -> None:
        """Look at the scale of the losses, and in the first step at the ways to them."""
        if self._rests:
            return
        self.scale = scale_of(losses)
        if self._sent and not any(has_gradient(self._weights[name]) for name in self._sent):
            self._sent = {}  # cleared since: the gradients of another point or batch
            self._dropped += 1
        outputs = [o for each in self.late for o in each.outputs if o.node is not None]
        for output, ways in zip(outputs, ways_to(losses, [o.node for o in outputs]), strict=True):
            output.ways += tuple(ways)
            output.node = None if ways else output.node

    def _before_step(self, optimiser: Optimizer, given: Any, named: Any) -> Any:
        """Keep a step before it is taken; one with a closure when its gradients are computed."""
        if self._rests:
            return None
        closure = named.get("closure") or next(iter(given[1:]), None)  # behind the optimiser
        if not callable(closure):
            return self._keep(optimiser)
        count = len(self.steps)

        def computed() -> Any:
            loss = closure()
            if len(self.steps) == count:  # some optimisers call it again in one step
                self._keep(optimiser)
            return loss

        return (given[0], computed), {}

    def _keep(self, optimiser: Optimizer) -> None:
        held = {id(p) for group in optimiser.param_groups for p in group["params"]}
        self.unregistered -= held
        names = [name for name, p in self._weights.items() if id(p) in held]
        given = {n: g.detach() for n in names if (g := self._weights[n].grad) is not None}
        sent = {n: self._sent[n] / self.scale for n in names if n in self._sent}
        if not self.network:  # no module is called: what backward() sent is not seen
            given = sent = gradients_of(optimiser)
        fitted = fit(given, sent, list(given) if not self.network else names)
        step = SeenStep.of(optimiser, self._weights, self.late, (given, sent), self._used, fitted)
        self.steps.append(step)
        step.dropped, self._dropped = self._dropped, 0
        self.late = []
        self.moving.begin(step, {n: self._weights[n] for n in names}, self.network.values())

    def _after_step(self, optimiser: Optimizer, *_: Any) -> None:
        if self._rests:
            self._idle += 1
            if self._idle > _LATER:
                self._end()
            return
        step = self.steps[-1]
        step.is_first = step.is_first and bool(optimiser.state)
        moved = self.moving.end(step, self._weights)
        # Another optimiser may still step with the gradients of its own weights.
        self._used = {n: self._sent.pop(n) for n in moved if n in self._sent}
        self.late = []  # of a closure that was called again
        if len(self.steps) >= _STEPS:
            self._look_further(step)
        if self.rows > _MOST:
            self._end()

    def _look_further(self, step: SeenStep) -> None:
        """End the function, unless a value or a policy is trained by later steps only."""
        kinds = {"value": Output.is_value, "policy": Output.is_policy}
        shown = {
            kind
            for kind, is_such in kinds.items()
            for each in (step.passes if self._waited else self.passes)
            if any(o.gradient is not None and is_such(o, self._size) for o in each.outputs)
        }
        if not self._waited:
            self._sought = set(kinds) - shown if self.network else set()
        elif not self._sought & shown:
            self.steps.pop()
        self._waited += 1
        if not self._sought or self._waited > _LATER or len(self.steps) >= 2 * _STEPS:
            self._rests_since, self.ended = time.monotonic(), True
            for handle in self._handles:
                handle.remove()
            self._end_if_evaluated()

    @property
    def _rests(self) -> bool:
        """Whether only an evaluation is waited for."""
        return self._rests_since < math.inf

    def _end_if_evaluated(self) -> None:
        if self.evaluations.parts:
            self._end()

    def _end(self) -> None:
        self.ended = True
        raise Enough

    @contextmanager
    def watching(self) -> Iterator[None]:
        """In this context every call of a module and every step is recorded."""
        handles = [
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, always_call=True),
            register_optimizer_step_pre_hook(self._before_step),
            register_optimizer_step_post_hook(self._after_step),
        ]
        backward = torch.autograd.backward

        def seen(tensors: Any, *more: Any, **named: Any) -> None:
            self._before_backward([tensors] if isinstance(tensors, Tensor) else list(tensors))
            backward(tensors, *more, **named)

        torch.autograd.backward = seen
        try:
            yield
        except Enough:
            pass
        finally:
            self.evaluations.close(0, self.rows)
            torch.autograd.backward = backward
            for handle in (*handles, *self._handles):
                handle.remove()
