"""A finding about a user's code says in which lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.archive import GameArchive
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.where.lines import Line, Lines
from tests.doctor.own_scripts import Games, Net, Play, Script, bce
from tests.doctor.test_own_training_forms import findings
from tests.doctor.test_own_training_later import batch, drawn, played

__all__ = ["played"]

_THIS = "test_own_training_lines.py:"


def reversed_divergence(policy: Tensor, cells: Tensor) -> Tensor:
    wanted = functional.one_hot(cells, policy.shape[1]).float() * 0.9 + 1e-3
    return functional.kl_div(wanted.log(), policy.softmax(1), reduction="batchmean")


def found(played: GameArchive, **given: Any) -> Finding:
    """The first finding on a training with some parts of it exchanged."""
    loss = given.get("policy_loss", functional.cross_entropy)

    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), lr=given.get("rate", 1e-3))
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            if given.get("clears", True):
                optimiser.zero_grad()
            policy, raw = net(planes)
            value = bce(raw, given.get("label", lambda won: won)(won))
            (loss(policy, cells) + value).backward()
            optimiser.step()

    return findings(played, train, Play())[0]


def where(finding: Finding) -> str:
    """The lines of a finding, which must be of this file."""
    assert finding.where, finding
    assert all(line.startswith(_THIS) for line in finding.where)
    return "\n".join(finding.where)


def test_a_loss_is_told_by_the_line_that_computes_it(played: GameArchive) -> None:
    first = found(played, policy_loss=reversed_divergence)
    assert "arguments of kl_div" in first.cause
    assert "kl_div(wanted.log(), policy.softmax(1)" in where(first)
    assert "bce(" not in where(first)


def test_labels_are_told_by_the_loss_that_gets_them(played: GameArchive) -> None:
    first = found(played, label=lambda won: 1.0 - won)
    assert first.check == "training value"
    assert first.where[0].startswith("own_scripts.py:")  # where `bce` is written


def test_a_rate_is_told_by_the_line_that_makes_the_optimiser(played: GameArchive) -> None:
    first = found(played, rate=3.0)
    assert "learning rate is far too high" in first.cause
    assert "torch.optim.Adam(net.parameters()" in where(first)


def test_gradients_that_are_never_cleared_are_told_by_backward(played: GameArchive) -> None:
    first = found(played, clears=False)
    assert "never cleared" in first.cause
    assert where(first).endswith(".backward()")


@pytest.mark.parametrize(
    ("weigh", "words"),
    [
        (lambda won, moved: won, "games that Blue won"),
        (lambda won, moved: 1.0 - won, "games that Red won"),
        (lambda won, moved: moved, "with Blue to move"),
        (lambda won, moved: (won == moved).float(), ""),  # of the winner, which is sound
        (lambda won, moved: (torch.rand(len(won)) < 0.5).float(), ""),
    ],
)
def test_positions_without_a_part_in_the_policy_loss_are_told_with_their_weight(
    weigh: Callable[[Tensor, Tensor], Tensor], words: str, played: GameArchive
) -> None:
    def train(games: Games) -> None:
        torch.manual_seed(0)
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), 1e-3)
        for _ in range(30):
            planes, cells, won = batch(rows, drawn(rows))
            counted = weigh(won, planes[:, 2, 0, 0])  # the weight
            policy, raw = net(planes)
            each = functional.cross_entropy(policy, cells, reduction="none")
            optimiser.zero_grad()
            loss = (each * counted).sum() / counted.sum() + bce(raw, won)
            torch.autograd.backward(loss)
            optimiser.step()

    told = [each for each in findings(played, train, Play()) if "policy loss" in each.cause]
    assert [words in each.cause for each in told] == [True] * bool(words), told
    assert not words or told[0].where[0].endswith("# the weight")


def test_a_finding_in_json_has_its_lines(played: GameArchive) -> None:
    first = found(played, rate=3.0)
    assert first.to_json()["where"] == list(first.where)


def test_graphs_remember_lines_in_the_first_step_alone(played: GameArchive) -> None:
    kept = []

    def train(games: Games) -> None:
        net, rows = Net(), Script().rows(games)
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(3):
            planes, cells, won = batch(rows, drawn(rows))
            kept.append(torch.is_anomaly_enabled())
            policy, raw = net(planes)
            optimiser.zero_grad()
            torch.autograd.backward(functional.cross_entropy(policy, cells) + bce(raw, won))
            optimiser.step()

    findings(played, train, Play())
    assert kept == [True, False, False]
    assert not torch.is_anomaly_enabled()


@pytest.mark.parametrize("file", ["<string>", np.__file__, __import__("os").__file__])
def test_lines_of_packages_are_no_lines_of_a_user(file: str) -> None:
    made: dict[str, Any] = {"Line": Line}
    exec(compile("def ask(): return Line.here()", file, "exec"), made)
    assert made["ask"]().file == __file__


def test_no_more_than_two_lines_of_a_kind_are_kept() -> None:
    lines = Lines()
    lines.note("clip")
    lines.note("clip")
    lines.note("clip")
    assert len(lines.of["clip"]) == 2
