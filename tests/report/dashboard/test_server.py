from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hexsearch.cli.main import main
from hexsearch.ledger.events import Finished
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.progress import StudyProgress, TrialProgress, store_progress
from tests.leaderboard.studies import Study
from tests.report.dashboard.serving import Events, ask, served

SECRET = "what nobody should read"


@pytest.fixture
def results(tmp_path: Path) -> Iterator[Path]:
    """A running, a finished and a killed study; beside them what must not be served."""
    folder = tmp_path / "results"
    studies = {name: Study(folder, name) for name in ("killed", "finished", "running")}
    for number, study in enumerate(studies.values()):
        study.trial({10: 0.22, 90: 0.2 - 0.01 * number}, "complete")
        study.trial({10: 0.25})
    studies["finished"].ledger.append(Finished())
    for name in ("finished", "killed"):
        studies[name].ledger.close()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "ledger.jsonl").write_text(SECRET)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "notes.txt").write_text(SECRET)
    (folder / "plain").mkdir()
    yield folder
    studies["running"].ledger.close()


@pytest.fixture
def port(results: Path) -> Iterator[int]:
    with served(results) as port:
        yield port


def test_three_studies_of_a_folder_are_listed_with_their_states(port: int) -> None:
    status, page = ask(port, "/")
    assert status == 200
    for name in ("killed", "finished", "running"):
        assert f'<a href="study/{name}/">{name}</a>' in page
        assert f'<td class="state {name}">{name}</td>' in page
    assert page.count('<td class="state ') == 3  # neither a link nor a folder without a ledger


def test_a_study_shows_the_sections_of_its_report(port: int) -> None:
    status, page = ask(port, "/study/finished/")
    assert status == 200
    for section in ("leaderboard", "curves", "settings", "repeat"):
        assert f'<section id="{section}">' in page
    assert '<section id="live" class="finished"' in page
    assert 'new EventSource("events")' in page
    status, parts = ask(port, "/study/finished/parts")
    assert status == 200 and '"sections"' in parts


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/study/finished/", "/study/finished/parts"])
def test_only_get_is_answered(port: int, method: str, path: str) -> None:
    assert ask(port, path, method)[0] == 405


@pytest.mark.parametrize(
    "path",
    [
        "/study/../secret/",
        "/study/%2e%2e/",
        "/study/..%2Fsecret/",
        "/study/%2e%2e%2fsecret/parts",
        "/study/finished%2F..%2F..%2Fsecret/",
        "/study/finished/../../../secret/ledger.jsonl",
        "/study/link/",
        "/study/link/parts",
        "/study/plain/",
        "/study/%2Fetc%2Fpasswd/",
        "/study/finished/ledger.jsonl",
        "/study/finished%00/",
        "/notes.txt",
        "/../secret/ledger.jsonl",
        "//etc/passwd",
        "/study/.%5c..%5csecret/",
    ],
)
def test_what_lies_outside_of_the_studies_is_refused(port: int, path: str) -> None:
    status, body = ask(port, path)
    assert status == 404
    assert SECRET not in body and "root:" not in body


def test_another_name_that_points_here_is_refused(port: int) -> None:
    assert ask(port, "/", headers={"host": "evil.example"})[0] == 400
    assert ask(port, "/", headers={"host": "127.0.0.1:1"})[0] == 200


def test_a_study_whose_driver_is_gone_says_so_and_how_to_go_on(port: int, results: Path) -> None:
    _, page = ask(port, "/study/killed/")
    assert "its process has ended without a record" in page
    assert f"hexsearch resume {results / 'killed'}" in page
    assert "ended without a record" not in ask(port, "/study/running/")[1].partition("<header>")[0]


def test_progress_and_new_reports_are_told_as_they_come(port: int, results: Path) -> None:
    folder = StudyFolder(results / "running")
    events = Events(port, "/study/running/events")
    events.until("live", "t0001")
    for seen in (40, 60):
        running = {"t0001": TrialProgress(seen, 90, 90, 10.0)}
        store_progress(folder.progress, StudyProgress(0.0, running))
        live = events.until("live", f'seen">{seen}<')
        assert f"in 0:0{(90 - seen) // 10}" in live and f"{seen / 90:.0%}" in live
    events.close()


def test_a_change_of_the_ledger_is_told_with_a_stamp_that_pages_keep(
    port: int, results: Path
) -> None:
    events = Events(port, "/study/running/events")
    before = events.until("report")
    assert f'data-stamp="{before}"' in ask(port, "/study/running/")[1]
    ledger = StudyFolder(results / "running").ledger
    ledger.write_bytes(ledger.read_bytes())  # another time is news enough
    after = events.until("report")
    assert after != before
    events.close()
    assert f'"stamp":"{after}"' in ask(port, "/study/running/parts")[1]


def test_a_damaged_ledger_is_named_and_the_other_studies_are_shown(
    port: int, results: Path
) -> None:
    ledger = results / "finished" / "ledger.jsonl"
    ledger.write_bytes(b"damaged\n" + ledger.read_bytes())
    status, page = ask(port, "/study/finished/")
    assert status == 200 and "damaged" in page
    status, page = ask(port, "/")
    assert status == 200 and "damaged" in page and 'href="study/running/"' in page


def test_optunas_own_dashboard_is_named_where_there_is_a_journal(port: int, results: Path) -> None:
    assert "optuna-dashboard" not in ask(port, "/study/finished/")[1]
    journal = results / "finished" / "optuna.journal"
    journal.touch()
    page = ask(port, "/study/finished/")[1]
    assert f"optuna-dashboard {journal}" in page and 'href="http://127.0.0.1:8080"' in page


def test_wrong_folders_and_taken_ports_are_one_line(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboard", str(results / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert main(["dashboard", str(results / "finished")]) == 2
    assert "is a study; give the folder that contains it" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["dashboard", str(results), "--port", str(port)]) == 2
    assert f"--port {port}: cannot be listened on" in capsys.readouterr().err
