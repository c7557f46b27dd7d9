"""Plug-ins by import path, `package.module:factory`: the only code that a YAML file can name."""

from __future__ import annotations

import importlib
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from hexsearch.errors import ContractError, HexsearchError, PluginError

_FRAMES = 5  # stack frames of the user's own code that are printed
_NOT_THE_USERS = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in (
        Path(__file__).parents[1],
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    )
)
_IMPORTED: set[str] = set()  # folders of the modules that were imported by their paths


@contextmanager
def plugin_code(what: str) -> Iterator[None]:
    """Run code of a plug-in, and report every exception but Ctrl-C and SIGTERM as its error.

    Args:
        what: the call, such as `value_head my:Head: its factory`.
    Raises:
        PluginError: the exception, with the place in the user's own code.
    """
    try:
        yield
    except (HexsearchError, KeyboardInterrupt):
        raise
    except BaseException as error:  # code of a plug-in may raise anything
        if is_sigterm(error):
            raise
        raise PluginError("\n".join([f"{what} {_raised(error)}", *_own_frames(error)])) from error


def is_sigterm(error: BaseException) -> bool:
    """Whether it is the SystemExit that Ray raises in a worker that gets SIGTERM (ray 2.60).

    Slurm sends SIGTERM to every process of a job that is cancelled or put back into the queue.
    """
    return isinstance(error, SystemExit) and hasattr(error, "ray_terminate_msg")


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({error.code!r}); raise an error instead"
    name = type(error).__name__
    return f"raised {name}: {error}" if str(error) else f"raised {name}"


def _own_frames(error: BaseException) -> list[str]:
    """The stack frames in the user's code as lines of text, without the frames of hexsearch."""
    if isinstance(error, SyntaxError) and error.filename:
        source = (error.text or "").strip()
        return [f"  {error.filename} line {error.lineno}" + (f": {source}" if source else "")]
    frames = traceback.extract_tb(error.__traceback__)
    return _lines([frame for frame in frames if is_of_a_user(frame.filename)])


@cache
def is_of_a_user(file: str) -> bool:
    """Whether code is neither hexsearch's nor that of an installed package."""
    return not (file.startswith("<") or str(Path(file).resolve()).startswith(_NOT_THE_USERS))


def _lines(frames: Sequence[traceback.FrameSummary]) -> list[str]:
    return [
        f"  {frame.filename} line {frame.lineno}, in {frame.name}: {frame.line}"
        for frame in frames[-_FRAMES:]
    ]


def fault_of_plugin(error: BaseException) -> PluginError | None:
    """The fault of a plug-in in use, such as a network in training; None if it is no plug-in's.

    It is if the last code that is not of a package belongs to a plug-in.
    """
    frames = traceback.extract_tb(error.__traceback__)
    files = [str(Path(frame.filename).resolve()) for frame in frames]
    last_own = max(
        (n for n, file in enumerate(files) if file.startswith(_NOT_THE_USERS[0])), default=-1
    )
    theirs = [
        frame
        for frame, file in zip(frames[last_own + 1 :], files[last_own + 1 :], strict=True)
        if file.startswith(tuple(_IMPORTED)) and not file.startswith(_NOT_THE_USERS)
    ]
    if not theirs:
        return None
    return PluginError("\n".join([f"a plug-in {_raised(error)}", *_lines(theirs)]))


def import_factory(path: str, role: str) -> Callable[..., Any]:
    """The callable that an import path names.

    Args:
        role: the setting that names it, such as `value_head.family`.
    Raises:
        PluginError: there is no such module or attribute, or it is not callable.
    """
    module_name, _, attribute = path.partition(":")
    with plugin_code(f"{role} {path}: importing module '{module_name}'"):
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            where = "\n".join(["", *_own_frames(error)])
            raise PluginError(
                f"{role}: cannot import module '{module_name}': {error}. It must be installed or "
                f"on PYTHONPATH on every node that runs trials.{where.rstrip()}"
            ) from error
    if file := getattr(module, "__file__", None):
        _IMPORTED.add(f"{Path(file).resolve().parent}{os.sep}")
    factory = getattr(module, attribute, None)
    if not callable(factory):
        problem = "has no" if factory is None else "has a non-callable"
        raise PluginError(f"{role}: module '{module_name}' {problem} '{attribute}'")
    return factory  # type: ignore[no-any-return]


def build_plugin(
    role: str, path: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> nn.Module:
    """The module that a plug-in's factory makes.

    Args:
        role: the section that names it, such as `value_head`.
        given: arguments that hexsearch gives to the factory.
        options: arguments from the YAML file.
    Raises:
        ContractError: the factory cannot be imported or called, or its result is not a module.
    """
    factory = import_factory(path, role)
    twice = sorted(given.keys() & options.keys())
    if twice:
        raise ContractError(
            f"{role}.options: hexsearch itself gives {', '.join(twice)}; leave it out"
        )
    with plugin_code(f"{role} {path}: its factory"):
        try:
            module = factory(**given, **options)
        except TypeError as error:
            if _own_frames(error):
                raise  # raised inside the factory, not by the call
            called = ", ".join(f"{name}={value}" for name, value in given.items())
            raise ContractError(
                f"{role} {path}: {error}; the factory is called with {called} and {role}.options"
            ) from error
    if not isinstance(module, nn.Module):
        name = type(module).__name__
        raise ContractError(f"{role} {path}: the factory made a {name}, expected an nn.Module")
    return module
