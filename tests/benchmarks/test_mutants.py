"""Mutants differ from the sound code in one place, take its place, and are undone afterwards."""

from __future__ import annotations

import ast
import inspect
import json
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import doctor_mutants
import pytest
from mutant_runs import Job, Result, Run, Sound, is_executed
from mutant_trials import digests, executed
from mutants import Mutant, install, mutants_of
from mutation_operators import OPERATORS, has_own_operator, places, replaced

from hexsearch.data import batch, batches, device, encoder, order
from hexsearch.model import policy_head, pooling
from hexsearch.training import heads, step
from tests.doctor.games import lopsided_games

EXAMPLES: dict[str, tuple[str, list[str]]] = {
    "arithmetic": ("x = a + b // c", ["x = a - b // c", "x = a + b % c"]),
    "comparison": ("x = a < b == c", ["x = a <= b == c", "x = a < b != c"]),
    "logic": ("x = a and b & c", ["x = a or b & c", "x = a and b | c"]),
    "negation left out": ("x = not a + ~b", ["x = a + ~b", "x = not a + b"]),
    "constant": (
        "x = f(0, 1, True, 5, 0.5)",
        [
            *(
                "x = f(1, 1, True, 5, 0.5)",
                "x = f(0, 0, True, 5, 0.5)",
                "x = f(0, 2, True, 5, 0.5)",
            ),
            *("x = f(0, 1, False, 5, 0.5)", "x = f(0, 1, True, 6, 0.5)"),
            *("x = f(0, 1, True, 10, 0.5)", "x = f(0, 1, True, 2, 0.5)"),
            *("x = f(0, 1, True, 5, 1.0)", "x = f(0, 1, True, 5, 0.25)"),
        ],
    ),
    "index": (
        "x = a[0] + a[:, -1] + a[2:n]",
        [
            *("x = a[-1] + a[:, -1] + a[2:n]", "x = a[0] + a[:, 0] + a[2:n]"),
            *("x = a[0] + a[:, -1] + a[3:n]", "x = a[0] + a[:, -1] + a[1:n]"),
            *("x = a[0] + a[:, -1] + a[2:n + 1]", "x = a[0] + a[:, -1] + a[2:n - 1]"),
        ],
    ),
    "arguments exchanged": ("x = f(a, b, c)", ["x = f(b, a, c)", "x = f(a, c, b)"]),
    "keyword left out": ("x = f(a, b=1, c=2)", ["x = f(a, c=2)", "x = f(a, b=1)"]),
    "statement left out": (
        "a.x = 1; b = 2; b += 1; f(b)",
        [
            *("pass; b = 2; b += 1; f(b)", "a.x = 1; b = 2; pass; f(b)"),
            *("a.x = 1; b = 2; b += 1; pass",),
        ],
    ),
    "reduction": ("x = min(a) + b.mean()", ["x = max(a) + b.mean()", "x = min(a) + b.sum()"]),
    "dimension": (
        "x = a.sum(0) + torch.cat(b, dim=-1)",
        ["x = a.sum(1) + torch.cat(b, dim=-1)", "x = a.sum(0) + torch.cat(b, dim=-2)"],
    ),
    "copy left out": ("x = a.clone() + deepcopy(b)", ["x = a + deepcopy(b)", "x = a.clone() + b"]),
}


def mutated(source: str, operator: str) -> list[str]:
    """The lines of a function after each mutation by one operator."""
    function = ast.parse(source).body[0]
    nodes = places(function)
    owned = has_own_operator(nodes) if operator == "constant" else set()
    return [
        ast.unparse(replaced(function, place, other))
        for place, node in enumerate(nodes)
        if id(node) not in owned
        for other in OPERATORS[operator](node)
    ]


def in_function(line: str) -> str:
    return ast.unparse(ast.parse(f"def f():\n    {line}"))


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_changes_each_place_by_itself(operator: str) -> None:
    line, expected = EXAMPLES[operator]
    found = mutated(in_function(line), operator)
    assert sorted(found) == sorted(in_function(other) for other in expected)


def test_annotations_decorators_and_messages_are_left_alone() -> None:
    source = '@wraps(f, 1)\ndef f(x: T[0]) -> T[1]:\n    raise E(f"{x + 1}", 1)'
    assert [mutated(source, operator) for operator in OPERATORS] == [[]] * len(OPERATORS)


def test_a_number_that_is_an_index_or_a_dimension_is_changed_by_one_operator() -> None:
    assert mutated(in_function("x = a[0].sum(1) + a[-1:]"), "constant") == []


def first(module: Any, where: str, operator: str) -> Mutant:
    """The first mutant of a function by one operator."""
    return next(
        mutant
        for mutant in mutants_of(module)
        if mutant.where.endswith(f".{where}") and mutant.operator == operator
    )


