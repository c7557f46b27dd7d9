"""Damaged checkpoints are read correctly or refused with typed errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import build_archive
from hexsearch.data.dataset import Dataset
from hexsearch.errors import CheckpointError, TrialError
from hexsearch.training.checkpoint import load_checkpoint, load_last_good, save_checkpoint
from hexsearch.training.stored_trial import read_stored_trial
from hexsearch.training.trial import Trial
from tests.data.games import random_games
from tests.fuzzing import SHORT, for_minutes
from tests.training.trials import make

Place = tuple[Any, ...]  # keys and indices that lead to a part of a state

CONTENT: dict[str, Any] = {
    "state": {"network": {"weight": torch.arange(200.0)}, "positions_seen": 64, "seed": 1},
    "report": '{"value_loss": 0.2}',
}
JUNK: st.SearchStrategy[object] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | st.text(max_size=6)
    | st.just([])
    | st.just({})
    | st.just(torch.zeros(2))
)


@st.composite
def damages(draw: st.DrawFn) -> tuple[int, int, bytes, bool]:
    """Where, how many bytes go, which come, and whether the rest is cut off."""
    at, cut = draw(st.integers(0, 10_000)), draw(st.integers(0, 400))
    return at, cut, draw(st.binary(max_size=60)), draw(st.booleans())


@cache
def trained() -> tuple[Dataset, dict[str, Any]]:
    """Games, and the state of a trial in the middle of its training."""
    dataset = Dataset(build_archive(random_games(60, size=5)), DataConfig(board_size=5))
    trial = make(dataset)
    trial.train_to(128)
    trial.report()
    return dataset, trial.state()


def places(value: object, at: Place = ()) -> Iterator[Place]:
    """Where something may stand in a state."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            yield from places(inner, (*at, index))


def with_junk(value: Any, at: Place, junk: object) -> Any:
    """The same state with something else in one place."""
    if not at:
        return junk
    if isinstance(value, dict):
        return {key: with_junk(v, at[1:], junk) if key == at[0] else v for key, v in value.items()}
    return [with_junk(v, at[1:], junk) if i == at[0] else v for i, v in enumerate(value)]


def check_continuing(path: Path, number: int, junk: object) -> None:
    """A trial goes on from its last good checkpoint, whatever stands in a place of the newest."""
    dataset, state = trained()
    every = list(places(state))
    save_checkpoint(path, {"state": state})
    save_checkpoint(path, {"state": with_junk(state, every[number % len(every)], junk)})

    def resumed(content: dict[str, Any]) -> Trial:
        trial = make(dataset)
        trial.load_state(content["state"])
        return trial

    trial, warnings = load_last_good(path, resumed)
    assert trial is not None and len(warnings) <= 1
    with suppress(TrialError):  # a weight may be nan, which only a step shows
        trial.train_to(192)
        trial.report()


STATES = (
    st.dictionaries(
        st.sampled_from(
            "config configs data archive encoder_version network positions_seen seed mode".split()
        ),
        JUNK,
    )
    | JUNK
)


def check_damage(path: Path, damage: tuple[int, int, bytes, bool]) -> None:
    at, cut, junk, truncate = damage
    save_checkpoint(path, CONTENT)
    whole = path.read_bytes()
    at %= len(whole)
    path.write_bytes(whole[:at] if truncate else whole[:at] + junk + whole[at + cut :])
    try:
        content = load_checkpoint(path)
    except CheckpointError as error:
        assert len(error.problems) == 1 and "\n" not in str(error)
    else:
        assert torch.equal(content["state"]["network"]["weight"], torch.arange(200.0))


def check_content(path: Path, state: object) -> None:
    save_checkpoint(path, {"state": state})
    with pytest.raises(CheckpointError):
        read_stored_trial(path)


@given(damage=damages())
@SHORT
def test_damage_is_found_or_does_no_harm(
    tmp_path: Path, damage: tuple[int, int, bytes, bool]
) -> None:
    check_damage(tmp_path / "c.pt", damage)


@given(state=STATES)
@SHORT
def test_any_content_is_taken_or_refused_in_typed_words(tmp_path: Path, state: object) -> None:
    check_content(tmp_path / "c.pt", state)


@given(number=st.integers(0, 2**20), junk=JUNK)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_trial_goes_on_from_the_checkpoint_before_one_with_foreign_content(
    tmp_path: Path, number: int, junk: object
) -> None:
    check_continuing(tmp_path / "c.pt", number, junk)


@pytest.mark.parametrize("name", ["exp_avg", "exp_avg_sq", "step", "lr", "betas", "positions_seen"])
@pytest.mark.parametrize("junk", [torch.zeros(0), None, "x"])
def test_a_state_that_would_end_the_process_at_its_next_step_is_not_continued(
    tmp_path: Path, name: str, junk: object
) -> None:
    every = list(places(trained()[1]))
    check_continuing(tmp_path / "c.pt", next(n for n, at in enumerate(every) if name in at), junk)


@pytest.mark.slow
def test_no_trial_fails_after_foreign_content_for_minutes(tmp_path: Path) -> None:
    for_minutes(
        "states of trials (one place changed)",
        lambda number, junk: check_continuing(tmp_path / "c.pt", number, junk),
        at_once=20,
        number=st.integers(0, 2**20),
        junk=JUNK,
    )


@pytest.mark.slow
def test_no_checkpoint_is_misread_for_minutes(tmp_path: Path) -> None:
    def check(damage: tuple[int, int, bytes, bool], state: object) -> None:
        check_damage(tmp_path / "c.pt", damage)
        check_content(tmp_path / "c.pt", state)

    for_minutes(
        "checkpoints (each damaged, and with foreign content)",
        check,
        damage=damages(),
        state=STATES,
    )
