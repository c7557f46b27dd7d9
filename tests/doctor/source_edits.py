"""A mistake as an edit of a function's source: what somebody in a hurry would have written."""

from __future__ import annotations

import functools
import inspect
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

from tests.doctor.slips import Inject, Patch


def edited(where: Any, name: str, edits: Mapping[str, str]) -> Inject:
    """Replace pieces of the source of a function or method.

    A fault in the source is everywhere, so a function is replaced wherever a module of hexsearch
    has imported it.

    Args:
        where: the module or class that defines it.
        edits: new pieces by old ones, each of which occurs once in the source.
    """

    def inject(patch: Patch) -> None:
        sound = vars(where)[name]
        source = textwrap.dedent(inspect.getsource(_plain(sound)))
        for old, new in edits.items():
            assert source.count(old) == 1, f"{name}: {source.count(old)} times: {old}"
            source = source.replace(old, new)
        module = where if inspect.ismodule(where) else sys.modules[where.__module__]
        made: dict[str, Any] = {}
        # It inherits `from __future__ import annotations` from this module.
        exec(compile(source, str(module.__file__), "exec"), module.__dict__, made)
        if isinstance(made[name], functools.cached_property):
            made[name].__set_name__(where, name)
        if not inspect.ismodule(where):
            patch.setattr(where, name, made[name])
            return
        for path, user in list(sys.modules.items()):
            if path.startswith("hexsearch.") and vars(user).get(name) is sound:
                patch.setattr(user, name, made[name])

    return inject


def _plain(member: Any) -> Any:
    """The function beneath a property, a cached property or another decorator."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, functools.cached_property):
        member = member.func
    elif isinstance(member, classmethod | staticmethod):
        member = member.__func__
    return inspect.unwrap(member)
