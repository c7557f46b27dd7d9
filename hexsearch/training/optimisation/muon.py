"""One optimiser that uses Muon for the matrices of the trunk and AdamW for all other parameters.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by the nearest orthogonal matrix. Its
steps are scaled to the root mean square of AdamW's steps (Liu et al., arXiv:2502.16982), so both
can use one learning rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hexsearch.training.optimisation.eager import eager


class MuonWithAdamW(Optimizer):
    """Parameter groups marked `is_matrix` go to torch's own Muon, the others to AdamW.

    torch's Muon takes matrices only, so it gets a view [O, I*H*W] of a kernel [O, I, H, W]. The
    order of the columns does not affect the orthogonal factor, so the memory format does not
    matter.
    """

    def __init__(
        self, groups: list[dict[str, Any]], learning_rate: float, momentum: float, fused: bool
    ) -> None:
        super().__init__(groups, {"lr": learning_rate})
        matrices = [group for group in self.param_groups if group["is_matrix"]]
        others = [group for group in self.param_groups if not group["is_matrix"]]
        self._matrices = [[_Matrix(p) for p in group["params"]] for group in matrices]
        self._muon = eager(torch.optim.Muon)(
            [
                {"params": [one.view for one in held], "weight_decay": group["weight_decay"]}
                for group, held in zip(matrices, self._matrices, strict=True)
            ],
            lr=learning_rate,
            momentum=momentum,
            nesterov=momentum > 0,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = eager(torch.optim.AdamW)(
            [
                {"params": group["params"], "weight_decay": group["weight_decay"]}
                for group in others
            ],
            lr=learning_rate,
            betas=(momentum, 0.999),
            fused=fused,
        )

    @property
    def parts(self) -> tuple[Optimizer, Optimizer]:
        """The optimisers that hold the state of the parameters."""
        return self._muon, self._adamw

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step of both at the rates of this optimiser's groups."""
        assert closure is None, "the loss is not evaluated again within a step"
        # The groups are read at each step, since loading a state replaces them.
        theirs = {True: iter(self._muon.param_groups), False: iter(self._adamw.param_groups)}
        for group in self.param_groups:
            next(theirs[group["is_matrix"]])["lr"] = group["lr"]
        for held in self._matrices:
            for matrix in held:
                matrix.take_gradient()
        self._muon.step()
        self._adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """Both optimisers' states."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a result of `state_dict`."""
        self._muon.load_state_dict(state_dict["muon"])
        self._adamw.load_state_dict(state_dict["adamw"])


class _Matrix:
    """A parameter [O, ...] as a matrix [O, columns] that shares its memory.

    A kernel in channels-last format has its columns as height, width, input channel.
    """

    def __init__(self, parameter: Tensor) -> None:
        self._parameter = parameter
        self._is_last = parameter.ndim == 4 and parameter.is_contiguous(
            memory_format=torch.channels_last
        )
        self.view = nn.Parameter(self._flat(parameter.detach()))
        assert self.view.data_ptr() == parameter.data_ptr(), "a copy would never be moved"

    def take_gradient(self) -> None:
        """Give the parameter's gradient to the view, with the same order of columns."""
        gradient = self._parameter.grad
        self.view.grad = None if gradient is None else self._flat(gradient)

    def _flat(self, tensor: Tensor) -> Tensor:
        return (tensor.permute(0, 2, 3, 1) if self._is_last else tensor).flatten(1)
