"""Checks what has changed between the start of a study and its resume."""

from __future__ import annotations

from typing import Any

from hexsearch.config.section import as_yaml
from hexsearch.errors import ConfigError
from hexsearch.ledger.events import StudyOpened
from hexsearch.ledger.folder import StudyFolder, code_hash, git_commit, versions
from hexsearch.search.warm_start import flat

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
