"""Import-path plug-ins, `package.module:factory`: the only code that a YAML file can name."""

from __future__ import annotations

import importlib
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from hexsearch.errors import ContractError, HexsearchError, PluginError

_FRAMES = 5  # of the user's own code, the innermost last
_NOT_THE_USERS = tuple(
    f"{Path(folder).resolve()}{os.sep}"
    for folder in (
        Path(__file__).parents[1],
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    )
)


@contextmanager
def plugin_code(what: str) -> Iterator[None]:
    """Run code of a plug-in; what it raises, `SystemExit` included, is said to be its fault.

    Args:
        what: it is doing, such as `value_head my:Head: its factory`.
    Raises:
        PluginError: what it raised, and where in the user's own code.
    """
    try:
        yield
    except HexsearchError:
        raise
    except (Exception, SystemExit) as error:  # code of somebody else may raise anything
        raise PluginError("\n".join([f"{what} {_raised(error)}", *_own_frames(error)])) from error


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({error.code!r}); raise an error instead"
    name = type(error).__name__
    return f"raised {name}: {error}" if str(error) else f"raised {name}"


def _own_frames(error: BaseException) -> list[str]:
    """Where in the user's code it was, as lines for a person; the rest of the stack is ours."""
    if isinstance(error, SyntaxError) and error.filename:
        source = (error.text or "").strip()
        return [f"  {error.filename} line {error.lineno}" + (f": {source}" if source else "")]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and not str(Path(frame.filename).resolve()).startswith(_NOT_THE_USERS)
    ]
    return [
        f"  {frame.filename} line {frame.lineno}, in {frame.name}: {frame.line}"
        for frame in frames[-_FRAMES:]
    ]


def import_factory(path: str, role: str) -> Callable[..., Any]:
    """The callable that an import path names.

    Args:
        role: what it is for, in the words of the configuration, such as `value_head.family`.
    Raises:
        PluginError: no such module or attribute, or not callable.
    """
    module_name, _, attribute = path.partition(":")
    with plugin_code(f"{role} {path}: importing module '{module_name}'"):
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            where = "\n".join(["", *_own_frames(error)])
            raise PluginError(
                f"{role}: cannot import module '{module_name}': {error}. It must be installed, or "
                f"lie on PYTHONPATH, wherever trials run.{where.rstrip()}"
            ) from error
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
        given: what the factory is always called with; `options` come from the YAML.
    Raises:
        ContractError: it cannot be imported or called, or makes no `nn.Module`.
    """
    factory = import_factory(path, role)
    twice = sorted(given.keys() & options.keys())
    if twice:
        raise ContractError(
            f"{role}.options: {', '.join(twice)} is given by hexsearch; leave it out"
        )
    with plugin_code(f"{role} {path}: its factory"):
        try:
            module = factory(**given, **options)
        except TypeError as error:
            if _own_frames(error):
                raise  # from within: no wrong arguments
            called = ", ".join(f"{name}={value}" for name, value in given.items())
            raise ContractError(
                f"{role} {path}: {error}; it is called with {called} and {role}.options"
            ) from error
    if not isinstance(module, nn.Module):
        raise ContractError(f"{role} {path}: made a {type(module).__name__}, expected an nn.Module")
    return module
