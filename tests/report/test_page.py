from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexsearch.cli.main import main
from hexsearch.data.archive import build_archive
from hexsearch.errors import LedgerError
from hexsearch.ledger.events import Failed, Started, StudyOpened, Suggested
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger
from hexsearch.report.html.page import write_report
from tests.data.games import random_games
from tests.leaderboard.test_leaderboard import Study
from tests.report.studies import ALL_PHASES, trained_study

# Addresses that a browser would fetch; names of XML and licences in comments are none.
_FETCHED = re.compile(r"""(?:src|href)\s*=\s*["'](?:https?:)?//|@import|url\(\s*["']?https?:""")
SECTIONS = ("leaderboard", "curves", "settings", "errors", "boards", "health", "comparison",
            "confirmation", "repeat")  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A real study with all phases on 5x5 games."""
    raw = {**ALL_PHASES, "data": {"board_size": 5}}
    archive = build_archive(random_games(300, size=5))
    return trained_study(tmp_path_factory.mktemp("results") / "small", archive, raw)


def data_of(page: str) -> dict[str, Any]:
    """What the page's charts are drawn from."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    document: dict[str, Any] = json.loads(found.group(1))
    return document


def page_of(folder: StudyFolder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture
def study(tmp_path: Path) -> Any:
    made = Study(tmp_path)
    yield made
    made.ledger.close()


def test_the_page_of_a_real_study_has_every_section_and_fetches_nothing(
    trained: StudyFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(trained.path)]) == 0
    path = trained.path / "report.html"
    assert capsys.readouterr().out.strip() == str(path)
    page = path.read_text(encoding="utf-8")
    for name in SECTIONS:
        assert f'<section id="{name}">' in page, name
    assert not _FETCHED.search(page)
    assert "<svg" in page and "Apache License" in page
    assert path.stat().st_size < 3_000_000
    document = data_of(page)
    assert document["answers"]["calibrations"] and document["health"]
    assert document["settings"]["importances"]["overall"]
    assert any(curve["status"] == "pruned" for curve in document["curves"]["curves"])
    assert "predicts the winner best" in page and "python run_search.py launch small.yaml" in page


def test_curves_and_settings_hold_what_the_trials_reported(trained: StudyFolder) -> None:
    document = data_of(page_of(trained))
    curves = {curve["trial"]: curve for curve in document["curves"]["curves"]}
    point = document["settings"]["points"][0]
    curve = curves[point["trial"]]
    at = curve["positions"].index(document["settings"]["positions"])
    assert point["losses"]["overall"] == curve["losses"]["overall"][at]
    assert curve["positions"] == sorted(curve["positions"])
    assert {s["name"] for s in document["settings"]["settings"]} == set(ALL_PHASES["search"])


def test_another_file_can_be_named(study: Study, tmp_path: Path) -> None:
    study.trial({90: 0.2}, "complete")
    study.ledger.close()
    output = tmp_path / "elsewhere.html"
    assert main(["report", str(study.folder.path), "--output", str(output)]) == 0
    assert output.exists() and not (study.folder.path / "report.html").exists()


def test_a_running_study_says_that_its_answer_is_for_now(study: Study) -> None:
    study.trial({10: 0.22, 90: 0.2})
    page = page_of(study.folder)  # the ledger is still held
    assert "study: running" in page
    assert "so far predicts the winner best" in page


def test_an_empty_study_has_a_page_without_an_answer(study: Study) -> None:
    study.ledger.close()
    page = page_of(study.folder)
    assert "No trial has begun yet." in page and "study: interrupted" in page
    assert "prior" in page


def test_a_study_of_failures_shows_their_reasons(study: Study) -> None:
    for rate in (1.0, 2.0):
        study.trial({}, "fail", lr=rate)
    study.ledger.close()
    page = page_of(study.folder)
    assert "All 2 trials failed." in page and "nan: loss is not finite" in page


def test_text_from_a_study_is_never_markup(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "study")
    ledger = Ledger(folder.ledger)
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!-- library -->"
    ledger.append(StudyOpened(trials=1, config={"question": bad}, warnings=[bad]))
    ledger.append(
        Suggested(trial="t0000", number=0, variant="v", replicate=0, seed=0, origin="tpe",
                  head=bad, values={"value_head": bad}, config={})
    )  # fmt: skip
    ledger.append(Started(trial="t0000", attempt=1))
    ledger.append(Failed(trial="t0000", reason=bad, log=bad))
    ledger.close()
    page = page_of(folder)
    assert "<script>alert" not in page and "<img src=x" not in page
    # The library stands where it belongs, and only there.
    assert page.count("Licensed to the Apache Software Foundation") == 1
    assert page.index("Licensed to the Apache") > page.index('id="data"')


def test_of_many_trials_some_are_drawn_and_the_page_says_so(study: Study) -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        study.trial({10: 0.2 + 0.01 * rng.random()}, "prune", lr=float(rng.random()))
    study.trial({10: 0.2, 90: 0.15}, "complete", lr=0.5)
    study.ledger.close()
    page = page_of(study.folder)
    document = data_of(page)
    assert "120 of 401 curves are drawn" in page and "101 more rows are not shown" in page
    assert len(document["curves"]["curves"]) == 120
    assert any(curve["leader"] == 0 for curve in document["curves"]["curves"])
    assert document["settings"]["importances"]["overall"][0]["share"] < 0.2


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is this a study folder"):
        write_report(StudyFolder(tmp_path))
