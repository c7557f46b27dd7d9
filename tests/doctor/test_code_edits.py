"""One slip in a user's file is named with its line, and with what undoes it."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
import torch

from hexsearch.analysis.boards import positions_of_moves
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.checks.computation.edits import check_edits
from hexsearch.doctor.checks.reloaded import check_reloaded
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.code.apart import can_run_apart
from hexsearch.doctor.hypotheses.code.code_edits import code_edits
from hexsearch.doctor.hypotheses.code.expressions import variants
from hexsearch.doctor.hypotheses.edits.edit import Edit
from hexsearch.doctor.own_training.where.sources import Source
from hexsearch.doctor.own_training.where.sources import source_of as read_source
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import CHECKS
from hexsearch.doctor.roots import merged
from tests.doctor.conftest import SIZE
from tests.doctor.outside import Trained
from tests.doctor.outside_networks import SOUND

ALPHAZERO = SOUND["AlphaZero's tower"]
Written = Callable[[str], ModuleType]
CONFINED = pytest.mark.skipif(not can_run_apart(), reason="no edited code runs without Landlock")


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """Writes a user's file and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(text: str) -> ModuleType:
        (tmp_path / "users_file.py").write_text(dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module("users_file")

    yield write
    sys.modules.pop("users_file", None)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a - b", "b - a"),
        ("a - b", "a + b"),
        ("stones == -1", "stones == 1"),
        ("x.transpose(1, 2)", "x"),
        ("x.transpose(1, 2)", "x.transpose(3, 2)"),
        ("f(a, b)", "f(b, a)"),
        ("f(x, bias=False)", "f(x)"),
        ("f(x, bias=False)", "f(x, bias=True)"),
        ("[own, other, side]", "[other, own, side]"),
        ("torch.relu(x)", "torch.tanh(x)"),
        ("a if red else b", "b if red else a"),
        ("a and b", "a or b"),
        ("-x", "x"),
        ("~mask & other", "mask & other"),
        ("logits * legal", "logits.masked_fill(legal == 0, -1000000000.0)"),
        ("meshgrid(a, b, indexing='ij')", "meshgrid(a, b, indexing='xy')"),
        ("stones.T", "stones"),
        ("shape[axis]", "shape[0]"),
        ("x + F.relu(y)", "F.relu(x + y)"),
        ("F.relu(x + y)", "x + F.relu(y)"),
        ("sigmoid(mean(x))", "mean(sigmoid(x))"),
    ],
)
def test_what_may_have_been_meant(text: str, meant: str) -> None:
    whole = ast.parse(text, mode="eval").body
    made = {
        ast.unparse(_Instead(node, other).visit(deepcopy(whole)))
        for node in ast.walk(whole)
        for other in variants(node)
    }
    assert ast.unparse(ast.parse(meant, mode="eval").body) in made


class _Instead(ast.NodeTransformer):
    """Puts one expression in the place of another one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = ast.dump(old), new

    def visit(self, node: ast.AST) -> Any:
        return self._new if ast.dump(node) == self._old else self.generic_visit(node)


PLAIN = """
    import numpy as np
    import torch

    FIRST = 1

    def read(path):
        while True:
            return open(path).read()

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(2 * 25, 26, bias=False)
            self.sign = -1

        def forward(self, planes):
            both = self.head(planes.flatten(1))
            return both[:, 1:], self.turned(both[:, 0])

        def turned(self, value):
            return self.sign * value

    def load():
        torch.manual_seed(0)
        return Net().eval()

    def encode(stones, to_move):
        own, other = stones == to_move, stones == -to_move
        if to_move == FIRST:
            own, other = own.T, other.T
        return np.stack([own, other]).astype(np.float32)
