"""A local folder and its copy in storage, of which only changed files are sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hexsearch.backend.storage import Storage
from hexsearch.ledger.folder import CHECKPOINT
from hexsearch.training.atomic import write_atomically
from hexsearch.training.checkpoint import previous_of

PREVIOUS = previous_of(Path(CHECKPOINT)).name


class FileSync:
    """A local folder and its copy in storage. Only files that have changed are sent.

    Args:
        name: name of the folder in storage, such as `my-study/trials/t0001`.
    """

    def __init__(self, storage: Storage, name: str, local: Path) -> None:
        self.storage, self.name, self.local = storage, name, local
        self._sent: dict[str, tuple[int, int]] = {}

    def push(self, names: list[str] | None = None) -> None:
        """Send files, by default all. The checkpoint is sent last, after all that belongs to it.

        Storage keeps the previous checkpoint, as the local folder does.
        """
        if names is None:
            names = sorted(path.name for path in self.local.iterdir() if path.is_file())
        for name in sorted(names, key=lambda name: name == CHECKPOINT):
            if name.endswith(".partial") or name == PREVIOUS:
                continue  # storage has the previous one already, under its newer name
            path = self.local / name
            state = path.stat().st_mtime_ns, path.stat().st_size
            if self._sent.get(name) != state:
                keep_as = f"{self.name}/{PREVIOUS}" if name == CHECKPOINT else None
                self.storage.write(f"{self.name}/{name}", path.read_bytes(), keep_as)
                self._sent[name] = state

    def pull(self, wanted: Callable[[str], bool] = lambda name: True) -> None:
        """Fetch the files in storage, and replace local ones."""
        for name in self.storage.names(self.name):
            if wanted(name) and not name.endswith(".partial"):
                content = self.storage.read(f"{self.name}/{name}")
                if content is not None:
                    write_atomically(self.local / name, content)
