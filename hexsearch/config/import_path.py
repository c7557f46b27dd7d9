"""Plug-ins are named by import path, `package.module:factory`."""

from __future__ import annotations

import re

_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


def is_import_path(text: str) -> bool:
    """Whether text names a plug-in, `package.module:factory`."""
    return _IMPORT_PATH.match(text) is not None
