"""The name by which the user started this program, for commands in messages."""

from __future__ import annotations

import sys
from pathlib import Path


def program() -> str:
    """`python run_search.py`, `python -m hexsearch` or `hexsearch`, whichever was typed."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py" and started.parent.name == "hexsearch":
        return "python -m hexsearch"
    if started.name == "run_search.py":
        return f"python {started}"
    return "hexsearch"
