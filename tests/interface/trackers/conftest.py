from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.search.simulation import OPENED


@pytest.fixture(autouse=True)
def closed_ledgers() -> Iterator[None]:
    """Close what a test opened: an open file is a warning, and warnings are errors."""
    yield
    while OPENED:
        OPENED.pop().close()
