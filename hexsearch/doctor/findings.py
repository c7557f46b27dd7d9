"""The data that checks give: findings, and the diagnosis that holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from hexsearch.doctor.pipeline import ExaminedPipeline

Severity = Literal["error", "warning", "info"]
Kind = Literal["quick", "answers", "training"]


@dataclass(frozen=True)
class Finding:
    """One fault, or one harmless peculiarity, that a check has found.

    Attributes:
        check: name of the check.
        severity: error if results cannot be trusted, warning if they may suffer, info if a
            surprising figure has a harmless explanation.
        evidence: what was measured, in figures.
        cause: the most likely cause.
        remedy: what to do.
        where: lines of the user's code that it is about, as "file:number: source".
        root: findings with the same root are one fault that several checks have seen. A diagnosis
            keeps one of them. Empty: the fault is known by its check and its cause.
    """

    check: str
    severity: Severity
    evidence: str
    cause: str
    remedy: str
    root: str = field(default="", compare=False)
    where: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def error(cls, check: str, evidence: str, cause: str, remedy: str, root: str = "") -> Finding:
        """A finding that makes results untrustworthy."""
        return cls(check, "error", evidence, cause, remedy, root)

    @classmethod
    def warning(cls, check: str, evidence: str, cause: str, remedy: str, root: str = "") -> Finding:
        """A finding from which results may suffer."""
        return cls(check, "warning", evidence, cause, remedy, root)

    def to_json(self) -> dict[str, Any]:
        """The six fields that users see."""
        return {
            "check": self.check,
            "severity": self.severity,
            "evidence": self.evidence,
            "cause": self.cause,
            "remedy": self.remedy,
            "where": list(self.where),
        }


@dataclass(frozen=True)
class Check:
    """A named check and the parts of a pipeline that it cannot do without.

    Attributes:
        name: as users see it.
        kind: `quick` checks run before every launch, `answers` checks examine the answers of a
            trained network, `training` checks train for some seconds.
        needs: attributes of ExaminedPipeline that must not be None or empty.
        look: the check itself.
        symptom: the check looks at results, which every fault spoils. It is left out, and its
            errors and warnings with it, once a check of a single part has found an error.
        later: the check takes long, and is left out if an error was found before it.
    """

    name: str
    kind: Kind
    needs: tuple[str, ...]
    look: Callable[[ExaminedPipeline], Iterator[Finding]]
    symptom: bool = False
    later: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """What was checked, and what was found.

    Attributes:
        label: what was examined.
        checks: names of the checks that were done.
        left_out: the other checks, each with the reason.
        findings: errors first, then warnings, then the others.
        seconds: wall-clock time of each check that was done.
    """

    label: str
    checks: tuple[str, ...]
    left_out: dict[str, str]
    findings: tuple[Finding, ...]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make every result untrustworthy."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as plain mappings, which `--format json` prints."""
        return {
            "examined": self.label,
            "checks": list(self.checks),
            "left_out": dict(self.left_out),
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": dict(self.seconds),
        }


def in_words(part: str) -> str:
    """The name of a part of a network as text.

    >>> in_words("value_head")
    'value head'
    """
    return part.replace("_", " ")
