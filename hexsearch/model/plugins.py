"""Import-path plug-ins, `package.module:factory`: the only code that a YAML file can name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

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
