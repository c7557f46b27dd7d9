"""Damaged checkpoints are read correctly or refused with typed errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsearch.errors import CheckpointError
from hexsearch.training.checkpoint import load_checkpoint, save_checkpoint
from hexsearch.training.stored_trial import read_stored_trial

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


@pytest.mark.slow
@given(
    at=st.integers(0, 10_000),
    cut=st.integers(0, 400),
    junk=st.binary(max_size=60),
    truncate=st.booleans(),
)
@settings(
    max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damage_is_found_or_does_no_harm(
    tmp_path: Path, at: int, cut: int, junk: bytes, truncate: bool
) -> None:
    path = tmp_path / "c.pt"
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


@pytest.mark.slow
@given(data=st.data())
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_content_is_taken_or_refused_in_typed_words(
    tmp_path: Path, data: st.DataObject
) -> None:
    keys = ["config", "configs", "data", "archive", "encoder_version", "network", "positions_seen"]
    state = data.draw(st.dictionaries(st.sampled_from([*keys, "seed", "mode"]), JUNK) | JUNK)
    save_checkpoint(tmp_path / "c.pt", {"state": state})
    with pytest.raises(CheckpointError):
        read_stored_trial(tmp_path / "c.pt")
