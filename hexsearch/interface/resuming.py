"""Finds the study that is to go on: in a folder, in object storage, or that of an earlier start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hexsearch.errors import ConfigError
from hexsearch.ledger.folder import StudyFolder, require_name
from hexsearch.ledger.named import find_study

Say = Callable[[str], None]


def located(study: str | Path, results: str | Path, say: Say) -> StudyFolder:
    """The folder of a study. One that is named by a URL is fetched to `results`.

    Raises:
        HexsearchError: it cannot be fetched, or its driver lives.
    """
    if "://" not in str(study):
        return StudyFolder(find_study(Path(study)))
    from hexsearch.backend.remote.fetching import fetch_study
    from hexsearch.backend.remote.lease import Watch

    return fetch_study(str(study), Path(results), Watch(say))


def started_before(
    results: str | Path, name: str | None, url: str | None, say: Say
) -> StudyFolder | None:
    """The folder of the study of this name, which may have to be fetched; None if there is none.

    Args:
        url: the study's `run.trial_files`.
    Raises:
        ConfigError: there is no name, by which it could be found.
    """
    if name is None:
        raise ConfigError("--or-resume: give a --name, by which the next start finds the study")
    require_name(name)
    if url is not None:
        from hexsearch.backend.remote.fetching import holds_study, study_url

        if holds_study(url, name):
            return located(study_url(url, name), results, say)
    folder = StudyFolder(Path(results) / name)
    return folder if folder.has_records else None
