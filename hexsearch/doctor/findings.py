"""What a check says, and what a diagnosis is."""

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
    """One thing that a check has to say.

    Attributes:
        severity: error where results cannot be believed, warning where they may suffer, info
            where a surprising figure has a harmless explanation.
        evidence: what was measured, in figures. cause: what most likely brings it about.
        remedy: what to do.
        root: findings of one root are one fault seen twice; the later ones add their evidence to
            the first. Findings without a root stand alone.
    """

    check: str
    severity: Severity
    evidence: str
    cause: str
    remedy: str
    root: str = field(default="", compare=False)

    def to_json(self) -> dict[str, str]:
        """The five fields that users see."""
        return {
            "check": self.check,
            "severity": self.severity,
            "evidence": self.evidence,
            "cause": self.cause,
            "remedy": self.remedy,
        }


@dataclass(frozen=True)
class Check:
    """A named check and the parts of a pipeline that it cannot do without.

    Attributes:
        kind: `quick` ones run before every launch, `answers` ask a trained network, `training`
            ones train for some seconds.
        symptom: it looks at results, which every fault spoils. What it finds is left out once a
            check that looks at one part alone has found an error.
    """

    name: str
    kind: Kind
    needs: tuple[str, ...]
    look: Callable[[ExaminedPipeline], Iterator[Finding]]
    symptom: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """What was checked, what was left out and why, and what was found, worst first."""

    label: str
    checks: tuple[str, ...]
    left_out: dict[str, str]
    findings: tuple[Finding, ...]
    seconds: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that forbid to believe any result."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """Plain mappings with the agreed names."""
        return {
            "examined": self.label,
            "checks": list(self.checks),
            "left_out": dict(self.left_out),
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": dict(self.seconds),
        }
