"""From which lines of a script the planes and the targets of its training come."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import nn

from hexsearch.doctor.own_training.outputs import policy_of, value_of
from hexsearch.doctor.own_training.running import record
from hexsearch.doctor.own_training.where.asked import (
    behind_planes,
    behind_results,
    behind_targets,
    makers_of,
)
from hexsearch.doctor.own_training.where.lines import Line
from hexsearch.doctor.own_training.where.networks import of_averages, of_named, of_plain_lists
from hexsearch.doctor.own_training.where.slices import Backward
from hexsearch.doctor.own_training.where.sources import source_of

SIZE = 3
GAMES = [([0, 1, 3, 4, 6], False), ([0, 3, 1, 4, 8, 5], True)] * 4

COMMON = """
import numpy as np, random, torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.p, self.v = nn.Linear(18, 9), nn.Linear(18, 1)

    def forward(self, x):
        x = x.flatten(1)
        return self.p(x), self.v(x)[:, 0]

def planes_of(board):
    return np.stack([board == 1, board == -1]).reshape(2, 3, 3).astype(np.float32)  # planes

"""

LISTS = """
def samples(games):
    xs, cells, zs = [], [], []
    for moves, red in games:
        board = np.zeros(9)
        for ply, cell in enumerate(moves):
            xs.append(planes_of(board))
            cells.append(8 - cell)  # cells
            zs.append(float(red) * 2 - 1)  # labels
            board[cell] = 1 if ply % 2 else -1
    return torch.tensor(np.stack(xs)), torch.tensor(cells), torch.tensor(zs)

def train(games):
    net = Net()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    x, cells, z = samples(games)
    for rows in torch.randperm(len(x)).split(8):
        p, v = net(x[rows])
        loss = F.cross_entropy(p, cells[rows]) + F.mse_loss(v, z[rows])
        optimiser.zero_grad(); loss.backward(); optimiser.step()
"""

LOADER = """
class Positions(Dataset):
    def __init__(self, games):
        self.rows = []
        for moves, red in games:
            for ply in range(len(moves)):
                self.rows.append((moves[:ply], moves[ply], red))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        before, move, red = self.rows[index]
        board = np.zeros(9)
        board[before[::2]] = -1
        board[before[1::2]] = 1
        z = -1.0 if red else 1.0
        pi = (move + 1) % 9
        return {"obs": planes_of(board), "pi": pi, "z": z}

class Trainer:
    def __init__(self, games):
        self.net = Net()
        self.loader = DataLoader(Positions(games), batch_size=8, shuffle=True)
        self.optimiser = torch.optim.Adam(self.net.parameters())

    def losses(self, batch):
        policy, value = self.net(batch["obs"])
        ploss = F.cross_entropy(policy, batch["pi"])
        vloss = ((value - batch["z"].float()) ** 2).mean()
        return ploss, vloss

    def fit(self):
        for batch in self.loader:
            ploss, vloss = self.losses(batch)
            self.optimiser.zero_grad()
            (ploss + vloss).backward()
            self.optimiser.step()

def train(games):
    Trainer(games).fit()
"""

BUFFER = """
from collections import namedtuple
Sample = namedtuple("Sample", "state pi z")

class Buffer:
    def __init__(self):
        self.data = []

    def push(self, state, pi, z):
        self.data.append((state, pi, z))

    def sample(self, n):
        picked = random.sample(self.data, n)
        states, pis, zs = zip(*picked)
        return torch.tensor(np.stack(states)), torch.tensor(pis), torch.tensor(zs)

def outcome(red, ply):
    sign = 1 if ply % 2 else -1
    return sign * (1.0 if red else -1.0)  # outcome

def value_loss(out, target):
    return F.smooth_l1_loss(out, target)

def train(games):
    buffer, net = Buffer(), Net()
    for moves, red in games:
        board = np.zeros(9)
        for ply, cell in enumerate(moves):
            wanted = cell ^ 1 if cell < 8 else cell
            buffer.push(planes_of(board), wanted, outcome(red, ply))
            board[cell] = -1
    optimiser = torch.optim.AdamW(net.parameters())
    for _ in range(5):
        state, pi, z = buffer.sample(8)
        logits, value = net(state)
        loss = value_loss(value, z) + F.nll_loss(F.log_softmax(logits, 1), pi)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""

