"""Tests of figures of several slices at once."""

from __future__ import annotations

import pytest
import torch

from hexsearch.statistics import slices
from hexsearch.statistics.slices import FIGURES, Answers, figures, losses_by_game

POSITIONS, GAMES = 400, 25


def answers(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Answers in steps of 0.05, results and games, in no order."""
    generator = torch.Generator().manual_seed(seed)
    game = torch.randint(GAMES, (POSITIONS,), generator=generator)
    won = (game % 3 == 0).double()
    p = (torch.rand(POSITIONS, generator=generator, dtype=torch.float64) + won).mul(10).round() / 20
    return p, won, game


def some_masks() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    masks = (
        torch.rand(6, POSITIONS, generator=generator)
        < torch.tensor([[0.02, 0.1, 0.3, 0.7]]).T[[0, 1, 2, 3, 3, 2]]
    )
    masks[4] = True
    masks[5] = False
    return masks


def test_a_slice_has_the_figures_that_it_has_alone() -> None:
    p, won, game = answers()
    masks = some_masks()
    together = figures(Answers.by_game(p, won, game), masks)
    for mask, row in zip(masks, together, strict=True):
        if not mask.any():
            assert row[:2].tolist() == [0.0, 0.0] and row[2:].isnan().all()
            continue
        alone = Answers.by_game(p[mask], won[mask], game[mask])
        everything = torch.ones(1, int(mask.sum()), dtype=torch.bool)
        torch.testing.assert_close(
            row, figures(alone, everything)[0], rtol=1e-10, atol=1e-10, equal_nan=True
        )


def test_slices_that_are_reduced_one_by_one_have_the_same_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = Answers.by_game(*answers())
    together = figures(given, some_masks())
    monkeypatch.setattr(slices, "_AT_ONCE", 1)
    apart = figures(given, some_masks())
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-10, equal_nan=True)


def test_the_order_of_positions_does_not_matter() -> None:
    p, won, game = answers()
    order = torch.randperm(POSITIONS, generator=torch.Generator().manual_seed(2))
    masks = some_masks()
    one = figures(Answers.by_game(p, won, game), masks)
    other = figures(Answers.by_game(p[order], won[order], game[order]), masks[:, order])
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10, equal_nan=True)


def test_answers_that_hardly_differ_keep_their_correlation() -> None:
    p, won, game = answers()
    column = FIGURES.index("correlation")
    everything = torch.ones(1, POSITIONS, dtype=torch.bool)
    plain = figures(Answers.by_game(p, won, game), everything)[0, column]
    close = figures(Answers.by_game(0.5 + 1e-7 * (p - 0.5), won, game), everything)[0, column]
    torch.testing.assert_close(plain, close, rtol=1e-6, atol=0.0)


def test_losses_by_game_add_up_by_kind() -> None:
    p, won, game = answers()
    kinds = torch.arange(POSITIONS) % 3
    sums, counts = losses_by_game(Answers.by_game(p, won, game), kinds, 3)
    for number in range(GAMES):
        for kind in range(3):
            mask = (game == number) & (kinds == kind)
            assert counts[number, kind] == mask.sum()
            torch.testing.assert_close(sums[number, kind], ((p - won)[mask] ** 2).sum())
