"""Progress lines."""

from __future__ import annotations

from hexsearch.data.collection.import_report import at_intervals


def test_progress_is_said_once_in_each_interval_and_not_at_every_step() -> None:
    said: list[str] = []
    now = 0.0
    watch = at_intervals(said.append, "openings played", 60.0, clock=lambda: now)
    for done, at in ((0, 0.0), (1, 59.0), (2, 61.0), (3, 62.0), (1_200, 125.0)):
        now = at
        watch(done, 4_000)
    assert said == ["2 of 4,000 openings played", "1,200 of 4,000 openings played"]
