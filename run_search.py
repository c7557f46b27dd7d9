"""The command line: without arguments it runs the main job; `--help` lists the rest."""

from __future__ import annotations

import sys

from hexsearch.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
