from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hexsearch"
ERRORS = {"errors"}
MAY_IMPORT = {
    "errors": set(),
    "game": ERRORS,
    "config": ERRORS | {"game"},
    "data": ERRORS | {"game", "config"},
    "model": ERRORS | {"config"},
    "training": ERRORS | {"game", "config", "data", "model"},
    "analysis": ERRORS | {"game", "config", "data", "model", "training"},
    "search": ERRORS | {"game", "config", "data", "model", "training"},
    "reporting": ERRORS | {"game", "search", "training", "analysis"},
    "cli": ERRORS
    | {"config", "game", "data", "model", "training", "analysis", "search", "reporting"},
}
ONLY_IN = {
    "yaml": {"config/load.py"},
    "optuna": {"search/optuna_model.py", "search/optuna_storage.py"},
    "ray": {f"search/{name}.py" for name in ("ray_tune", "cluster", "nodes", "pool", "worker")},
    "pyspiel": {"data/selfplay.py"},
    "sqlalchemy": {"search/optuna_storage.py"},
    "pyarrow": {"search/storage.py"},
    "fsspec": {"search/storage.py"},
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_in_one_direction(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    room = place.parts[0].removesuffix(".py")
    inside = {name.split(".")[1] for name in imports(path) if name.startswith("hexsearch.")}
    if room != "__init__":
        assert inside <= MAY_IMPORT[room] | {room}
    outside = {name.split(".")[0] for name in imports(path)}
    for package, homes in ONLY_IN.items():
        assert package not in outside or str(place) in homes, package


def test_the_table_names_every_room() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms - {"__init__"} == set(MAY_IMPORT)
