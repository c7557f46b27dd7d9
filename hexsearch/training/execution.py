"""How a network is computed on a device: number format, memory format, compiled or not.

`auto` is looked up in a table by class of device. It is not timed at the start of a trial: two
processes might measure different times, and equal trials would then give different numbers.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError

AnyModule = TypeVar("AnyModule", bound=nn.Module)
Precision = Literal["float32", "bfloat16", "float16"]
MemoryFormat = Literal["contiguous", "channels_last"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
_COMPILERS = ("c++", "g++", "clang++")


@dataclass(frozen=True)
class Execution:
    """The resolved choices, without `auto`. A checkpoint keeps them for the resumed trial."""

    precision: Precision
    memory_format: MemoryFormat
    compiled: bool

    def place(self, network: AnyModule, device: torch.device) -> AnyModule:
        """The network on its device, with its kernels in the memory format."""
        placed: AnyModule = network.to(device, memory_format=_FORMATS[self.memory_format])  # type: ignore[call-overload]
        return placed

    def compile(self, network: AnyModule, device: torch.device) -> AnyModule:
        """The network compiled for one batch size. On a GPU it uses CUDA graphs."""
        mode = "reduce-overhead" if device.type == "cuda" else "default"
        compiled: AnyModule = torch.compile(network, dynamic=False, mode=mode)  # type: ignore[assignment]
        return compiled

    def show(self, planes: Tensor) -> Tensor:
        """Planes [B, C, N, N] in the memory format."""
        return planes.contiguous(memory_format=_FORMATS[self.memory_format])

    def autocast(self, device: torch.device) -> torch.autocast:
        """The number format of training. Answers are always computed in float32."""
        dtype = _DTYPES[self.precision]
        return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


# Measured (docs/lab-log.md): on a CPU channels_last is fastest, and bfloat16 is faster only on the
# newest CPUs. On an H100 bfloat16 is fastest, with value losses as in float32. Compiling takes 9
# to 19 s for each network in each process, and pays from a few hundred thousand positions on.
# float16 was not measured.
_CHOSEN: dict[str, Execution] = {
    "cpu": Execution("float32", "channels_last", compiled=False),
    "cuda": Execution("bfloat16", "channels_last", compiled=False),
    "cuda without bfloat16": Execution("float16", "channels_last", compiled=False),
}


@contextmanager
def repeatable() -> Iterator[None]:
    """Restrict cuDNN to deterministic kernels that are chosen by rule and not by timing.

    Without this, float32 convolutions on a GPU gave different results in different runs.
    """
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield


def device_class(device: torch.device) -> str:
    """The row of the table that a device belongs to."""
    if device.type != "cuda":
        return "cpu"
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return "cuda" if has_bfloat16 else "cuda without bfloat16"


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether a processor computes bfloat16 without instructions for it.

    oneDNN then has no kernels for it: a convolution took 18 times as long as in float32.
    """
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and supported is not None and not supported()


def resolve_execution(config: TrialConfig, device: torch.device) -> Execution:
    """The configuration's choices, with `auto` replaced from the table.

    Raises:
        ConfigError: a compiled network is required, but there is no compiler.
    """
    measured = _CHOSEN[device_class(device)]
    compiled = measured.compiled if config.compile == "auto" else config.compile == "always"
    named = os.environ.get("CXX")
    if compiled and device.type == "cpu" and not any(map(shutil.which, [named or "", *_COMPILERS])):
        raise ConfigError(
            "trial.compile: 'always' needs a C++ compiler, and neither $CXX nor "
            f"{', '.join(_COMPILERS)} was found; install one, or write compile: never"
        )
    return Execution(
        precision=measured.precision if config.precision == "auto" else config.precision,
        memory_format=(
            measured.memory_format if config.memory_format == "auto" else config.memory_format
        ),
        compiled=compiled,
    )