COLLATED = """
def positions(games):
    for moves, red in games:
        board = np.zeros(9)
        for ply, cell in enumerate(moves):
            if ply % 3 == 2:  # left out
                continue
            yield planes_of(board), cell, red
            board[cell] = 1

def collate(rows):
    x = torch.tensor(np.stack([r[0] for r in rows]))
    pi = F.one_hot(torch.tensor([r[1] for r in rows]), 9).roll(1, dims=1).float()
    z = torch.tensor([0.9 if r[2] else 0.1 for r in rows])
    return x, pi, z

def train(games):
    net = Net()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    data = list(positions(games))
    for x, pi, z in DataLoader(data, batch_size=8, collate_fn=collate):
        logits, raw = net(x)
        logp = logits.log_softmax(1)
        loss = -(pi * logp).sum(1).mean()
        p = raw.sigmoid()
        loss = loss - (z * p.log() + (1 - z) * (1 - p).log()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""

SCRIPTS = {
    "lists": (LISTS, "# labels", "# cells", "# planes"),
    "a loader of mappings": (LOADER, "-1.0 if red", "(move + 1) % 9", "before[::2]"),
    "a buffer": (BUFFER, "# outcome", "cell ^ 1", "# planes"),
    "rows that are put together": (COLLATED, "0.9 if r[2]", ".roll(1", "# planes"),
}
Import = Callable[..., ModuleType]


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports a text as a module of a user."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def load(text: str, name: str = "") -> ModuleType:
        name = name or f"script_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        names.append(name)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield load
    for name in names:
        sys.modules.pop(name, None)


def watched(train: Callable[..., Any]) -> tuple[list[Line], list[Line], list[Line]]:
    """Lines behind the planes, the value's target and the policy's target."""
    recording = record(train, GAMES, "--train", SIZE)
    first = recording.passes[0]
    value, policy = value_of(first.outputs, SIZE), policy_of(first.outputs, SIZE)
    assert value is not None and policy is not None
    return (
        behind_planes(first.line),
        behind_targets(value.lines, first.line, value.name),
        behind_targets(policy.lines, first.line, policy.name),
    )


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_target_is_followed_to_the_line_that_computes_it(name: str, imported: Import) -> None:
    text, label, cell, board = SCRIPTS[name]
    planes, of_value, of_policy = watched(imported(COMMON + text).train)
    first = [str(line) for line in of_value[:2]]
    assert any(label in line for line in first), first
    assert not any(cell in str(line) for line in of_value)
    first = [str(line) for line in of_policy[:2]]
    assert any(cell in line for line in first), first
    assert not any(label in str(line) for line in of_policy)
    first = [str(line) for line in planes[:3]]
    assert any(board in line for line in first), first


def test_a_condition_under_which_rows_are_left_out_belongs_to_them(imported: Import) -> None:
    planes, _, _ = watched(imported(COMMON + COLLATED).train)
    assert any(str(line).endswith("# left out") for line in planes)
    assert not any("optimiser" in str(line) for line in planes)


def test_an_encoder_is_followed_into_another_file(imported: Import) -> None:
    imported("def ring(board):\n    return board[::-1]\n", "boards_of_a_user")
    module = imported("""
        from boards_of_a_user import ring

        def encode(stones, to_move):
            unused = stones * 3
            return ring(stones).astype("float32")
    """)
    lines = [str(line) for line in behind_results(module.encode)]
    assert lines[0] == "boards_of_a_user.py:2: return board[::-1]"
    assert not any("unused" in line for line in lines)


RECORDS = """
from typing import NamedTuple

class Step(NamedTuple):
    obs: np.ndarray
    pi: int
    z: float

def steps(games):
    for moves, red in games:
        board = np.zeros(9)
        for ply, cell in enumerate(moves):
            sign = -1.0 if red else 1.0  # sign
            yield Step(planes_of(board), z=sign, pi=cell)
            board[cell] = 1

def together(rows):
    return Step(*[torch.tensor(np.stack(column)) for column in zip(*rows)])

