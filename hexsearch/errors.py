"""Everything hexsearch raises on purpose, and nothing else.

HexsearchError            the work itself failed                     exit status 1
|-- FaultyInput           several faults found at once               exit status 2
|   |-- ConfigError       a search space or an option is wrong
|   |-- GamesError        game files cannot be used as given
|   |-- ArchiveError      an archive is truncated, corrupt or of another version
|   |-- CheckpointError   a checkpoint cannot be used as given
|   |-- LedgerError       a study folder cannot be read or is in use
|   |-- DiagnosisError    the doctor names errors before a study       exit status 1
|   `-- StorageError      storage that nodes share cannot be used from here
|-- DiskError             a disk or storage takes no more; what it holds is whole
|-- ContractError         a plug-in or component breaks its contract     exit status 2
|   `-- PluginError       a plug-in cannot be imported, or its own code raised
`-- TrialError            one trial cannot go on (non-finite loss, unhealthy network)
"""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 2_000  # characters of a message; foreign text may go on for megabytes


def printable(text: str) -> str:
    """Text of foreign origin for a terminal: control characters escaped, not too long.

    >>> printable("a\x1b]0;title\x07b")
    'a\\x1b]0;title\\x07b'
    """
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}... ({len(text):,} characters)"
    return escaped(text)


def escaped(text: str) -> str:
    """Text of any length with its control characters escaped, but for line breaks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def one_line(text: str) -> str:
    """The same where a line break can only come from a name, of a file or of a setting.

    >>> one_line("a\\nb: no such file")
    'a\\\\nb: no such file'
    """
    return text.replace("\n", "\\n")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class HexsearchError(Exception):
    """Base of every error that a user may see without a traceback."""

    exit_status = 1


class FaultyInput(HexsearchError):
    """Faults in something that the user gave us, collected before raising.

    Attributes:
        problems: one line per fault, each saying what, where and what to do.
    """

    exit_status = 2

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class ConfigError(FaultyInput):
    """A search space, a configuration or a command-line option is wrong."""


class GamesError(FaultyInput):
    """Game files cannot be used as they were given."""


class ArchiveError(FaultyInput):
    """A game archive is truncated, corrupt or of another version."""


class CheckpointError(FaultyInput):
    """A checkpoint is missing, corrupt or does not fit what is asked of it."""


class LedgerError(FaultyInput):
    """A study folder cannot be read, or another driver holds it."""


class StorageError(FaultyInput):
    """Storage that the nodes of a cluster share cannot be used from where it is needed."""


class DiskError(HexsearchError):
    """A disk or storage takes no more in the middle of the work; what it holds is whole."""


class ContractError(HexsearchError):
    """A component (often a plug-in) does not do what its contract promises."""

    exit_status = 2


class PluginError(ContractError):
    """A plug-in cannot be imported, or its own code raised; the message holds the user's frames."""


class DiagnosisError(FaultyInput):
    """The doctor names errors in what a study would start with."""

    exit_status = 1


class TrialError(HexsearchError):
    """One trial cannot go on; the study can.

    Attributes:
        verdict: the monitors' word for it, such as `nan` or `exploding`.
    """

    def __init__(self, message: str, verdict: str = "failed") -> None:
        self.verdict = verdict
        super().__init__(message)

    def __reduce__(self) -> tuple[type[TrialError], tuple[str, str]]:
        # Exceptions cross process borders on a cluster; the default would lose `verdict`.
        return type(self), (str(self), self.verdict)
