"""The command line: without arguments it runs the main job; `--help` lists the rest."""

from __future__ import annotations

import sys

from hexsearch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
