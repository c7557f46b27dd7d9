"""Finds faults of games, networks and training: evidence in figures, a cause and a remedy.

Python sets `hexsearch.doctor` to this package as soon as something of it is imported, and users
call `hexsearch.doctor(...)`. So the package can be called, and passes its arguments on.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Called(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return import_module("hexsearch.interface.networks").doctor(*arguments, **options)


sys.modules[__name__].__class__ = _Called
