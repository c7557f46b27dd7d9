"""The dashboard in headless Chromium: what is new appears without a reload."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hexsearch.ledger.progress import StudyProgress, TrialProgress, store_progress
from tests.leaderboard.studies import Study
from tests.report.browser import browser, look_at, needs_browser
from tests.report.dashboard.serving import served, wait_for

pytestmark = needs_browser
__all__ = ["browser"]  # a fixture


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """One that this process holds, as its driver would."""
    made = Study(tmp_path / "results", "mine")
    for number in range(4):
        made.trial({10: 0.24, 90: 0.2 + 0.01 * number}, "complete", lr=0.1 * (number + 1))
    made.trial({10: 0.25}, lr=0.7)
    yield made
    made.ledger.close()


@pytest.fixture
def port(study: Study) -> Iterator[int]:
    with served(study.folder.path.parent) as port:
        yield port


def text(browser: Any, selector: str) -> str:
    found: str | None = browser.execute_script(
        f"return document.querySelector({selector!r})?.innerText"
    )
    return found or ""


def shows(browser: Any, selector: str, wanted: str) -> bool:
    return text(browser, selector) == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_both_pages_fit_the_width_and_the_console_is_silent(
    browser: Any, port: int, scheme: str, width: int
) -> None:
    look_at(browser, scheme, width)
    for path in ("/", "/study/mine/"):
        browser.get(f"http://127.0.0.1:{port}{path}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    charts = browser.execute_script("return document.querySelectorAll('.chart').length")
    drawn = browser.execute_script("return document.querySelectorAll('.chart svg').length")
    assert drawn == charts > 3
    assert browser.get_log("browser") == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_progress_and_reports_appear_without_a_reload(
    browser: Any, port: int, study: Study
) -> None:
    browser.get(f"http://127.0.0.1:{port}/study/mine/")
    browser.execute_script("window.marker = 'the same page'")
    browser.execute_script(
        """const select = document.getElementById("curve-part");
        select.value = "late";
        select.dispatchEvent(new Event("change"));
        document.querySelector("#leaderboard-table tr.row").click();"""
    )
    opened = text(browser, "#leaderboard-table tr.row[aria-expanded=true] td:nth-child(2)")
    for seen in (30, 60):
        running = {"t0004": TrialProgress(seen, 90, 90, 10.0)}
        store_progress(study.folder.progress, StudyProgress(0.0, running))
        wait_for(partial(shows, browser, "#running td.seen", str(seen)))
    study.trial({10: 0.21, 90: 0.15}, "complete", lr=0.9)
    rows = "return document.querySelectorAll('#leaderboard-table tr.row').length"
    wait_for(lambda: browser.execute_script(rows) == 6)
    assert browser.execute_script("return window.marker") == "the same page"
    assert browser.execute_script("return document.getElementById('curve-part').value") == "late"
    still = "#leaderboard-table tr.row[aria-expanded=true] td:nth-child(2)"
    assert text(browser, still) == opened
    assert "t0005 completed: value loss 0.1500" in text(browser, "#live")
    assert browser.get_log("browser") == []


def test_a_driver_that_dies_is_missed_on_both_pages(browser: Any, port: int, study: Study) -> None:
    browser.get(f"http://127.0.0.1:{port}/")
    assert text(browser, "td.state") == "running"
    study.ledger.close()  # as the system does for a process that is killed
    wait_for(lambda: text(browser, "td.state") == "killed")
    browser.find_element("css selector", "#live a").click()
    wait_for(lambda: "its process has ended without a record" in text(browser, "#live"))
    assert "hexsearch resume" in text(browser, "#live")
