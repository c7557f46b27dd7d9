"""torch's optimisers without the import of torch's compiler.

In torch 2.13 the first optimiser of a process imports torch._dynamo, which takes 1.5 s of CPU,
as much as torch itself. Every worker and the doctor would pay for it, although nothing of theirs
is compiled. Only decorators need it, so the classes made here take the undecorated methods.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.optim import Optimizer

# Optimizer.step is decorated as well, but its decorator also turns gradients off.
_DECORATED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


@cache
def eager(kind: type[Optimizer]) -> Callable[..., Optimizer]:
    """The optimiser class with the same methods, which cannot be compiled by `torch.compile`.

    It takes the same steps, and its state can be exchanged with that of `kind`.
    """
    members: dict[str, Any] = {name: inspect.unwrap(getattr(kind, name)) for name in _DECORATED}
    members["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {"__module__": kind.__module__} | members)
