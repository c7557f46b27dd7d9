"""Checks what has changed between the start of a study and its resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hexsearch.config.files.load import apply_setting
from hexsearch.config.files.yaml_text import dump_yaml
from hexsearch.config.section import as_yaml, build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError, LedgerError
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder, code_hash, git_commit, versions
from hexsearch.ledger.ledger import is_held
from hexsearch.search.warm_start import flat
from hexsearch.training.atomic import write_atomically

_FREE = "run."  # only settings of this section may change in a study
_BOUND = frozenset({"run.seed"})


def notes(description: dict[str, Any]) -> list[str]:
    """One line for each version, and for the code, that differs from those at the start."""
    now = versions()
    lines = [
        f"note: {package} was {old} when this study began and is {now[package]} now; "
        "numbers may differ in the last bits"
        for package, old in description["versions"].items()
        if now.get(package) != old
    ]
    if description.get("code") != code_hash():
        old, new = description.get("git") or "unknown", git_commit() or "unknown"
        lines.append(
            f"note: the code of hexsearch has changed since this study began (git {old[:16]}, now "
            f"{new[:16]}); earlier and later trials may not be comparable"
        )
    return lines


def change_run(folder: StudyFolder, settings: Sequence[str]) -> None:
    """Write settings of the section `run` into study.yaml, where later sessions find them, too.

    Args:
        settings: such as `run.max_concurrent=1`.
    Raises:
        ConfigError: a setting is faulty, or one that all trials must share.
        LedgerError: there is no study, or another process is running it.
    """
    keys = [setting.partition("=")[0].strip() for setting in settings]
    bound = [key for key in keys if not key.startswith(_FREE) or key in _BOUND]
    if bound:
        raise ConfigError(
            [
                f"--set {key}: may not change in a study that has begun; only settings of run may, "
                "but for run.seed. Launch a new study"
                for key in bound
            ]
        )
    description, _ = folder.read_description()
    folder.require_ledger()
    if is_held(folder.ledger):
        raise LedgerError(
            f"{folder.path}: another process is running this study; wait for it, or stop it"
        )
    config = description["config"]
    for setting in settings:
        config = apply_setting(config, setting)
    build(StudyConfig, config, "--set ")
    write_atomically(folder.description, dump_yaml({**description, "config": config}).encode())


def require_same_question(folder: StudyFolder, opening: StudyOpened) -> list[str]:
    """Notes on edits of study.yaml since the study began.

    Args:
        opening: first event of the ledger.
    Raises:
        ConfigError: a setting was changed that all trials must share; one line for each.
    """
    description, _ = folder.read_description()
    before, after = flat(opening.config), flat(description["config"])
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    problems = [
        f"{folder.description}: config.{key} was {as_yaml(before.get(key))} when the study "
        f"began and is {as_yaml(after.get(key))} now; restore it, or launch a new study"
        for key in changed
        if not key.startswith(_FREE) or key in _BOUND
    ]
    if problems:
        raise ConfigError(problems)
    return [
        f"note: {key} is {as_yaml(after.get(key))} now, was {as_yaml(before.get(key))}"
        for key in changed
    ]
