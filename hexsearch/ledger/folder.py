"""A study's folder: what lies where, how it is made, and how it is read again."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hexsearch import __version__
from hexsearch.config.load import dump_yaml, parse_yaml
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import open_archive
from hexsearch.errors import ArchiveError, ConfigError, HexsearchError, LedgerError
from hexsearch.ledger.ledger import read_ledger
from hexsearch.training.atomic import write_atomically

COMPARISON = "compare"  # kind of such a folder, in its study.yaml
_PACKAGES = ("torch", "ray", "optuna", "numpy")


@dataclass(frozen=True)
class StudyFolder:
    """`results/<name>/`: study.yaml, ledger.jsonl, games.archive, trials/<id>/."""

    path: Path

    @property
    def name(self) -> str:
        """The study's name."""
        return self.path.resolve().name

    @property
    def ledger(self) -> Path:
        """The append-only record."""
        return self.path / "ledger.jsonl"

    @property
    def description(self) -> Path:
        """Everything resolved: configuration, versions, games."""
        return self.path / "study.yaml"

    @property
    def archive(self) -> Path:
        """The study's own copy of its games, so that it can be resumed without the originals."""
        return self.path / "games.archive"

    @property
    def trunk(self) -> Path:
        """A comparison's own copy of the checkpoint whose trunk it took, where it took one."""
        return self.path / "trunk.pt"

    @property
    def confirmation(self) -> StudyFolder:
        """Where a study keeps the trainings that confirm its winners."""
        return StudyFolder(self.path / "confirm")

    def trial(self, name: str) -> Path:
        """Folder of one trial: checkpoint, per-game losses, curve."""
        return self.path / "trials" / name

    def require_new(self) -> None:
        """Refuse to start over an existing study.

        Raises:
            ConfigError: says how to go on or start beside it.
        """
        # A driver killed before its first record leaves an empty ledger, which is no study.
        if self.ledger.exists() and read_ledger(self.ledger):
            raise ConfigError(
                f"{self.path}: a study of this name exists; go on with 'resume {self.path}', or "
                "give another --name"
            )

    def require_writable(self) -> None:
        """Make sure that the folder can be made, and leave nothing behind.

        Raises:
            ConfigError: it cannot; says why.
        """
        existing = self.path
        while not existing.exists():
            existing = existing.parent
        if not existing.is_dir():
            raise ConfigError(f"{self.path}: {existing} is no folder; choose another --results")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise ConfigError(f"{self.path}: {existing} is read-only; choose another --results")

    @contextmanager
    def whole_or_not_at_all(self) -> Iterator[None]:
        """Remove what was written of a new study if its first files cannot all be written."""
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            yield
        except HexsearchError:
            lock = self.ledger.with_suffix(".lock")
            for file in (self.ledger, lock, self.description, self.archive, self.trunk):
                file.unlink(missing_ok=True)
            for path in made:
                with suppress(OSError):  # somebody else has put something there
                    path.rmdir()
            raise

    def require_games(self, content_hash: str) -> None:
        """Refuse to go on with other games.

        Raises:
            ArchiveError: the archive is not the one that the study began with.
        """
        if open_archive(self.archive).content_hash != content_hash:
            raise ArchiveError(f"{self.archive} holds other games than study.yaml says; restore it")

    def write_description(
        self, config: StudyConfig, games: Sequence[str], archive_hash: str, kind: str = "search"
    ) -> dict[str, Any]:
        """Store study.yaml; what is returned also opens the ledger.

        Args:
            kind: what `resume` goes on with, such as `search`.
        """
        description = {
            "name": self.name,
            "kind": kind,
            "hexsearch": __version__,
            "versions": versions(),
            "git": git_commit(),
            "code": code_hash(),
            "games": {"paths": [str(path) for path in games], "content_hash": archive_hash},
            "config": config.model_dump(mode="json", by_alias=True, exclude_none=True),
        }
        write_atomically(self.description, dump_yaml(description).encode())
        return description

    def read_description(self) -> tuple[dict[str, Any], StudyConfig]:
        """study.yaml as it was written, and its configuration.

        Raises:
            LedgerError: this is no study folder.
            ConfigError: the file was edited into something that does not fit.
        """
        if not self.description.exists():
            raise LedgerError(f"{self.path}: no study.yaml; is this a study folder?")
        text = self.description.read_text(encoding="utf-8")
        raw = parse_yaml(text, str(self.description))
        if not isinstance(raw, dict) or "config" not in raw:
            raise ConfigError(f"{self.description}: holds no 'config'")
        return raw, build(StudyConfig, raw["config"], f"{self.description}: config.")


def versions() -> dict[str, str]:
    """Python and the packages that decide what a trial computes."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # vendored or run from a source tree
            found[package] = "unknown"
    return found


def code_hash() -> str:
    """16 hexadecimal digits of every Python file of the package that runs."""
    package = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def git_commit() -> str | None:
    """Commit of the source tree that runs, with `+changes` if it is not clean; None outside git."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()
