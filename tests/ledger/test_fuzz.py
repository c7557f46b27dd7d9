"""Damaged study folders give typed errors and never new files."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.cli.main import main
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.ledger import read_ledger
from hexsearch.ledger.lines import frame
from tests.fuzzing import SHORT, for_minutes
from tests.search.simulation import OPENED, make_engine, run_serially, study_config


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


ACCIDENTS = st.lists(accident(), min_size=1, max_size=3)
PLACES, STEPS = st.integers(0, 200), st.lists(st.integers(0, 30), min_size=1, max_size=5)
COMMANDS = st.sampled_from(
    [["resume"], ["leaderboard"], ["leaderboard", "--format", "json"], ["export"], ["storage"]]
)
RECORDS: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(["event", "trial", "values", "report", "at", "state", "number", "x"]),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["suggested", "reported", "told", "decided", "study", "chosen", "t0000"])
    | st.text(max_size=5)
    | st.just({})
    | st.just([]),
)
JUNK: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["../../x", "\x1b[2J", "[/b]", -1, 10**40, 1e308]),
    st.builds(dict),
    st.builds(list),
    st.just({"a": [None]}),
)
Accidents = list[tuple[str, int, int, bytes]]


def copied(sound: Path, study: Path) -> None:
    shutil.rmtree(study, ignore_errors=True)
    shutil.copytree(sound, study)


def run(command: list[str], study: Path) -> None:
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        status = main([command[0], str(study), *command[1:]])
    assert status in (0, 1, 2) and "bug of hexsearch" not in said.getvalue(), said.getvalue()
    assert "Traceback" not in said.getvalue() and "\x1b[2J" not in said.getvalue()
    assert (study / "trials" / "t0000" / "checkpoint.pt").read_bytes() == b"weights"


def check_folder(sound: Path, study: Path, accidents: Accidents, command: list[str]) -> None:
    copied(sound, study)
    for name, at, length, junk in accidents:
        content = (study / name).read_bytes()
        at %= len(content) + 1
        (study / name).write_bytes(content[:at] + junk + content[at + length :])
    run(command, study)


def check_ledger(sound: Path, study: Path, record: dict[str, object], place: int) -> None:
    """A record of a valid checksum that makes no sense, in the place of another or at the end."""
    copied(sound, study)
    lines = (study / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    place %= len(lines) + 1
    body = json.dumps(record, separators=(",", ":")).encode()
    lines[place : place + 1] = [frame(place, body)]
    (study / "ledger.jsonl").write_bytes(b"".join(lines))
    run(["leaderboard"], study)


def check_field(
    sound: Path, study: Path, place: int, steps: list[int], value: object, command: list[str]
) -> None:
    """A record that is as it was but for one field, whose checksum is that of the change."""
    copied(sound, study)
    records = read_ledger(study / "ledger.jsonl")
    node: Any = records[place % len(records)]
    for depth, step in enumerate(steps):
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[step % len(keys)]
        inner = node[key]
        if depth == len(steps) - 1 or not isinstance(inner, dict | list) or not inner:
            node[key] = value
            break
        node = inner
    bodies = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    lines = [frame(number, body) for number, body in enumerate(bodies)]
    (study / "ledger.jsonl").write_bytes(b"".join(lines))
    run(command, study)


@given(accidents=ACCIDENTS, command=COMMANDS)
@SHORT
def test_no_damage_to_a_study_shows_a_traceback_or_loses_a_file(
    sound: Path, tmp_path: Path, accidents: Accidents, command: list[str]
) -> None:
    check_folder(sound, tmp_path / "study", accidents, command)


@given(record=RECORDS, place=st.integers(0, 200))
@SHORT
def test_a_record_of_a_valid_checksum_that_makes_no_sense_is_a_typed_error(
    sound: Path, tmp_path: Path, record: dict[str, object], place: int
) -> None:
    check_ledger(sound, tmp_path / "study", record, place)


@given(place=PLACES, steps=STEPS, value=JUNK, command=COMMANDS)
@SHORT
def test_a_record_with_one_field_changed_is_read_or_refused_in_typed_words(
    sound: Path, tmp_path: Path, place: int, steps: list[int], value: object, command: list[str]
) -> None:
    check_field(sound, tmp_path / "study", place, steps, value, command)


@pytest.mark.slow
def test_no_changed_field_shows_a_traceback_for_minutes(sound: Path, tmp_path: Path) -> None:
    check = partial(check_field, sound, tmp_path / "study")
    for_minutes("fields of ledgers", check, place=PLACES, steps=STEPS, value=JUNK, command=COMMANDS)


@pytest.mark.slow
def test_no_damage_to_a_study_shows_a_traceback_for_minutes(sound: Path, tmp_path: Path) -> None:
    check = partial(check_folder, sound, tmp_path / "study")
    for_minutes("study folders", check, accidents=ACCIDENTS, command=COMMANDS)


@pytest.mark.slow
def test_no_foreign_record_shows_a_traceback_for_minutes(sound: Path, tmp_path: Path) -> None:
    check = partial(check_ledger, sound, tmp_path / "study")
    for_minutes("ledgers", check, record=RECORDS, place=st.integers(0, 200))
