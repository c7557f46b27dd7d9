"""A study's folder: its files, how it is created, and how it is read."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hexsearch import __version__
from hexsearch.config.files.yaml_text import dump_yaml, parse_yaml, read_text
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.data.archive import open_archive
from hexsearch.errors import ArchiveError, ConfigError, LedgerError
from hexsearch.ledger.events import FORMAT, other_format
from hexsearch.ledger.ledger import is_held
from hexsearch.ledger.named import no_study
from hexsearch.ledger.own_files import STUDY_FILES
from hexsearch.training.atomic import write_atomically

CHECKPOINT = "checkpoint.pt"  # network and optimiser of a trial, in its folder
_LONGEST_NAME = 200  # bytes; file systems allow 255, and longer file names are made from it
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
        """study.yaml: the resolved configuration, versions and games."""
        return self.path / "study.yaml"

    @property
    def archive(self) -> Path:
        """The study's copy of its games, so that it can be resumed without the original files."""
        return self.path / "games.archive"

    @property
    def trunk(self) -> Path:
        """The copy of the checkpoint whose frozen trunk a comparison uses, if it uses one."""
        return self.path / "trunk.pt"

    @property
    def match(self) -> Path:
        """The result of the phase `match`: players with their Elo."""
        return self.path / "match.json"

    @property
    def progress(self) -> Path:
        """How far the running trials are, for those who watch from another process."""
        return self.path / "progress.json"

    def trial(self, name: str) -> Path:
        """Folder of one trial: checkpoint, per-game losses, curve."""
        return self.path / "trials" / name

    def checkpoint(self, trial: str) -> Path:
        """The path of a trial's checkpoint, which exists if it was kept."""
        return self.trial(trial) / CHECKPOINT

    def require_new(self) -> None:
        """Check that the folder holds no files of a study, which would be lost.

        Raises:
            ConfigError: it does; says how to resume the study or to start another one.
        """
        found = [name for name in STUDY_FILES if os.path.lexists(self.path / name)]
        if not found:
            return
        if self.has_records or is_held(self.ledger):
            raise ConfigError(
                f"{self.path}: a study of this name exists; continue it with 'resume {self.path}', "
                "or give another --name"
            )
        trials = self.path / "trials"
        remedy = "remove the folder, or give another --name"
        if trials.is_dir() and any(trials.iterdir()):
            remedy = "restore its ledger.jsonl from a copy and resume it, or give another --name"
        raise ConfigError(
            f"{self.path}: holds {', '.join(found)} of a study whose ledger is missing or empty; "
            f"{remedy}"
        )

    @property
    def has_records(self) -> bool:
        """Whether the ledger exists and is not empty. It may be damaged."""
        try:
            return self.ledger.stat().st_size > 0
        except OSError:
            return False

    def require_ledger(self) -> None:
        """Check that the ledger exists and is not empty, without creating it.

        Raises:
            LedgerError: it is missing or empty; says what to restore.
        """
        if self.has_records:
            return
        state = "is empty" if self.ledger.exists() else "is missing"
        raise LedgerError(
            f"{self.ledger}: {state}, and the study cannot be resumed without it; restore it from "
            "a copy, or start a new study under another --name. The files of its trials were not "
            "changed"
        )

    def require_writable(self) -> None:
        """Check that the folder can be created, without creating it.

        Raises:
            ConfigError: it cannot be created; says why.
        """
        existing = self.path
        try:
            while not existing.exists():
                existing = existing.parent
        except OSError as error:
            raise ConfigError(f"{self.path}: {error.strerror}; choose another --results") from error
        if not existing.is_dir():
            raise ConfigError(f"{self.path}: {existing} is not a folder; choose another --results")
        of_this_process = os.access in os.supports_effective_ids
        if not os.access(existing, os.W_OK | os.X_OK, effective_ids=of_this_process):
            raise ConfigError(f"{self.path}: {existing} is read-only; choose another --results")

    def require_games(self, content_hash: str) -> None:
        """Check that the games are those with which the study began.

        Raises:
            ArchiveError: the archive is missing, or holds other games.
        """
        if not os.path.lexists(self.archive):
            raise ArchiveError(
                f"{self.archive}: is missing; restore it from a copy, or write it anew from the "
                f"games (games.paths in study.yaml): 'games convert PATH --output {self.archive} "
                "--to archive'"
            )
        if open_archive(self.archive).content_hash != content_hash:
            raise ArchiveError(
                f"{self.archive} holds other games than study.yaml states; restore it"
            )

    def write_description(
        self, config: StudyConfig, games: Sequence[str], archive_hash: str
    ) -> dict[str, Any]:
        """Store study.yaml, and return its content, which also goes into the first record."""
        description = {
            "format": FORMAT,
            "name": self.name,
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
            LedgerError: this is not a study folder, or its format is another version's.
            ConfigError: the file was edited and is faulty.
        """
        where = str(self.description)
        try:
            os.lstat(self.description)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LedgerError(no_study(self.path)) from error
        except (OSError, ValueError) as error:  # no permission; a name too long, or with a NUL
            why = getattr(error, "strerror", None) or error
            raise LedgerError(f"{self.path}: cannot be read: {why}") from error
        raw = parse_yaml(read_text(self.description), where)
        if not isinstance(raw, dict) or "config" not in raw:
            raise ConfigError(f"{where}: holds no 'config'")
        if raw.get("format") != FORMAT:
            raise LedgerError(other_format(str(self.path), raw.get("format"), raw.get("hexsearch")))
        problems = _description_faults(raw, where)
        try:
            config = build(StudyConfig, raw["config"], f"{where}: config.")
        except ConfigError as error:
            raise ConfigError([*problems, *error.problems]) from error
        if problems:
            raise ConfigError(problems)
        return raw, config


def _description_faults(raw: dict[str, Any], where: str) -> list[str]:
    """Faults of an edited study.yaml, apart from those of its configuration."""
    problems = []
    games = raw.get("games")
    if not isinstance(games, dict) or not isinstance(games.get("content_hash"), str):
        problems.append(f"{where}: games.content_hash: missing; restore the file from a copy")
    if not isinstance(raw.get("versions"), dict):
        problems.append(f"{where}: versions: missing; restore the file from a copy")
    return problems


def require_name(name: str) -> None:
    """Check that a study's name is a valid name of one folder.

    Raises:
        ConfigError: it is not; says what a name may be.
    """
    fault = None
    if Path(name).name != name or name in ("", ".", "..") or "\\" in name:
        fault = "give a plain name; --results sets the folder"
    elif not name.isprintable():
        fault = "holds control characters; give a plain name"
    elif len(os.fsencode(name)) > _LONGEST_NAME:
        fault = f"has {len(os.fsencode(name))} bytes; a name may have {_LONGEST_NAME} at most"
    if fault:
        raise ConfigError(f"--name {name[:60]!r}: {fault}")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a trial's numbers depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # the package is run from a source tree
            found[package] = "unknown"
    return found


def code_hash() -> str:
    """Hash of all Python files of the running package, as 16 hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(package.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def git_commit() -> str | None:
    """Commit of the running source tree, with `+changes` if it is not clean; None outside git."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):  # no git, not a clone, or a very slow disk
        return None
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()