def test_a_function_is_replaced_where_other_modules_imported_it_and_put_back() -> None:
    mutant, sound = first(policy_head, "policy_loss", "arithmetic"), policy_head.policy_loss
    with pytest.MonkeyPatch.context() as patch:
        install(mutant, patch)
        new = policy_head.policy_loss
        assert new is not sound and vars(step)["policy_loss"] is new
        assert new.__code__.co_filename == inspect.getfile(policy_head)
        assert new.__globals__ is vars(policy_head)
    assert policy_head.policy_loss is sound and vars(step)["policy_loss"] is sound


@pytest.mark.parametrize(
    ("owner", "name", "operator"),
    [
        (batch.Batch, "value_target", "arithmetic"),  # a property
        (batch.Batch, "joined", "index"),  # a static method
        (batches.TrainingStream, "_smoothing", "constant"),  # a cached property
        (encoder.PositionEncoder, "of", "arguments exchanged"),  # a class method
        (device.DeviceGames, "__init__", "statement left out"),
    ],
)
def test_a_method_is_replaced_by_one_of_its_kind(owner: Any, name: str, operator: str) -> None:
    sound, module = vars(owner)[name], inspect.getmodule(owner)
    with pytest.MonkeyPatch.context() as patch:
        install(first(module, f"{owner.__name__}.{name}", operator), patch)
        assert vars(owner)[name] is not sound and type(vars(owner)[name]) is type(sound)
    assert vars(owner)[name] is sound


def test_a_method_that_calls_super_still_can() -> None:
    with pytest.MonkeyPatch.context() as patch:
        install(first(pooling, "MeanMaxPooling.__init__", "arithmetic"), patch)
        assert pooling.MeanMaxPooling(channels=4).outputs == 0.5
    assert pooling.MeanMaxPooling(channels=4).outputs == 8


def test_functions_that_other_rooms_imported_are_replaced_there_too() -> None:
    import hexsearch.interface.training_loop as elsewhere

    mutant, sound = first(order, "keyed_bits", "arithmetic"), order.keyed_bits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elsewhere, "copied", order.keyed_bits, raising=False)
        install(mutant, patch)
        assert vars(elsewhere)["copied"] is order.keyed_bits
        assert order.keyed_bits is not sound


def test_a_run_stops_at_the_last_that_matters_and_ends_what_hangs() -> None:
    mutants = [mutant for mutant in mutants_of(order)][:6]
    outcomes = ["equivalent", "matters", "ends", "hangs", "matters", "matters"]
    kept: list[Result] = []

    def judged(mutant: Mutant) -> Job:
        outcome = outcomes[mutants.index(mutant)]

        def job(out: Connection) -> None:
            if outcome == "hangs":
                threading.Event().wait()
            if outcome != "ends":
                out.send(Result(mutant.key, outcome))

        return job

    known = {mutants[0].key: Result(mutants[0].key, "equivalent")}
    drawn = Run(mutants, judged, known, kept.append, limit_s=1.0).until(2, workers=2)
    told = [result.outcome for _, result in drawn]
    assert told == ["equivalent", "matters", "crashes", "hangs", "matters"]
    assert mutants[0].key not in {result.key for result in kept}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_run_of_two_mutants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    games, path, lines = lopsided_games(200, 5), tmp_path / "results.jsonl", set[tuple[str, int]]()
    with executed(lines, lambda file: "hexsearch" in file):
        own = digests(games, ["default"])
    sound = Sound(own, frozenset(lines), {"default": []}, {"default": False})
    inverted = first(encoder, "PositionEncoder.outcome", "negation left out")
    same = first(heads, "check_heads", "constant")
    chosen = [inverted, same]
    assert all(is_executed(mutant, sound) for mutant in chosen)
    monkeypatch.setattr(doctor_mutants, "_GAMES", 200)
    monkeypatch.setattr(doctor_mutants, "modules", lambda: [encoder])
    monkeypatch.setattr(doctor_mutants, "mutants_of", lambda module: iter(chosen))
    monkeypatch.setattr(doctor_mutants, "sound_code", lambda games, names: sound)
    assert doctor_mutants.main(["--count", "2", "--seed", "3", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    results = {raw["key"]: raw for raw in map(json.loads, path.read_text().splitlines())}
    assert set(results) == {mutant.key for mutant in chosen}
    assert results[inverted.key]["outcome"] == "matters" and results[inverted.key]["findings"]
    assert results[same.key]["outcome"] == "equivalent"
    assert f"{inverted.place} negation left out (default)" in printed

    monkeypatch.setattr(doctor_mutants, "judge", None)  # a second run judges nothing again
    assert doctor_mutants.main(["--count", "2", "--seed", "3", "--json", str(path)]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("arguments", [["--count", "0"], ["--json", "no/such/folder/file"]])
def test_a_wrong_argument_is_named(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        doctor_mutants.main(arguments)
    assert stopped.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_a_line_that_was_cut_off_is_left_out_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    line = json.dumps({"key": "a", "outcome": "crashes", "findings": []})
    path.write_text(f'{line}\n{{"key": "b')
    assert set(doctor_mutants.load(path)) == {"a"} and path.read_text() == f"{line}\n"
    path.write_text('{"other": 1}\n')
    with pytest.raises(SystemExit, match="line 1"):
        doctor_mutants.load(path)
