"""Jobs in processes of their own, with real Ray."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hexsearch.backend.cluster import ray_cluster
from hexsearch.backend.jobs import Job, Message
from hexsearch.config.run import RunConfig
from tests.conftest import ROOT


@dataclass(frozen=True)
class Deed:
    """A job that does what its name says, and remembers in a file how often it has begun."""

    name: str
    folder: str

    def open(self) -> Deed:
        with open(Path(self.folder) / self.name, "a") as file:
            file.write("x")
        return self

    @property
    def finished(self) -> bool:
        return True

    def advance(self) -> list[Message]:
        begun = len((Path(self.folder) / self.name).read_text())
        if self.name == "hangs":
            time.sleep(600)
        if self.name == "raises":
            raise ValueError("no good")
        if self.name == "dies once" and begun == 1:
            os._exit(1)
        return [{"said": self.name}]


class Listening:
    draining = False

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.gone: dict[str, str] = {}
        self.begun: Counter[str] = Counter()

    def started(self, job: Job) -> None:
        self.begun[job.name] += 1

    def heard(self, job: Job, messages: list[Message]) -> None:
        self.said += [message["said"] for message in messages]

    def lost(self, job: Job, reason: str, log: str) -> None:
        self.gone[job.name] = reason


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_job_that_hangs_raises_or_dies_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hexsearch.backend.pool import run_jobs

    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # workers have to find this module
    names = ["hangs", "raises", "dies once", "works"]
    run = RunConfig(hang_timeout=15.0, retries=1, max_concurrent=2)
    listening = Listening()
    with ray_cluster(None, run):
        run_jobs([Deed(name, str(tmp_path)) for name in names], run, listening)
    assert listening.gone.keys() == {"hangs", "raises"}, listening.gone
    assert sorted(listening.said) == ["dies once", "works"]
    assert listening.gone["hangs"] == "no report within 15 s (run.hang_timeout)"
    assert "ValueError: no good" in listening.gone["raises"]
    assert listening.begun == {"hangs": 2, "raises": 2, "dies once": 2, "works": 1}
