"""The page in headless Chromium, opened from the disk without a network connection."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from hexsearch.data.archive import build_archive
from hexsearch.report.html.page import write_report
from tests.data.games import random_games
from tests.report.browser import browser, look_at, needs_browser, webdriver
from tests.report.studies import ALL_PHASES, trained_study

pytestmark = needs_browser
__all__ = ["browser"]  # a fixture


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a real study that was interrupted in its search."""
    raw = copy.deepcopy(ALL_PHASES)
    raw |= {"data": {"board_size": 5}, "phases": ["search"]}
    archive = build_archive(random_games(300, size=5))
    folder = trained_study(tmp_path_factory.mktemp("results") / "small", archive, raw, jobs=5)
    return write_report(folder).resolve()


@pytest.fixture(scope="module", autouse=True)
def offline(browser: Any) -> None:
    """The network is off."""
    nothing = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", nothing)


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get(page.as_uri())
    return browser


def drawn_charts(browser: Any) -> int:
    found: int = browser.execute_script(
        "return document.querySelectorAll('.chart svg, .chart canvas').length"
    )
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_it_opens_without_a_network_and_draws_every_chart_within_the_width(
    browser: Any, page: Path, scheme: str, width: int
) -> None:
    look_at(browser, scheme, width)
    browser.get(page.as_uri())
    charts = browser.execute_script("return document.querySelectorAll('.chart').length")
    assert drawn_charts(browser) == charts > 8
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_heading_sorts_the_table_and_a_row_opens_to_its_settings(opened: Any) -> None:
    def losses() -> list[float]:
        cells = "#leaderboard-table tr.row td:nth-child(3)"
        script = f"return [...document.querySelectorAll('{cells}')].map(c => c.dataset.sort)"
        return [float(loss) for loss in opened.execute_script(script) if loss is not None]

    heading = opened.find_element("css selector", "th[data-name=value_loss] button")
    heading.click()
    rising = losses()
    heading.click()
    assert rising == sorted(rising) and losses() == rising[::-1] and len(set(rising)) > 1
    row = opened.find_element("css selector", "#leaderboard-table tr.row")
    detail = opened.find_element("css selector", "#leaderboard-table tr.detail")
    assert not detail.is_displayed()
    row.click()
    assert detail.is_displayed()
    assert "optimiser.learning_rate" in detail.text and "checkpoint" in detail.text
    assert opened.get_log("browser") == []


def test_a_curve_shows_its_numbers_on_hover(opened: Any) -> None:
    # A point of the first leader's curve, in pixels of its chart.
    x, y = opened.execute_script(
        """const element = document.getElementById("chart-curves");
        element.scrollIntoView({block: "center"});
        const chart = echarts.getInstanceByDom(element);
        const curve = DATA.curves.curves.find((one) => one.leader === 0);
        const place = curve.positions.length - 1;
        const [x, y] = chart.convertToPixel({xAxisIndex: 0, yAxisIndex: 0},
            [curve.positions[place], curve.losses.overall[place]]);
        const box = element.getBoundingClientRect();
        return [Math.round(box.left + x), Math.round(box.top + y)];"""
    )
    actions = webdriver.ActionChains(opened)
    actions.w3c_actions.pointer_action.move_to_location(x - 3, y)
    actions.w3c_actions.pointer_action.move_to_location(x, y)
    actions.perform()
    text = opened.execute_script(
        "return [...document.querySelectorAll('#chart-curves div')].map(e => e.innerText).join(' ')"
    )
    assert "positions" in text and "overall 0." in text and "early 0." in text


def test_another_stage_redraws_the_curves(opened: Any) -> None:
    script = """const select = document.getElementById("curve-part");
        const first = () => echarts.getInstanceByDom(document.getElementById("chart-curves"))
            .getOption().series[0].data[0].value[1];
        const before = first();
        select.value = "late";
        select.dispatchEvent(new Event("change"));
        return [before, first()];"""
    before, after = opened.execute_script(script)
    assert before != after
