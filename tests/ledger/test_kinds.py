"""Records that other programs or hands have written: typed errors that name the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hexsearch.errors import LedgerError
from hexsearch.ledger.events import Chosen, Event, Reported, StudyOpened, Suggested, Told, event_of
from hexsearch.ledger.history import StudyHistory
from hexsearch.ledger.kinds import misfit
from hexsearch.ledger.ledger import Ledger, read_events
from hexsearch.ledger.place import Place
from hexsearch.ledger.report import ReportSummary
from tests.search.simulation import report, report_json

SUGGESTED = Suggested(
    trial="t0000", number=0, variant="v", replicate=0, seed=1, head="512->1", values={}, config={},
    origin="tpe",
)  # fmt: skip
PLACE = {"variant": "v", "name": "v", "value_loss": 0.2, "expected_value_loss": 0.2, "seeds": 2}
TOLD, CHOSEN = Told(trial="t0000", state="COMPLETE"), Chosen(places=[Place("v", "v", 0.2, 0.2, 2)])
SOUND = {event.event: event for event in (SUGGESTED, TOLD, CHOSEN, StudyOpened())}


def test_what_hexsearch_writes_fits() -> None:
    for event in (*SOUND.values(), StudyOpened(), Reported(trial="t0000", report=report(64, 0.2))):
        assert misfit(event) is None
        # As text: a figure may be nan, which is not equal to itself (Python 3.13).
        assert repr(event_of(event.to_record(), "line 1")) == repr(event)


@pytest.mark.parametrize(
    ("event", "field", "value"),
    [
        ("suggested", "number", "0"),
        ("suggested", "seed", None),
        ("suggested", "values", []),
        ("suggested", "head", 3),
        ("told", "state", None),
        ("told", "at", "noon"),
        ("told", "at", 10**40),
        ("suggested", "replicate", -(1 << 63)),
        ("chosen", "places", [{}]),
        ("chosen", "places", 3),
        ("chosen", "places", [{**PLACE, "variant": {}}]),
        ("chosen", "places", [{**PLACE, "value_loss": None}]),
        ("study", "config", {"data": 3}),
        ("study", "config", {"search": {"batch_size": []}}),
        ("study", "config", {"phases": "search"}),
        ("told", "trial", 3),
        ("told", "trial", "../../x"),
        ("told", "trial", ".."),
        ("told", "trial", ""),
        ("told", "trial", "t0000\n"),
        ("told", "trial", "\x1b[2J"),
    ],
)
def test_a_value_of_another_kind_is_named(event: str, field: str, value: object) -> None:
    record = {**SOUND[event].to_record(), field: value}
    with pytest.raises(
        LedgerError, match=rf"line 7: this hexsearch does not know the record \(.*{field}"
    ):
        event_of(record, "line 7")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"positions_seen": "x"}, "report.positions_seen"),
        ({"value_loss": "x"}, "report.metrics.overall.value_loss"),
        ({"verdict": 3}, "report.verdict"),
        ({"auxiliary_losses": {"a": "x"}}, "report.auxiliary_losses"),
        ({"timings": {"train_s": "x", "evaluate_s": 0.0, "positions_per_s": 1.0}}, "train_s"),
    ],
)
def test_a_report_is_looked_into(change: dict[str, Any], named: str) -> None:
    record = {"event": "reported", "trial": "t0000", "report": {**report_json(64, 0.2), **change}}
    with pytest.raises(LedgerError, match=named):
        event_of(record, "line 7")


def test_a_figure_that_is_not_known_is_no_fault() -> None:
    raw = {**report_json(64, 0.2), "games": None, "auc": None}
    assert misfit(ReportSummary.from_json(raw)) is None


@pytest.mark.parametrize("event", [Told(trial="t0009", state="FAIL"), StudyOpened(baselines=[{}])])
def test_a_record_that_does_not_fit_those_before_it_is_named_by_its_line(event: Event) -> None:
    with pytest.raises(LedgerError, match=rf"ledger\.jsonl line 2: '{event.event}' does not fit"):
        StudyHistory.of([SUGGESTED, event])


@pytest.mark.parametrize("content", [b"junk\n", b"\x00" * 100, b"{}\n", b"torn"])
def test_a_ledger_without_a_whole_record_is_refused_and_left_as_it_is(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)
    for read in (Ledger, read_events):
        with pytest.raises(LedgerError, match="holds no complete record; restore it from a copy"):
            read(path)
    assert path.read_bytes() == content
