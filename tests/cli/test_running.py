"""Messages at the end of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.cli.running import finish
from hexsearch.ledger.folder import StudyFolder
from hexsearch.search.engine import Job
from tests.search.simulation import OPENED, make_engine, run_serially, study_config


@pytest.mark.parametrize("fails", [True, False])
def test_a_study_in_which_every_trial_failed_exits_with_1_and_says_why(
    tmp_path: Path, fails: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = StudyFolder(tmp_path / "s")
    engine = make_engine(folder.ledger, study_config(run={"trials": 3}))
    if fails:
        while isinstance(job := engine.next_job(), Job):
            engine.start(job.name)
            engine.fail(job.name, "nan: its loss is not finite")
            engine.release(job.name)
    else:
        run_serially(engine)
    OPENED.pop().close()
    assert finish(folder, "finished") == (1 if fails else 0)
    said = capsys.readouterr().err
    assert ("every trial failed" in said and "nan: its loss" in said) == fails
