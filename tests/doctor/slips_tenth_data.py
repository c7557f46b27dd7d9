"""Slips of games, positions, labels and weights of the tenth set, in the form of this pipeline.

See `slips_tenth_scripts` for how the set was written and for what counts as named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.order import keyed_bits
from hexsearch.data.position_set import PositionSet, position_set
from hexsearch.game.distance import connection_distances
from hexsearch.model.auxiliary import PLIES_SCALE
from tests.doctor.boards import symmetries_of
from tests.doctor.slips import Patch, Slip, in_batches, in_labels, in_losses

_POLICY: dict[str, Any] = {"policy_head": {"weight": 1.0}}
_PLAIN: dict[str, Any] = {"encoder": {"perspective": "absolute", "edge_ring": False}}
_NOT_FOUND_IN_LOG = 1e-10


def _split_by_position(patch: Patch) -> None:
    """Every tenth position of all games is for validation, and the others are for training."""

    def positions(dataset: Any, tenth: bool) -> PositionSet:
        lengths = dataset.archive.lengths.astype(np.int64) + 1
        games = np.repeat(np.arange(len(lengths)), lengths)
        plies = np.arange(len(games)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        drawn = keyed_bits(0, games, plies) % np.uint64(10) == 0
        kept = drawn if tenth else ~drawn
        return position_set(games[kept], plies[kept], plies[kept])

    patch.setattr(Dataset, "validation", property(lambda self: positions(self, True)))
    patch.setattr(Dataset, "training", lambda self, curriculum: positions(self, False))


def _inverted_by_the_turn(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    turned = torch.from_numpy(symmetries_of(batch, stream, cursor) % 2 == 1)
    return replace(batch, outcome=torch.where(turned, 1 - batch.outcome, batch.outcome))


def _by_surprise(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Rows drawn in proportion to the error of a first guess, without weights for it.

    The guess is that of the fewest stones which either colour still needs.
    """
    stones = (batch.planes[:, 1] - batch.planes[:, 0]).numpy().astype(np.int8)
    blue, red = (torch.from_numpy(d.astype(np.float32)) for d in connection_distances(stones))
    error = (batch.outcome - (blue - red).sigmoid()).abs()
    draw = torch.Generator().manual_seed(cursor)
    return batch.rows(torch.multinomial(error + 0.01, len(batch), True, generator=draw))


def _one_ply_of_each_game(patch: Patch) -> None:
    sound = PositionSet.draw_plain

    def draw(self: Any, seed: int, cursor: int, size: int) -> Any:
        games, _ = sound(self, seed, cursor, size)
        row = np.searchsorted(self.games, games)
        counts, first = self.counts[row].astype(np.int64), self.first[row].astype(np.int64)
        chosen = keyed_bits(0, 0, games) % counts.astype(np.uint64)
        return games, first + chosen.astype(np.int64)

    patch.setattr(PositionSet, "draw_plain", draw)


def _falling_below_zero(batch: Batch, stream: TrainingStream, cursor: int) -> Batch:
    """Weights that fall by an eighth with each ply, whatever the length of the game."""
    return replace(batch, weight=1 - batch.ply.float() / 8)


def _mean_of(each: Tensor, counted: Tensor) -> Tensor:
    return (each * counted).sum() / counted.sum().clamp(min=1)


def _reversed_divergence(losses: Any, batch: Batch, stepper: Any) -> Any:
    logs = stepper.network(batch.planes).policy_logits.float().log_softmax(dim=1)
    target = functional.one_hot(batch.policy_target, logs.shape[1]).float()
    each = (logs.exp() * (logs - (target + _NOT_FOUND_IN_LOG).log())).sum(dim=1)
    return losses._replace(policy=_mean_of(each, batch.has_move))


def _first_cell_as_padding(losses: Any, batch: Batch, stepper: Any) -> Any:
    logits = stepper.network(batch.planes).policy_logits.float()
    each = functional.cross_entropy(logits, batch.policy_target, reduction="none", ignore_index=0)
    return losses._replace(policy=_mean_of(each, batch.has_move))


def _column_against_row(losses: Any, batch: Batch, stepper: Any) -> Any:
    """The moves-left head's [B, 1] against targets [B]."""
    answers = stepper.network(batch.planes, True).auxiliary["moves_left"].float()[:, None]
    plies = 2.0 / PLIES_SCALE * batch.auxiliary["moves_left"].clamp(min=0)
    gap = answers.expand(-1, len(plies)) - plies
    loss = functional.huber_loss(gap, torch.zeros_like(gap), delta=0.5)
    return losses._replace(auxiliary={**losses.auxiliary, "moves_left": loss})


