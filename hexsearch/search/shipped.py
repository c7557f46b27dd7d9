"""The search spaces of the package, found by their names."""

from __future__ import annotations

from pathlib import Path

from hexsearch.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]


def shipped_folder() -> Path:
    """`search_spaces`: inside the package when it was installed from a wheel, else beside it."""
    installed = _PACKAGE / "search_spaces"
    return installed if installed.is_dir() else _PACKAGE.parent / "search_spaces"


def shipped_spaces() -> dict[str, Path]:
    """Name (`quick`) to file of every shipped search space."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"))}


def find_space(text: str) -> Path:
    """The file of a path or of the name of a shipped space. A file of that name comes first.

    Raises:
        ConfigError: a plain name is neither, or is too long for a disk.
    """
    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError) as error:  # too long; a NUL
        raise ConfigError(f"{text}: {getattr(error, 'strerror', error)}") from error
    if is_file or path.name != text or path.suffix:
        return path  # an error is raised when the file is read
    shipped = shipped_spaces()
    if text not in shipped:
        # It imports pydantic, which takes time and is not needed for a help text.
        from hexsearch.config.section import suggest

        raise ConfigError(
            f"{text}: neither a file nor a shipped search space; {suggest(text, list(shipped))}"
        )
    return shipped[text]
