"""Why a network gives one value at every position."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.general.norm_statistics import copied
from hexsearch.doctor.networks import Observed, take
from hexsearch.training.metrics import slice_metrics

_HALF, _LIKE_PRIOR = 0.002, 0.08  # a constant that is no 0.5, and near the share of wins
_FAR_OUT = 6.0  # size of a raw value beyond which a sigmoid is flat
_BEYOND = 15.0  # which a training on constant labels does not reach
_NEAR_END = 0.02  # distance from 0 or 1 of the output of a sigmoid that is at its end
_LABEL = 0.05  # distance from 0 or 1 of the answers after constant labels
_LEANING = 0.35  # the same of a value of the side to move that leans to it
_RANKS = 0.65  # AUC from which on a value tells positions apart
_RANKED = 0.6  # the same of a value that is one-sided
_FOLLOWS = 0.4  # correlation with the plies to the end that tells a label
_FEW, _DRAWS, _SMALL = 32, 8, 0.05  # positions, draws, and deviation of other weights
_CUT = 0.05  # share of values at an end for other weights that a relu explains
_EXACT = 1e-6
_ROUNDED, _ABOUT_HALF = 1e-3, 0.12  # of (1 + v) / 2, and of the mean of v
Cause = tuple[str, str]  # and the remedy; empty for the usual one


def constant_value(foreign: ForeignNetwork | None, observed: Observed) -> Cause:
    """Cause and remedy of a value that is the same at every position, for the side it is of."""
    hypotheses: tuple[Callable[[], Cause | None], ...] = (
        lambda: whatever_the_weights(foreign, observed),
        lambda: _saturated(observed, _BEYOND),
        lambda: _one_sided(observed),
        lambda: _driven(observed),
        lambda: _of_the_stage(observed),
        lambda: _one_label(observed, _LABEL),
        lambda: _saturated(observed, _FAR_OUT),
        lambda: _squashed(observed),
        lambda: _mean_of_labels(observed),
        lambda: _read_as_signed(observed),
        lambda: _one_label(observed, _LEANING) if observed.of_red is not None else None,
    )
    for hypothesis in hypotheses:
        if (found := hypothesis()) is not None:
            return found
    return (
        "the value is constant: it has initial weights, a dead value head, weights that "
        "decayed to 0, or an average of weights that is never updated",
        "",
    )


def own_chances(observed: Observed) -> NDArray[np.float64]:
    """[P] answers as chances of the side that the raw value belongs to."""
    return observed.own(observed.evaluation.win_prob_red)


def whatever_the_weights(foreign: ForeignNetwork | None, observed: Observed) -> Cause | None:
    """The finding for a formula that has one value for any weights, or cuts it off for many."""
    if foreign is None or not isinstance(foreign.model, nn.Module):
        return None
    own = float(observed.value[0])
    if np.ptp(observed.value) > _EXACT:
        return None
    copy = copied(foreign.model)
    if copy is None:
        return None
    other = ForeignNetwork(copy, foreign.encoded, foreign.size)
    rows = np.arange(min(_FEW, len(observed.value)))
    planes = other.planes(take(observed.positions, rows))
    generator, drawn = torch.Generator().manual_seed(0), []
    for _ in range(_DRAWS):
        with torch.no_grad():
            for weight in copy.parameters():
                weight.copy_(_SMALL * torch.randn(weight.shape, generator=generator))
        drawn.append(other.respond(planes)[1].double().numpy().reshape(len(rows), -1)[:, 0])
    values = np.stack(drawn)
    alike = np.abs(values - own) < _EXACT
    if alike.all():
        one = "a softmax over one output is always 1" if abs(own - 1) < _EXACT else "a number"
        return (
            f"the raw value is {own:.3g} whatever the weights are: the formula of the value head "
            f"does not depend on them ({one}; or its output is multiplied by 0, or overwritten)",
            "let the value head end in a plain linear layer with one output, and use sigmoid or "
            "tanh, or one output for each class before a softmax; then train again",
        )
    if alike.mean() > _CUT and (bool((values > own - _EXACT).all()) or (values < own).all()):
        return (
            f"the value is cut off at {own:.3g}, with other weights as well (a relu behind the "
            "last layer of the value head), and the unit before it is dead: every position gives "
            f"{own:.3g}, and no gradient passes",
            "end the value head in a plain linear layer, without an activation before the sigmoid "
            "or tanh; then train again",
        )
    return None


def _saturated(observed: Observed, limit: float) -> Cause | None:
    """The finding for raw values that all lie far out on one side, or at the end of a tanh."""
    raw = observed.raw
    if raw.ndim != 1:
        return None
    far = raw.min() > limit or raw.max() < -limit
    ends = [end for end in (-1.0, 1.0) if np.abs(raw - end).max() < _EXACT]
    if not far and not ends:
        return None
    side = f"at {ends[0]:g}" if ends else f"above {raw.min():.3g}"
    side = side if raw.min() > 0 or ends else f"below {raw.max():.3g}"
    return (
        f"the output is saturated: all raw values lie {side}, where a sigmoid or tanh is flat, so "
        "the value is constant: a loss without a minimum has driven them there, as if its labels "
        "lie outside the range that the output can reach (-1 and 1 for a sigmoid, 255 for a tanh), "
        "or a learning rate that is far too high",
        "look at the smallest and largest label that the loss gets; if they are right, train again "
        "with a tenth of the learning rate",
    )


def _squashed(observed: Observed) -> Cause | None:
    """The finding for raw outputs of a sigmoid that was driven to one end."""
    raw = observed.raw
    if raw.ndim != 1 or len(np.unique(raw)) < len(raw) // 10:
        return None  # those of a dead unit are all the same
    low, high = float(raw.min()), float(raw.max())
    if not (0.0 < low <= high < _NEAR_END) and not (1.0 - _NEAR_END < low <= high < 1.0):
        return None
    return (
        f"the output lies in 0..1 and is at one end everywhere ({low:.2g} to {high:.2g}), so the "
        "answers are the same: the network ends in a sigmoid, and a loss of logits, which applies "
        "one itself, drove it there; two sigmoids stand one behind the other",
        "",
    )


def _read_as_signed(observed: Observed) -> Cause | None:
    """The finding for a value of 0 to 1 that is read as one of -1 to 1."""
    raw = observed.raw
    if raw.ndim != 1 or np.abs(own_chances(observed) - (1.0 + raw) / 2.0).max() > _ROUNDED:
        return None
    if abs(float(raw.mean()) - 0.5) > _ABOUT_HALF:
        return None
    return (
        "the value was trained to put out 0 where the side to move loses and 1 where it wins, and "
        "is read as one of -1 to 1: (1 + v) / 2 makes 0.5 of a lost position",
        "report the raw value itself, or train with -1 for a lost position",
    )


def _mean_of_labels(observed: Observed) -> Cause | None:
    mean = float(own_chances(observed).mean())
    red_won = observed.evaluation.red_won
    of_red = observed.of_red
    wins = float(observed.own(red_won).mean())
    if abs(mean - 0.5) <= _HALF or abs(mean - wins) >= _LIKE_PRIOR:
        return None
    whose = "the share of wins of the side to move" if of_red is not None else "Red's share of wins"
    return (
        f"the value is constant and about {whose} ({mean:.3f}): the network "
        "has learnt the mean of the labels. Labels do not belong to their positions (they "
        "are shuffled), each answer is compared with every label (shapes [B, 1] and [B] "
        "are broadcast), it has a dead value head, which sees nothing of the board, or its "
        "training has hardly begun",
        "",
    )


def _one_sided(observed: Observed) -> Cause | None:
    """The finding for raw values of 0..1 that rank positions and are read as values of -1..1."""
    own, raw = own_chances(observed), observed.raw
    if raw.ndim != 1 or float(raw.min()) < 0 or float(raw.max()) > 1 or float(own.min()) < 0.5:
        return None
    won = observed.own(observed.evaluation.red_won)
    if not slice_metrics(own, won, observed.evaluation.game).auc > _RANKED:
        return None
    return (
        f"the value is never below one half ({own.min():.2f} to {own.max():.2f}), though it ranks "
        "positions: its raw value lies in 0..1, a chance, and is read as a value of -1..1 (a "
        "sigmoid in place of a tanh, a relu, or the chances of the classes won, drawn and lost in "
        "another order than they are trained, so that the lost one is ignored)",
        "let the raw value be the chance of winning minus the chance of losing, with the classes "
        "in the order of the labels, or read a chance as it is",
    )


def _driven(observed: Observed) -> Cause | None:
    """The finding for a value that leans to one end, and tells positions apart nevertheless."""
    own, of_red = own_chances(observed), observed.of_red
    if of_red is None or own.mean() > _LEANING:
        return None
    won = observed.own(observed.evaluation.red_won)
    auc = slice_metrics(own, won, observed.evaluation.game).auc
    if not auc > _RANKS:
        return None
    return (
        f"the side to move is nearly always said to lose ({own.mean():.2f} on average), though "
        f"positions are ranked (AUC {auc:.2f}): in training the side to move had nearly always "
        "lost, as on finished boards (only last positions were shown, or a board that was not "
        "copied, so that all samples of a game hold its last one)",
        "train on the positions of whole games, each with its own board",
    )


def _of_the_stage(observed: Observed) -> Cause | None:
    """The finding for a value of the side to move that tells how near the end is."""
    own, to_end = own_chances(observed), observed.evaluation.to_end
    if observed.of_red is None or np.ptp(own) < _EXACT or abs(own.mean() - 0.5) < 0.5 - _LEANING:
        return None
    together = float(np.corrcoef(own, to_end)[0, 1])
    if abs(together) < _FOLLOWS:
        return None
    return (
        f"the value of the side to move is {own.mean():.2f} on average and follows the number of "
        f"plies to the end (correlation {together:.2f}), not who wins: its label was that of the "
        "winner for both sides (a discounted reward without a change of sign from ply to ply)",
        "change the sign of the reward from ply to ply, so that each position has the result of "
        "the side that is to move in it",
    )


def _one_label(observed: Observed, limit: float) -> Cause | None:
    """The finding for a value that always says the same."""
    mean = float(own_chances(observed).mean())
    if limit < mean < 1 - limit:
        return None
    if observed.of_red is None:
        return one_winner(red=mean > 0.5), ""
    return (
        f"the value of the side to move is about {mean:.2f} at every position, whatever the board: "
        "its label was constant (the result of one player, such as the one to move at the end, "
        "was stored for all positions without a change of sign from ply to ply)"
        + (", or the value loss was maximised (a wrong sign)" if mean < limit / 5 else ""),
        "give each position the result of the side that is to move in it",
    )


def one_winner(red: bool) -> str:
    """The cause of answers that nearly all speak for one colour."""
    return (
        f"nearly every answer says that {'Red' if red else 'Blue'} wins: nearly all training "
        "labels were the same (only games of one winner, or labels that became a constant)"
    )