"""


def _foreign(module: ModuleType) -> ForeignNetwork:
    foreign = ForeignNetwork(module.load(), module.encode, SIZE)
    foreign.factory = module.load
    return foreign


def _edits(module: ModuleType) -> list[Edit]:
    return list(code_edits(_foreign(module), positions_of_moves([[0, 3, 7], [0, 3, 7, 12]], SIZE)))


def test_edits_reach_what_loads_encodes_and_answers(written: Written) -> None:
    module = written(PLAIN)
    edits = {edit.words: edit for edit in _edits(module)}
    of_file = "of users_file.py"
    inverted = edits[f"`self.sign = 1` in line 15 {of_file}"]
    assert inverted.loads and not inverted.encodes and "it has `self.sign = -1`" in inverted.cause
    left_out = edits[f"`if to_move == FIRST:` left out of line 30 {of_file}"]
    assert left_out.encodes and not left_out.loads and "is better without it" in left_out.cause
    for other in ("if to_move != FIRST:", "if True:", "if -to_move == FIRST:"):
        assert "has `if to_move == FIRST:`" in edits[f"`{other}` in line 30 {of_file}"].cause
    exchanged = edits[f"`own` and `other` exchanged in lines 28 to 32 {of_file}"]
    assert "the network needs `own` and `other` exchanged" in exchanged.cause
    assert not any("line 9 of" in words for words in edits)


def test_an_edit_is_made_for_a_while(written: Written) -> None:
    module = written(PLAIN)
    network, code = module.load(), module.Net.turned.__code__
    (edit,) = [each for each in _edits(module) if each.words.startswith("`return value` ")]
    planes = torch.rand(3, 2, SIZE, SIZE)
    own = network(planes)[1]
    with edit.made():
        assert torch.equal(network(planes)[1], -own)
    assert torch.equal(network(planes)[1], own) and module.Net.turned.__code__ is code
    assert ast.unparse(ast.parse(dedent(PLAIN))) == ast.unparse(source_of(module).tree)


def test_a_file_that_has_changed_since_its_import_is_not_edited(written: Written) -> None:
    module = written(PLAIN)
    path = Path(str(module.__file__))
    own = path.read_text(encoding="utf-8")
    path.write_text(own.replace("self.sign = -1", "self.sign = -2"), encoding="utf-8")
    edits = _edits(module)
    assert edits and not any("line 15 of" in edit.words for edit in edits)


def test_a_loader_that_sets_eval_mode_is_edited(written: Written) -> None:
    text = PLAIN.replace("torch.manual_seed(0)", "torch.manual_seed(1 + 0)")
    words = [edit.words for edit in _edits(written(text)) if edit.loads]
    assert any("torch.manual_seed(1)" in each for each in words), words


PLAYER = """
    import numpy as np
    import torch

    class Player(torch.nn.Module):
        net = None

        def forward(self, planes):
            policy, value = self.net(SHOWN)
            return policy, value

        def win_prob_red(self, raw, to_move):
            return self.net.win_prob_red(raw, to_move)

    def load():
        return Player().eval()

    def encode(stones, to_move):
        shown = TURNED
        return np.stack([OWN, OTHER]).astype(np.float32)
