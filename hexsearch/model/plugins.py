"""Import-path plug-ins, `package.module:factory`: the only code that a YAML file can name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from hexsearch.errors import ContractError


def import_factory(path: str, role: str) -> Callable[..., Any]:
    """The callable that an import path names.

    Args:
        role: what it is for, in the words of the configuration, such as `value_head.family`.
    Raises:
        ContractError: no such module or attribute, or not callable.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ContractError(
            f"{role}: cannot import module '{module_name}': {error}. It must be installed, or "
            "lie on PYTHONPATH, wherever trials run."
        ) from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        problem = "has no" if factory is None else "has a non-callable"
        raise ContractError(f"{role}: module '{module_name}' {problem} '{attribute}'")
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
    try:
        module = factory(**given, **options)
    except TypeError as error:
        called = ", ".join(f"{name}={value}" for name, value in given.items())
        raise ContractError(
            f"{role} {path}: {error}; it is called with {called} and {role}.options"
        ) from error
    if not isinstance(module, nn.Module):
        raise ContractError(f"{role} {path}: made a {type(module).__name__}, expected an nn.Module")
    return module
