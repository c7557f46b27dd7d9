from __future__ import annotations

import os
from pathlib import Path

import pytest

from hexsearch.training.atomic import read_whole


def test_only_files_of_a_fair_size_are_read_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_whole(file, most=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_whole(file, most=4)
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="it is not a file"):
            read_whole(other)
    for other in (tmp_path, tmp_path / "absent"):
        with pytest.raises(OSError, match=r"Is a directory|No such file"):
            read_whole(other)