"""
SOUND_PARTS = {
    "SHOWN": "planes",
    "TURNED": "-stones.T if to_move > 0 else stones",
    "OWN": "shown == -1",
    "OTHER": "shown == 1",
}
SLIPS: dict[str, tuple[dict[str, str], str, str]] = {
    "turned for the other side": (
        {"TURNED": "-stones.T if to_move < 0 else stones"},
        "line 19 of users_file.py, in encode()",
        "shown = stones if to_move < 0 else -stones.T",
    ),
    "free cells for stones": (
        {"OTHER": "shown == 0"},
        "line 20 of users_file.py, in encode()",
        "shown == 1",
    ),
    "the colours as they are": (
        {"TURNED": "stones.T if to_move > 0 else stones"},
        "where Red is to move, planes show another board than in training",
        "training",
    ),
    "half of the planes": (
        {"SHOWN": "planes * planes[:, :1]"},
        "line 9 of users_file.py, in forward()",
        "self.net(planes)",
    ),
}


def _player(script: Trained, written: Written, parts: dict[str, str]) -> ForeignNetwork:
    text = PLAYER
    for name, part in {**SOUND_PARTS, **parts}.items():
        text = text.replace(name, part)
    module = written(text)
    module.Player.net = script.network
    foreign = ForeignNetwork(module.load(), module.encode, SIZE)
    foreign.factory = module.load
    return foreign


def _findings(archive: GameArchive, foreign: ForeignNetwork) -> list[Finding]:
    return list(check_edits(ExaminedPipeline(label="foreign", archive=archive, foreign=foreign)))


@CONFINED
@pytest.mark.parametrize("name", SLIPS)
def test_one_slip_is_named_with_its_line(
    name: str, archive: GameArchive, trained: Trained, written: Written
) -> None:
    parts, place, meant = SLIPS[name]
    (finding,) = _findings(archive, _player(trained, written, parts))
    assert place in finding.cause and meant in finding.cause, finding
    assert meant in finding.remedy and "in the second halves of games" in finding.evidence


def test_a_sound_file_has_no_finding(
    archive: GameArchive, trained: Trained, written: Written
) -> None:
    assert _findings(archive, _player(trained, written, {})) == []


@pytest.fixture(scope="module")
def trained(archive: GameArchive) -> Trained:
    return ALPHAZERO.trained(archive, SIZE)


def source_of(module: ModuleType) -> Source:
    source = read_source(str(module.__file__))
    assert source is not None
    return source


PARTLY_LOADED = """
    import numpy as np
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = torch.nn.Linear(50, 12)
            self.policy, self.value = torch.nn.Linear(12, 25), torch.nn.Linear(12, 1)

        def forward(self, planes):
            hidden = self.trunk(planes.flatten(1))
            return self.policy(hidden), self.value(hidden)[:, 0]

    def load():
        SEED
        net, saved = Net(), {}
        for name, tensor in Net().state_dict().items():
            saved[name.replace(OLD, NEW)] = torch.full_like(tensor, 0.1)
        net.load_state_dict(saved, strict=False)
        return net.eval()

    def encode(stones, to_move):
        return np.stack([stones == 1, stones == -1]).astype(np.float32)
"""


@CONFINED
@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("policy", "pi", "the weights of policy are random"),
        ("", "module.", "all weights"),
        ("x", "y", ""),
    ],
)
@pytest.mark.parametrize("seed", ["", "torch.manual_seed(7)"])
def test_weights_that_each_call_makes_anew_are_named(
    seed: str, old: str, new: str, named: str, written: Written, archive: GameArchive
) -> None:
    text = PARTLY_LOADED.replace("OLD", repr(old)).replace("NEW", repr(new))
    text = text.replace("SEED", seed or "pass")
    foreign = _foreign(written(text))
    pipeline = ExaminedPipeline(label="foreign", archive=archive, foreign=foreign)
    causes = [finding.cause for finding in check_reloaded(pipeline)]
    assert [named in cause for cause in causes] == [True] * bool(named), causes
    # Random weights would be worth their luck, so no code of load() is tried then.
    module = sys.modules["users_file"]
    assert any(edit.loads for edit in _edits(module)) == (not named or bool(seed))


def test_weights_that_are_mostly_zero_explain_planes_that_would_make_up_for_it() -> None:
    planes, weights = (
        next(check for check in CHECKS if check.name == name)
        for name in ("edits of the network", "modules of the network")
    )
    restored = Finding.error("computation", "-", "other planes", "-", root="computation")
    zeros = Finding.warning("weights", "-", "most weights are 0", "-", root="zeros")
    ((_, alone),) = merged([(weights, zeros)])
    assert alone.severity == "warning"
    ((_, kept),) = merged([(planes, restored), (weights, zeros)])
    assert (kept.cause, kept.severity) == ("most weights are 0", "error")
