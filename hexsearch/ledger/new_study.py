"""Creates the folder of a new study: by one process alone, and completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hexsearch.errors import LedgerError
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger, is_held


@contextmanager
def new_ledger(folder: StudyFolder) -> Iterator[Ledger]:
    """The locked ledger of a new study. Its first files are written inside.

    The lock comes before the first file: while Ray started, another process may have begun a study
    of this name, whose files must not be replaced. After an error or a signal inside, everything
    that was made is removed.

    Raises:
        ConfigError: the folder holds files of a study.
        LedgerError: another process begins a study there, or the folder cannot be written.
    """
    folder.require_new()
    made = [path for path in (folder.path, *folder.path.parents) if not path.exists()]
    try:
        ledger = Ledger(folder.ledger)
    except LedgerError:
        if not is_held(folder.ledger) and not folder.has_records:
            _remove_first_files(folder, made)
        raise
    if len(ledger):  # another process has begun and left the study since the first line
        ledger.close()
        folder.require_new()
    try:
        yield ledger
    except BaseException:  # Ctrl-C, too: half of a study would be in the way of a whole one
        ledger.close()
        _remove_first_files(folder, made)
        raise


def _remove_first_files(folder: StudyFolder, made: Sequence[Path]) -> None:
    lock = folder.ledger.with_suffix(".lock")
    for file in (folder.ledger, lock, folder.description, folder.archive, folder.trunk):
        with suppress(OSError):
            file.unlink()
    for path in made:
        with suppress(OSError):  # another program has put a file there
            path.rmdir()