SLIPS: dict[str, Slip] = {
    "split by positions and not by games": Slip(
        _split_by_position,
        "(valid|test|evaluat|report).*(also|same|among|of the|in) .*train|train.*(also|same|among"
        "|in) .*(valid|test)|leak|split|same games?|overlap|both",
        cause="Positions and not games are split, so the positions of validation come from games "
        "that are trained on.",
        report="harbecke/HexHex#16; rsarka34/RDLINet#1",
    ),
    "half turn taken for an exchange of sides": Slip(
        in_batches(_inverted_by_the_turn),
        "(turn|symmetr|augment|rotat).*(label|target|outcome|invert|wrong|sign|opposite)|(label"
        "|target|outcome|invert).*(turn|symmetr|augment|rotat)",
        cause="The augmentation inverts the label of a board that it turns by a half turn, "
        "although a half turn does not exchange the sides.",
        report="from memory: board turned to the player who moves, as in games on a line",
    ),
    "positions drawn by surprise, without weights": Slip(
        in_batches(_by_surprise),
        "drawn|draws|sampl|priorit|surpris|\\bhard|unlikely|upset|more often|uneven|uniform"
        "|import(ance)? weight|(position|row)s?.*(repeat|twice|left out|again|miss)",
        _PLAIN,
        cause="Positions are drawn in proportion to the error of a first guess, and no weights "
        "make up for it, so surprising results are far too frequent.",
        report="werner-duvaud/muzero-general#29; tensorforce/tensorforce#267",
    ),
    "finished boards taught as even": Slip(
        in_labels(lambda b: torch.where(b.final, torch.full_like(b.outcome, 0.5), b.outcome)),
        "(final|finish|terminal|ended|over|decided).*(half|0\\.5|draw|even\\b)|(half|0\\.5|draw"
        "|even\\b).*(final|finish|terminal|ended|over|decided)",
        cause="The label of a finished board is one half, as for a state after the end of an "
        "episode.",
        report="werner-duvaud/muzero-general#122; YuriCat/MuZeroJupyterExample#2",
    ),
    "one ply of each game for ever": Slip(
        _one_ply_of_each_game,
        "(one|same|single|fixed|few) (ply|position|plies|positions)|never (drawn|seen|shown|come)"
        "|(part|share|few|small).*(of the )?positions|positions?.*(again and again|left out|missing"
        "|never)|not (all|every) positions?",
        cause="The ply that is drawn from a game follows from the game's number, so that each game "
        "shows one position for ever.",
        report="glinscott/leela-chess#33",
    ),
    "weights that fall below zero": Slip(
        in_batches(_falling_below_zero),
        "negative|below (0|zero)|weight.*(sign|late|ply|plies|< ?0)|late.*(sign|climb|unlearn"
        "|revers|up the gradient|weight|oppos)",
        cause="The weight of a position falls by an eighth with each ply and is negative from the "
        "ninth ply on, where the value loss is increased.",
        report="forum, from memory: linear weights of samples that become negative",
    ),
    "arguments of the divergence exchanged": Slip(
        in_losses(_reversed_divergence),
        "policy.*(\\bKL|diverg|revers|exchanged|argument|swapped|cross-?entropy|not that|another "
        "(loss|formula)|other (loss|formula)|entropy)",
        _POLICY,
        cause="The policy loss is the divergence of the targets from the answers, with its "
        "arguments exchanged.",
        report="advait/c4a0#35; sarahwie/attention#6",
    ),
    "first cell taken for padding": Slip(
        in_losses(_first_cell_as_padding),
        "(cell|index|class|target) 0|first cell|\\ba1\\b|one cell|policy.*(mask|left out|ignore"
        "|not (all|counted|every)|some (moves|cells|positions)|certain (moves|cells))",
        _POLICY,
        cause="The policy loss ignores index 0 as padding, so moves on the first cell are never "
        "taught.",
        report="nyu-mll/jiant#925",
    ),
    "moves left as a column against a row": Slip(
        in_losses(_column_against_row),
        "broadcast|(moves.?left|auxiliary).*(every|all|row|column|shape|not that|another|differ"
        "|mean|constant|other)",
        {"auxiliary": {"moves_left": 0.1}},
        cause="The moves-left head's answers [B, 1] are compared with targets [B], each with each.",
        report="LeelaChessZero/lczero-training#178",
    ),
}