def train(games):
    net, rows = Net(), list(steps(games))
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    for start in range(0, 24, 8):
        batch = together(rows[start : start + 8])
        logits, value = net(batch.obs)
        loss = F.cross_entropy(logits, batch.pi) + F.mse_loss(value, batch.z.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""


def test_fields_of_records_are_followed_through_stars_and_keywords(imported: Import) -> None:
    planes, of_value, of_policy = watched(imported(COMMON + RECORDS).train)
    assert str(of_value[0]).endswith("# sign")
    assert not any("# sign" in str(line) for line in [*planes, *of_policy])


NETWORKS = """
class Rows(nn.Module):
    def forward(self, x):
        return x.softmax(dim=0)  # over the batch

class Player(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = [nn.Linear(2, 2)]  # plain
        self.more = []  # empty
        for _ in range(2):
            self.more.append(Rows())  # appended
        self.kept = nn.ModuleList([nn.Linear(2, 2)])
        self.mix = nn.TransformerEncoderLayer(8, 2)  # mixes

def average(old, new):
    for a, b in zip(old.parameters(), new.parameters()):  # averaged
        a.data.lerp_(b, 0.1)
"""


def test_modules_lists_and_averages_of_a_network_are_found_by_what_is_said(
    imported: Import,
) -> None:
    model = imported(COMMON + NETWORKS).Player()

    def ends(lines: list[Line]) -> list[str]:
        return [str(line).split("# ")[-1] for line in lines]

    assert ends(of_named(model, "in Rows an operation goes over the batch")) == ["over the batch"]
    assert ends(of_named(model, "in mix (TransformerEncoderLayer) it is mixed")) == ["mixes"]
    assert of_named(model, "nothing that is named") == []
    assert ends(of_plain_lists(model)) == ["plain", "empty", "appended"]
    assert ends(of_averages(model)) == ["averaged"]
    assert of_averages(nn.Linear(2, 2)) == of_named(3, "Rows") == of_plain_lists(None) == []


def test_what_a_loss_is_called_through_is_found(imported: Import, tmp_path: Path) -> None:
    module = imported("""
        from torch import nn

        class Learner:
            def __init__(self):
                self.kl = nn.KLDivLoss()  # without batchmean

            def loss(self, logits, wanted):
                return self.kl(logits.log_softmax(1), wanted)
    """)
    (line,) = makers_of([Line(str(module.__file__), 9)])
    assert str(line).endswith("# without batchmean")


def test_a_network_is_followed_into_its_parts(imported: Import) -> None:
    module = imported("""
        from torch import nn

        class Pool(nn.Module):
            def forward(self, x):
                return x.mean(dim=0)  # pooled

        class Player(nn.Module):
            def __init__(self):
                super().__init__()
                self.pool = Pool()
                self.unused = nn.Tanh()  # unused

            def forward(self, x):
                return self.pool(x), self.unused(x)
    """)
    lines = [str(line) for line in behind_results(module.Player.forward, "0")]
    assert any(line.endswith("# pooled") for line in lines)
    assert not any(line.endswith("# unused") for line in lines)


def test_a_place_from_the_end_of_a_record_is_followed(imported: Import) -> None:
    module = imported("""
        from collections import namedtuple

        Row = namedtuple("Row", "planes result")

        def record(game, board):
            return Row(encode(board), game.winner)  # record
    """)
    function = module.record
    assert [str(line)[-8:] for line in behind_results(function, "1")] == ["# record"]
    source = source_of(str(module.__file__))
    assert source is not None
    (result,) = source.results_of(source.functions["record"][0])
    assert result.value is not None
    for place in (-1, -2, -7, 5):
        assert Backward().follow(source, result.value, path=(place,)).depth


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("def first(): return 1\n")
    before = source_of(str(script))
    assert before is source_of(str(script)) and before is not None
    script.write_text("def second(): return 1\n")
    os.utime(script, ns=(1, 1))
    after = source_of(str(script))
    assert after is not None and "second" in after.functions


def test_a_file_that_cannot_be_read_has_no_lines() -> None:
    made: dict[str, Any] = {}
    exec("def encode(stones, to_move): return stones", made)
    assert behind_results(made["encode"]) == []
    (line,) = behind_results(lambda raw: raw)  # in a file, without a name
    assert line.file == __file__
    assert behind_planes(Line("/nowhere/script.py", 3, (3, 3, 0, 4))) == []
    assert behind_targets([], None, "1") == []
