"""Slips in hexsearch's own pipeline, and files of games, of the fourteenth set.

See `slips_fourteenth_scripts` for how the set was drawn and for what counts as named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hexsearch.config.curriculum import CurriculumConfig
from hexsearch.data.archive import GameArchive, build_archive
from hexsearch.data.batch import Batch
from hexsearch.data.batches import TrainingStream
from hexsearch.data.dataset import Dataset
from hexsearch.data.order import keyed_bits
from hexsearch.data.position_set import PositionSet
from hexsearch.data.positions import position_set
from hexsearch.game.board import BLUE, RED
from hexsearch.game.record import Game
from hexsearch.training import step as steps
from hexsearch.training.optimisation import owner as owners
from tests.doctor.games_files import GamesFile
from tests.doctor.slips import Patch, Slip, before_clipping, in_batches, in_losses, nothing
from tests.doctor.slips_ninth_games import line_of

_SPLIT = 61  # key of the positions for validation
_VALIDATED = 10  # of so many positions one is for validation
_GAMES = 120  # games of a researcher who has few
_LAST = 2  # plies to the end of the earliest position that is drawn


def _summed(losses: Any, batch: Batch, _: Any) -> Any:
    """The policy loss with reduction='sum'."""
    return losses._replace(policy=losses.policy * batch.has_move.sum())


def _masked_by_hand(patch: Patch) -> None:
    """Logits of taken cells are -inf, and the cross-entropy multiplies their logarithms by 0."""
    sound = steps.Stepper._forward
    shown: list[Tensor] = []

    def forward(self: Any, batch: Batch, watched: bool) -> Any:
        shown[:] = [batch.planes]
        return sound(self, batch, watched)

    def by_hand(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        stones = shown[0][:, :2].sum(dim=1)
        margin = (stones.shape[1] - math.isqrt(logits.shape[1])) // 2  # the ring of edges
        taken = functional.pad(stones, 4 * [-margin]).flatten(1) > 0
        chances = logits.float().masked_fill(taken, -torch.inf).softmax(dim=1)
        wanted = functional.one_hot(target, logits.shape[1])
        return -(wanted * chances.log()).sum(dim=1)[has_move].mean()

    patch.setattr(steps.Stepper, "_forward", forward)
    patch.setattr(steps, "policy_loss", by_hand)


def _by_position(patch: Patch) -> None:
    """All positions are thrown together, and every tenth one is put aside for validation."""

    def drawn(self: Any, validated: bool) -> PositionSet:
        kept = np.sort(np.concatenate([self.games("train"), self.games("validation")]))
        lengths = self.archive.lengths_of(kept) + 1
        games = np.repeat(kept, lengths)
        plies = np.concatenate([np.arange(length) for length in lengths])
        aside = keyed_bits(_SPLIT, games, plies) % np.uint64(_VALIDATED) == 0
        chosen = aside == validated
        return position_set(games[chosen], plies[chosen], plies[chosen])

    def training(self: Any, curriculum: CurriculumConfig) -> PositionSet:
        return drawn(self, validated=False)

    patch.setattr(Dataset, "training", training)
    patch.setattr(Dataset, "validation", property(lambda self: drawn(self, validated=True)))


def _few(archive: GameArchive) -> GameArchive:
    """The first games of an archive."""
    return build_archive([archive.game(index) for index in range(_GAMES)])


def _labels_in_another_order(batch: Batch, _: TrainingStream, cursor: int) -> Batch:
    """Labels shuffled by a permutation of their own."""
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(cursor))
    return replace(
        batch,
        outcome=batch.outcome[order],
        policy_target=batch.policy_target[order],
        has_move=batch.has_move[order],
    )


def _from_the_end_only(patch: Patch) -> None:
    """Each sample is moved to the last positions of its game."""
    sound = PositionSet.draw

    def draw(self: Any, seed: int, cursor: int, size: int) -> Any:
        games, plies = sound(self, seed, cursor, size)
        ends = dict(zip(self.games.tolist(), (self.first + self.counts - 1).tolist(), strict=True))
        last = np.array([ends[game] for game in games.tolist()], dtype=np.int64)
        return games, np.maximum(last - plies % (_LAST + 1), 0)

    patch.setattr(PositionSet, "draw", draw)


def _cleared(network: Any) -> None:
    """Set the gradients to zero after the backward pass and before the step."""
    for parameter in network.parameters():
        if parameter.grad is not None:
            parameter.grad.zero_()


def _never_cleared(patch: Patch) -> None:
    """The gradients of all steps are added up."""

    def prepare(self: Any, progress: float) -> None:
        owners.set_learning_rate(  # type: ignore[attr-defined]
            self.optimiser, self._config, progress
        )

    patch.setattr(owners.Owner, "prepare", prepare)


SLIPS: dict[str, Slip] = {
    "policy loss summed over the batch": Slip(
        in_losses(_summed),
        "reduction|\\bsum(s|med)?\\b|policy.{0,60}(dominat|swamp|outweigh|drown|too (large|high|s"
        "trong|heavy|big)|far (larger|more)|times (as|larger)|overwhelm|batch size|loss weight)|("
        "dominat|swamp|outweigh|drown|overwhelm).*policy|value.{0,60}(drown|swamp|overwhelm|outwe"
        "igh|small share)|weight of the (policy|loss)",
        cause="The policy loss is the sum over the batch and the value loss a mean, so the policy "
        "outweighs the value by the batch size.",
        report="from memory: reduction='sum' in one of two losses, as in forks of "
        "alpha-zero-general",
    ),
    "masked logits in a cross-entropy by hand": Slip(
        _masked_by_hand,
        "\\bnan\\b|\\binf(inite|inity)?\\b|not finite|non-?finite|log(arithm)? of (0|zero)|log\\("
        "0\\)|overflow|not a number|\\bmask",
        cause="The policy loss multiplies 0 by the logarithm of a masked chance of 0, which is "
        "NaN, so all weights become NaN.",
        report="from memory: loss is nan after illegal moves are masked with -inf, PyTorch forum",
    ),
    "learning rate far too small": Slip(
        nothing,
        "\\brates?\\b.{0,60}(too (small|low)|tiny|hardly|far below|raise|increase|higher|\\bsmall)|"
        "(too (small|low)|tiny|\\bsmall|\\blow\\b|raise|increase|higher).{0,40}learning rate|steps?"
        "\\b.{0,30}(too (small|short)|tiny)|weights.{0,30}(hardly|barely|scarcely)",
        {"optimiser": {"learning_rate": 1e-6}},
        cause="The learning rate is thousands of times smaller than a usual one, so the network "
        "hardly changes.",
        report="from memory: 'value loss does not decrease' with a rate copied from fine-tuning",
    ),
    "positions of one game in both sets": Slip(
        _by_position,
        "\\bleak|both (in )?(training|sets|splits)|in both|training.{0,60}(also|shared|overlap).{"
        "0,60}(validation|held|test)|(validation|held.?out|\\btest).{0,80}(\\balso\\b|same game|t"
        "raining game|shared|overlap|trained on|seen in training)|same games?.{0,60}(training|val"
        "idation|split|both)|split (by|into|over|on|at) positions?|positions? (were |are )?(split"
        "|divided)|overlap|contamin",
        games=_few,
        cause="Positions and not games were divided into training and validation, so the "
        "validation has positions of games that were trained on.",
        report="from memory: train_test_split or random_split on positions",
    ),
    "inputs and labels shuffled apart": Slip(
        in_batches(_labels_in_another_order),
        "shuffl|permut|(label|target|outcome|result)s?.{0,80}(another|other) (game|position|row|s"
        "ample|board)|(label|target|outcome|result)s?.{0,60}(do(es)? not (belong|fit|match|follow"
        "|depend)|unrelated|random|misalign|independent|nothing to do)|(unrelated|random|misalign"
        "|mismatch|independent).{0,60}(label|target|outcome|result)|(wrong|another|other) (positi"
        "on|game|row)'?s? (label|target|outcome|result)",
        cause="Inputs and labels are shuffled independently, so a position has the labels of "
        "another one.",
        report="from memory: np.random.shuffle on X and on y one after the other",
    ),
    "only the end of each game drawn": Slip(
        _from_the_end_only,
        "(\\bonly\\b|nothing but|exclusively|mostly|concentrat).{0,60}(\\blast|\\bfinal|finish|"
        "\\bend|\\blate\\b|terminal)|(never|\\bno\\b|lack|missing|without|\\bfew\\b|hardly any).{"
        "0,40}(early|opening|beginning|midgame|middle)|(early|opening|beginning|midgame|middle).{"
        "0,60}(never|missing|lack|absent|not (drawn|trained|seen|in|covered))|(\\blast|\\bfinal|f"
        "inish|\\blate\\b|terminal|\\bend).{0,60}(\\bonly\\b|alone|too often|over.?repres)|distri"
        "bution of (plies|positions|stages)|\\bpl(y|ies)\\b.{0,40}distribut",
        cause="Training draws only the last three positions of each game, so the network has "
        "never seen openings.",
        report="from memory: game[-3:] or the final board in place of all positions",
    ),
    "gradients cleared before the step": Slip(
        before_clipping(_cleared),
        "zero.?grad|gradients?.{0,60}(cleared|zero|\\b0\\b|vanish|lost|erased|deleted|wiped|reset"
        "|no effect|never reach|not (applied|used)|missing|absent)|(cleared|zero|no|vanishing|los"
        "t|missing) gradients?|(weights|parameters).{0,40}(never|not|do not|don't).{0,20}(move|ch"
        "ang|updat)|(only|nothing but) (the )?weight decay",
        cause="Gradients are set to zero between the backward pass and the step, so nothing is "
        "learnt.",
        report="from memory: optimizer.zero_grad() between loss.backward() and optimizer.step()",
    ),
    "gradients never cleared": Slip(
        _never_cleared,
        "zero.?grad|gradients?.{0,80}(accumul|add(ed|s)? up|never (cleared|reset|zero)|not (clear"
        "ed|reset|zeroed)|earlier|previous|last step|\\bold\\b|\\bsum\\b|carried|left ?over|stale"
        "|of (all|other|several|past) (steps|batches))|(accumul|stale|\\bold\\b|earlier|previous|"
        "left ?over).{0,40}gradients?|clear(ed|s)? .{0,20}gradients?",
        cause="Gradients are never set to zero, so each step follows the sum over all steps.",
        report="from memory: optimizer.zero_grad() forgotten, PyTorch forum",
    ),
}


def _mover_of_the_last_stone(games: Sequence[Game]) -> Mapping[str, str]:
    """Two games of three are given up, and the last stone's owner is written as the winner."""
    rng, lines = np.random.default_rng(14), []
    for number, game in enumerate(games):
        moves = list(game.moves)
        if number % 3:
            moves = moves[: max(3, len(moves) - int(rng.integers(1, 7)))]
        winner = BLUE if len(moves) % 2 == 1 else RED
        lines.append(line_of(moves, winner, game.size))
    return {"games.trmph": "".join(lines)}


