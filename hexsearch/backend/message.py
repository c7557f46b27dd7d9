"""What a worker tells the driver after each step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hexsearch.ledger.report import ReportSummary


@dataclass(frozen=True)
class Message:
    """One of four things: reports, progress, a failure, or that files cannot be written.

    Attributes:
        reports: by trial; empty where the worker has only saved a checkpoint.
        progress: positions seen between two reports. It is only shown, never recorded, and
            nothing is decided by it.
        failure: why the trials of the job cannot go on.
        unwritable: why a disk or storage takes no more, which is no fault of the trials.
        warnings: what a person should know, such as a checkpoint that could not be used.
    """

    reports: dict[str, ReportSummary] = field(default_factory=dict)
    progress: int | None = None
    failure: str | None = None
    unwritable: str | None = None
    warnings: list[str] = field(default_factory=list)

    def to_result(self) -> dict[str, str]:
        """As a result of Ray Tune, which would flatten mappings."""
        plain = {name: report.to_json() for name, report in self.reports.items()}
        return {"message": json.dumps({**vars(self), "reports": plain})}

    @classmethod
    def of_result(cls, result: dict[str, Any]) -> Message:
        """What `to_result` wrote."""
        values = json.loads(result["message"])
        reports = values.pop("reports")
        read = {name: ReportSummary.from_json(report) for name, report in reports.items()}
        return cls(reports=read, **values)
