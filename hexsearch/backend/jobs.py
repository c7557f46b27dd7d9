"""What a pool of workers runs, and who hears of it."""

from __future__ import annotations

from typing import Any, Protocol

Message = dict[str, Any]


class Runner(Protocol):
    """A job under way in a worker process."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""

    def advance(self) -> list[Message]:
        """Work to the next point that is worth a message."""


class Job(Protocol):
    """What a worker needs; plain values, since it travels to another process."""

    @property
    def name(self) -> str:
        """Unique among the jobs of one run."""

    def open(self) -> Runner:
        """Begin, or go on from the job's checkpoint. Called in the worker."""


class Supervisor(Protocol):
    """Hears of jobs in the driver."""

    @property
    def draining(self) -> bool:
        """Whether nothing more is to start."""

    def started(self, job: Job) -> None:
        """A worker begins, or begins again."""

    def heard(self, job: Job, messages: list[Message]) -> None:
        """What a job said."""

    def lost(self, job: Job, reason: str, log: str) -> None:
        """A job that no retry could save."""
