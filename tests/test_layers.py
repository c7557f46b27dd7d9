"""Imports go in one direction: the code follows the tables in ARCHITECTURE.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hexsearch"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
FILES = sorted(PACKAGE.rglob("*.py"))


def table(heading: str) -> list[list[str]]:
    """Cells of the rows below a heading of ARCHITECTURE.md, without the table's own head."""
    section = ARCHITECTURE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def words(cell: str) -> set[str]:
    """Names between backquotes."""
    return {name.rstrip("/") for name in re.findall(r"`([^`]+)`", cell)}


MAY_IMPORT = {next(iter(words(row[0]))): words(row[2]) for row in table("Rooms")}
ONLY_IN = {next(iter(words(row[0]))): words(row[1]) for row in table("Packages with one home")}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_in_one_direction(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    room = place.parts[0].removesuffix(".py")
    inside = {name.split(".")[1] for name in imports(path) if name.startswith("hexsearch.")}
    if room not in ("__init__", "__main__"):
        assert inside <= MAY_IMPORT[room] | {room}
    outside = {name.split(".")[0] for name in imports(path)}
    for package, homes in ONLY_IN.items():
        inside_of = {str(place), *(str(parent) for parent in place.parents)}
        assert package not in outside or inside_of & homes, package


def test_the_table_names_every_room_and_no_other() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms - {"__init__", "__main__"} == set(MAY_IMPORT)


def test_no_room_imports_one_that_stands_below_it_in_the_table() -> None:
    order = list(MAY_IMPORT)
    for room, allowed in MAY_IMPORT.items():
        assert all(order.index(other) < order.index(room) for other in allowed), room


def test_no_folder_holds_more_than_fifteen_modules_or_so() -> None:
    for folder in {path.parent for path in FILES}:
        assert len([path for path in folder.glob("*.py") if path.stem != "__init__"]) <= 16, folder


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_every_module_that_architecture_names_exists() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]*[a-z_]+\.py)`", ARCHITECTURE))
    assert named
    for name in named:
        assert (PACKAGE / name).exists() or (ROOT / name).exists(), name
