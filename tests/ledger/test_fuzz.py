"""Damaged study folders give typed errors and never new files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hexsearch.cli.main import main
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import _frame
from tests.search.simulation import OPENED, make_engine, run_serially, study_config

SLOW = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated study, with its description and a file of a trial."""
    folder = StudyFolder(tmp_path_factory.mktemp("sound") / "study")
    config = study_config(run={"trials": 6})
    folder.write_description(config, ["starter"], "0" * 32)
    run_serially(make_engine(folder.ledger, config))
    OPENED.pop().close()
    folder.trial("t0000").mkdir(parents=True, exist_ok=True)
    (folder.trial("t0000") / "checkpoint.pt").write_bytes(b"weights")
    return folder.path


@st.composite
def accident(draw: st.DrawFn) -> tuple[str, int, int, bytes]:
    name = draw(st.sampled_from(["study.yaml", "ledger.jsonl"]))
    junk = draw(st.binary(max_size=20) | st.sampled_from([b"\n", b"{}", b"null", b"3", b'"x"']))
    return name, draw(st.integers(0, 10**6)), draw(st.integers(0, 200)), junk


@pytest.mark.slow
@given(
    accidents=st.lists(accident(), min_size=1, max_size=3),
    command=st.sampled_from(
        [["resume"], ["leaderboard"], ["leaderboard", "--format", "json"], ["export"], ["storage"]]
    ),
)
@SLOW
def test_no_damage_to_a_study_shows_a_traceback_or_loses_a_file(
    sound: Path,
    tmp_path: Path,
    accidents: list[tuple[str, int, int, bytes]],
    command: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = tmp_path / "study"
    shutil.rmtree(study, ignore_errors=True)
    shutil.copytree(sound, study)
    for name, at, length, junk in accidents:
        content = (study / name).read_bytes()
        at %= len(content) + 1
        (study / name).write_bytes(content[:at] + junk + content[at + length :])
    status = main([command[0], str(study), *command[1:]])
    said = capsys.readouterr().err
    assert status in (0, 1, 2) and "bug of hexsearch" not in said, said
    assert (study / "trials" / "t0000" / "checkpoint.pt").read_bytes() == b"weights"


@pytest.mark.slow
@given(
    record=st.dictionaries(
        st.sampled_from(["event", "trial", "values", "report", "at", "state", "number", "x"]),
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just({}) | st.just([]),
    )
)
@SLOW
def test_a_record_of_a_valid_checksum_that_makes_no_sense_is_a_typed_error(
    sound: Path, tmp_path: Path, record: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    shutil.rmtree(study, ignore_errors=True)
    shutil.copytree(sound, study)
    lines = (study / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    body = json.dumps(record, separators=(",", ":")).encode()
    (study / "ledger.jsonl").write_bytes(b"".join(lines) + _frame(len(lines), body))
    assert main(["leaderboard", str(study)]) in (0, 1, 2)
    assert "bug of hexsearch" not in capsys.readouterr().err
