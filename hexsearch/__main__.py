"""`python -m hexsearch` is the same as `hexsearch`."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def run() -> int:
    """Run the command line, and return its exit status.

    Ctrl-C ends it without a traceback also while its modules are imported.
    """
    try:
        from hexsearch.cli.main import main
    except KeyboardInterrupt:
        return _INTERRUPTED
    return main()


if __name__ == "__main__":
    sys.exit(run())