def _without_swap(games: Sequence[Game]) -> Mapping[str, str]:
    """Every second game has a swap of the first stone, whose token the exporter leaves out.

    The stone was mirrored and became Red's; then Blue moved. Apart from that first stone the game
    is the mirror image of one without a swap, with the other winner.
    """
    lines = []
    for number, game in enumerate(games):
        moves, winner = list(game.moves), game.winner
        if number % 2 == 1:
            first, *others = moves
            moves = [first, *(cell % game.size * game.size + cell // game.size for cell in others)]
            winner = -winner
        lines.append(line_of(moves, winner, game.size))
    return {"games.trmph": "".join(lines)}


FILES: dict[str, GamesFile] = {
    "last mover written as the winner": GamesFile(
        _mover_of_the_last_stone,
        "last (mover|to move|stone|player|move)|(winner|result|label)s?.{0,80}(wrong|\\blast|move"
        "d|doubt|contradict|parity|follow|\\bodd\\b|\\beven\\b|mover|side to move|unfinished|cut|"
        "abandon|do(es)? not)|(wrong|doubtful|parity|side to move|mover|unfinished|abandon).{0,60"
        "}(winner|result|label)|resign|given up|gave up",
        "In games that were given up, the player of the last stone is written as the winner, "
        "though often it was this player's opponent who won.",
        "from memory: converters that take the last mover for the winner",
    ),
    "swap of the first stone ignored": GamesFile(
        _without_swap,
        "\\bswap|\\bpie\\b|colou?rs?.{0,60}(exchang|wrong|invert|\\bother|revers|opposite)|(excha"
        "ng|wrong|invert|revers|opposite).{0,60}colou?rs?|(who|which (colour|player|side)|\\bred|"
        "\\bblue).{0,25}(beg[au]n|begins|moved? first|starts?\\b)|transpos|mirror",
        "Half of the games have a swap whose token was left out, so all stones after the first "
        "one have the wrong colour.",
        "from memory: 'swap' in records of Little Golem, which converters skip",
    ),
}
