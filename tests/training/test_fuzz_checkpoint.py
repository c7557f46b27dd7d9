"""Damaged checkpoints are read correctly or refused with typed errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.errors import CheckpointError
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.stored_trial import read_stored_trial
from tests.fuzzing import SHORT, for_minutes

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
