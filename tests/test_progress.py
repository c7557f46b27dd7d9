"""Progress lines."""

from __future__ import annotations

from hexsearch.progress import at_intervals


def test_progress_is_said_once_in_each_interval_and_not_at_every_step() -> None:
    said: list[str] = []
    now = 0.0
    watch = at_intervals(said.append, "openings played", 60.0, clock=lambda: now)
    for done, at in ((0, 0.0), (1, 59.0), (2, 61.0), (3, 62.0), (1_200, 125.0)):
        now = at
        watch(done, 4_000)
    assert said == [
        "2 of 4,000 openings played, about 33.9 h left",
        "1,200 of 4,000 openings played, about 5 min left",
    ]


def test_the_time_left_is_not_guessed_in_the_first_seconds_or_before_anything_is_done() -> None:
    said: list[str] = []
    now = 0.0
    watch = at_intervals(said.append, "files read", 3.0, clock=lambda: now)
    for done, at in ((1, 4.0), (0, 12.0), (40, 20.0)):
        now = at
        watch(done, 40)
    assert said == ["1 of 40 files read", "0 of 40 files read", "40 of 40 files read"]
