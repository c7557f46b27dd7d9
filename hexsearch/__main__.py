"""`python -m hexsearch` is the same as `hexsearch`."""

from __future__ import annotations

import sys

from hexsearch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
