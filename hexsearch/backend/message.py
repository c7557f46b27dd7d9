"""The message of a worker to the driver after each step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hexsearch.ledger.report import ReportSummary


@dataclass(frozen=True)
class Message:
    """Reports, or progress, or a failure, or the error that files cannot be written.

    Attributes:
        reports: reports by trial; empty if the worker has only saved a checkpoint.
        progress: positions seen between two reports. They are only displayed: they are not
            recorded, and no decision depends on them.
        failure: why the trials of the job cannot continue.
        unwritable: why a disk or storage cannot be written, which is not a fault of the trials.
        warnings: warnings for the user, such as a checkpoint that could not be used.
    """

    reports: dict[str, ReportSummary] = field(default_factory=dict)
    progress: int | None = None
    failure: str | None = None
    unwritable: str | None = None
    warnings: list[str] = field(default_factory=list)

    def to_result(self) -> dict[str, str]:
        """The message as a result of Ray Tune, as text since Tune would flatten mappings."""
        plain = {name: report.to_json() for name, report in self.reports.items()}
        return {"message": json.dumps({**vars(self), "reports": plain})}

    @classmethod
    def of_result(cls, result: dict[str, Any]) -> Message:
        """The message from a result of `to_result`."""
        values = json.loads(result["message"])
        reports = values.pop("reports")
        read = {name: ReportSummary.from_json(report) for name, report in reports.items()}
        return cls(reports=read, **values)
