from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hexsearch.cli.main import main
from hexsearch.config.data import StagesConfig
from hexsearch.data.archive import build_archive, open_archive
from hexsearch.data.collection.audit import audit_archive
from hexsearch.data.collection.import_report import ImportReport
from hexsearch.errors import LedgerError
from hexsearch.leaderboard.strength import PlayedMatch, Strength
from hexsearch.ledger.events import Failed, Finished, Started, StudyOpened, Suggested
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import Ledger
from hexsearch.report.html.page import write_report
from tests.data.games import random_games
from tests.leaderboard.studies import Study
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
    assert "predicts the winner best" in page and "hexsearch launch small.yaml" in page


def test_curves_and_settings_hold_what_the_trials_reported(trained: StudyFolder) -> None:
    document = data_of(page_of(trained))
    curves = {curve["trial"]: curve for curve in document["curves"]["curves"]}
    point = document["settings"]["points"][0]
    curve = curves[point["trial"]]
    at = curve["positions"].index(document["settings"]["positions"])
    assert point["losses"]["overall"] == curve["losses"]["overall"][at]
    assert curve["positions"] == sorted(curve["positions"])
    assert {s["name"] for s in document["settings"]["settings"]} == set(ALL_PHASES["search"])


def section_of(page: str, name: str) -> str:
    """The text of one section, without its tags."""
    found = re.search(rf'<section id="{name}">(.*?)</section>', page, re.S)
    assert found is not None, name
    return re.sub(r"<[^>]+>", " ", found.group(1))


def test_the_section_on_games_is_their_audit(trained: StudyFolder) -> None:
    archive = open_archive(trained.archive)
    audit = audit_archive(archive, ImportReport(), StagesConfig(), baselines=False)
    page = page_of(trained)
    text = " ".join(section_of(page, "games").split())
    blue, red = audit.winners["blue"], audit.winners["red"]
    assert f"winners Blue {blue:,}, Red {red:,} (" in text
    assert f"length of games {archive.lengths.min()} to {archive.lengths.max()} moves" in text
    assert f"moves after which nearly all games differ {audit.fingerprint_ply};" in text
    stages = ", ".join(f"{name} {count:,}" for name, count in audit.stages.items())
    assert f"positions by stage {stages}" in text
    assert (
        "leak of the winner none: curriculum all:" in text and "curriculum penultimate" not in text
    )
    assert "hexsearch games audit games.trmph" in text
    assert page.count("<svg") == 2  # boards with predictions, and first moves
    assert sum(data_of(page)["games"]["counts"]) == len(archive)


def test_the_games_that_repeat_others_are_counted(tmp_path: Path) -> None:
    games = random_games(40, size=5)
    raw = {**ALL_PHASES, "data": {"board_size": 5}, "phases": ["search"]}
    folder = trained_study(tmp_path / "study", build_archive([*games, *games[:3]]), raw, jobs=0)
    text = " ".join(section_of(page_of(folder), "games").split())
    assert "games that repeat another 3 exact moves after" in text


def test_the_section_on_a_match_holds_its_ratings(study: Study) -> None:
    heads = [study.trial({90: loss}, "complete") for loss in (0.16, 0.17, 0.18)]
    study.ledger.close()
    assert '<section id="match">' not in page_of(study.folder)
    players = [
        Strength(trial, f"512->{place}->1", 0.16 + place / 100, 50.0 - 50.0 * place,
                 20.0 - 50.0 * place, 80.0 - 50.0 * place, 60, 0.6 - place / 10, 1.25)
        for place, trial in enumerate(heads)
    ]  # fmt: skip
    match = PlayedMatch(tuple(reversed(players)), openings=15)
    study.folder.match.write_text(json.dumps(match.to_json()), encoding="utf-8")
    page = page_of(study.folder)
    text = " ".join(html.unescape(section_of(page, "match")).split())
    assert "512->0->1 t0000 +50 +20 to +80 60.0% 60 .1600 1.2" in text
    assert text.index("t0000") < text.index("t0001") < text.index("t0002")  # the strongest first
    assert "match: 512->0->1 plays strongest, +50 Elo (+20 to +80) over 3 networks" in text
    assert "value loss predicts strength" in text
    study.folder.match.write_text("{", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"match\.json: is damaged"):
        page_of(study.folder)


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
    assert "The study cost 1 trial (1 running)" in page


def test_no_trial_of_a_study_that_was_killed_is_said_to_run(study: Study) -> None:
    study.trial({10: 0.22, 90: 0.2}, "complete")
    study.trial({10: 0.22})
    study.ledger.close()  # as the system does for a process that is killed
    page = page_of(study.folder)
    assert "The study cost 2 trials (1 completed, 1 interrupted)" in page


def test_an_empty_study_has_a_page_without_an_answer(study: Study) -> None:
    study.ledger.close()
    page = page_of(study.folder)
    assert "No trial has begun yet." in page and "study: interrupted" in page
    assert "prior" in page


def test_a_study_of_failures_shows_their_reasons(study: Study) -> None:
    for rate in (1.0, 2.0):
        study.trial({}, "fail", lr=rate)
    study.ledger.append(Finished())
    study.ledger.close()
    page = page_of(study.folder)
    assert "All 2 trials failed." in page and "nan: loss is not finite" in page
    assert "study: finished, without a result" in page


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
