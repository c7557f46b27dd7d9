"""Checks of the policy: which reading of its cells agrees best with the moves played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.hypotheses.boards.plane_frames import AS_IT_IS, frames_shown
from hexsearch.doctor.hypotheses.general.policy_frames import AS_PLAYED, are_crossed, frames_of
from hexsearch.doctor.hypotheses.policies import (
    AMONG_FREE,
    PERMUTED,
    PROBABILITIES,
    SCALED,
    equal_image,
    log_softmax,
    policy_scores,
    uniform_likelihood,
)
from hexsearch.doctor.networks import Observed, take
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_LOOKED_AT = 200  # positions whose planes are compared with the stones
_NUMBERED = "the policy's cells are numbered in another way than the board's"
_FEW = 100  # positions with a next move that are needed
_LEARNT = 0.7  # AUC from which on a value has learnt
_RANKED = 0.56  # share of free cells that the move played must be ranked above
_OF_ANOTHER = 0.5  # share of what a policy knows that another ply must add
_KNOWS = 0.1  # nats above a uniform policy, from which a policy has learnt something
# Shares of the probability on occupied cells that are a warning, and an error.
_SPARED, _SPENT = 1e-4, 0.02
_SAME = 0.8  # share of positions with the same likeliest cell that is reported


def check_policy_cells(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report a constant policy, or one whose cells have to be read differently."""
    examined, observed = needed(pipeline.examined), needed(pipeline.observed)
    if pipeline.loaded is not None and pipeline.loaded.config.policy_head.weight == 0:
        return
    constant = [
        *_constant_policy(observed, examined.size),
        *_decided_policy(observed, examined.size),
        *_filled_cells(observed, examined.size),
    ]
    yield from constant
    if constant:
        return
    found = list(policy_findings("policy cells", observed, examined.size))
    double = list(_two_frames(observed, examined.size))
    if double:
        yield from double
        return
    yield from [] if found else _turned_moves(observed, examined.size)
    yield from [] if found else _unlearnt(observed, examined.size)
    foreign = pipeline.foreign
    for finding in found:
        numbered = _NUMBERED in finding.cause
        turned = _as_encoded(foreign, observed) if foreign and numbered else ""
        reflected = "where Red is to move" in finding.cause
        if turned or (foreign and foreign.for_mover and reflected):
            yield replace(
                finding,
                severity="info",
                cause="the policy belongs to the board as encoded, which is "
                + (turned or "reflected where Red is to move"),
                remedy="move the cells of the policy back to the real board before you use it",
            )
        else:
            yield finding


def _as_encoded(foreign: ForeignNetwork, observed: Observed) -> str:
    """How boards are turned by an encoder, in words, if the policy's cells are turned alike."""
    going = np.flatnonzero(~observed.positions.finished)[:_LOOKED_AT]
    positions = take(observed.positions, going)
    planes = foreign.planes(positions).double().numpy()
    shown = frames_shown(planes, positions.stones, positions.to_move.astype(np.int64))
    known = {each.side: each.names[0] for each in frames_of(observed, foreign.size)}
    known = {side: AS_IT_IS if name == AS_PLAYED else name for side, name in known.items()}
    if len(known) < 2 or not all(name in shown.get(side, ()) for side, name in known.items()):
        return ""
    if len(set(known.values())) == 1:
        return "" if AS_IT_IS in known.values() else f"{known['Red']} for both sides"
    turned = [f"{n} where {side} is to move" for side, n in known.items() if n != AS_IT_IS]
    return " and ".join(turned)


def _constant_policy(observed: Observed, size: int) -> Iterator[Finding]:
    """Report a policy that prefers one cell in most positions."""
    moving = np.flatnonzero(observed.played >= 0)
    logits = observed.policy[moving]
    if len(moving) < _FEW or logits.shape[1] < size * size:
        return
    favourite = logits[:, : size * size].argmax(axis=1)
    cell = int(np.bincount(favourite).argmax())
    share = float((favourite == cell).mean())
    stones = observed.positions.stones.reshape(len(observed.played), -1)[moving]
    taken = float((stones[np.arange(len(moving)), favourite] != 0).mean())
    played = float((observed.played[moving] == cell).mean())
    if share > _SAME and played < share / 2:
        yield Finding.error(
            "policy cells",
            f"cell {cell} is the likeliest move in {share:.0%} of {len(moving):,} positions, and "
            f"was played in {played:.0%} of them; the likeliest cell is occupied in {taken:.0%}",
            f"the policy always prefers the same cell ({cell}): it was trained on a constant "
            "target, for example because cell 0 stands for a move that is lost",
            "compare the policy targets of some training samples with the moves of their games",
            root="policy cells",
        )


def _decided_policy(observed: Observed, size: int) -> Iterator[Finding]:
    """Report a policy that tells one cell from all others, but not these from each other."""
    rows = observed.policy[observed.played >= 0][:, : size * size]
    if len(rows) < _FEW or rows.shape[1] < size * size:
        return
    lowest = rows.min(axis=1, keepdims=True)
    alike = (np.abs(rows - lowest) < 1e-6).sum(axis=1) == rows.shape[1] - 1
    if alike.mean() > _SAME:
        yield Finding.error(
            "policy cells",
            f"in {alike.mean():.0%} of {len(rows):,} positions all cells but one have the same "
            "logit",
            "the policy is a decision, not a distribution: its best cell alone is reported (an "
            "argmax, or one-hot), and the other cells cannot be told apart",
            "return the logits of the policy head",
            root="policy cells",
        )


def _filled_cells(observed: Observed, size: int) -> Iterator[Finding]:
    """Report occupied cells that all have one logit, which is not low enough to exclude them."""
    rows = np.flatnonzero(observed.played >= 0)
    if len(rows) < _FEW or observed.policy.shape[1] < size * size:
        return
    logits = observed.policy[rows, : size * size].astype(np.float64)
    stones = observed.positions.stones[rows]
    red = (observed.evaluation.ply[rows] % 2 == 1)[:, None, None]
    # The cells of a policy may be those of the board as encoded, which is reflected for Red.
    for boards in (stones, np.where(red, stones.transpose(0, 2, 1), stones)):
        taken = boards.reshape(len(rows), -1) != 0
        value = logits[taken]
        if not len(value) or np.ptp(value) > 1e-6 or np.ptp(logits[~taken]) < 1e-3:
            continue
        share = float((np.exp(log_softmax(logits)) * taken).sum(axis=1).mean())
        if share > _SPARED:
            common, free = float(value[0]) + 0.0, logits[~taken]  # never -0
            severity = Finding.error if share > _SPENT else Finding.warning
            yield severity(
                "policy cells",
                f"all {len(value):,} logits of occupied cells are {common:.3g}, those of free "
                f"cells go from {free.min():.3g} to {free.max():.3g}; a softmax gives occupied "
                f"cells {share:.1%} of the probability",
                f"illegal moves are masked by a logit of {common:.3g} (logits are multiplied by a "
                "mask of 0 and 1), so occupied cells keep their share of the probability",
                "mask with minus infinity before the softmax, or with 0 after it",
                root="policy cells",
            )
        return


def _two_frames(observed: Observed, size: int) -> Iterator[Finding]:
    """Report a policy that knows the moves of a side under two symmetries of the board."""
    frames = frames_of(observed, size)
    double = sorted((each for each in frames if each.double), key=lambda f: -f.gains[1])
    crossed = are_crossed(frames)
    if not crossed and (not double or len({each.names for each in double}) == 1 < len(double)):
        return  # the same two for both sides: moves and boards were turned at random
    side, names = (double or frames[::-1])[0].side, (double or frames[::-1])[0].names
    yield Finding(
        "policy cells",
        "error" if double else "warning",
        "; ".join(map(str, frames)),
        f"{side}'s moves are known {names[0]} and {names[1]}: in training the moves of one side "
        f"({side}'s, or those of the other) were not transposed or turned with their board as "
        "encode() turns it, so part of the policy targets lay on other cells than the stones, and "
        "the network cannot tell which part",
        "move the cell of each move exactly as encode() moves the stones of its board, for both "
        "sides, and move the policy's cells back at inference; then train again",
        root="policy cells",
    )


def _turned_moves(observed: Observed, size: int) -> Iterator[Finding]:
    """Report a policy that finds the image of the move about as likely as the move."""
    image = equal_image(observed, size)
    if image is not None:
        name, own, other = image
        yield Finding.warning(
            "policy cells",
            f"the cell that was played is {own:.2f} nats likelier than free cells on average, and "
            f"the same cell {name} is {other:.2f} nats likelier",
            f"the policy cannot tell a move from the same move {name}: in training boards were "
            "turned or mirrored and the moves were not (or were moved in another way), so part of "
            "the policy targets was wrong",
            "apply the same symmetry to the stones and to the move of each training sample",
            root="policy cells",
        )


def _unlearnt(observed: Observed, size: int) -> Iterator[Finding]:
    """Report a policy that says nothing about the moves played while the value has learnt."""
    rows = np.flatnonzero(observed.played >= 0)
    logits, played = observed.policy[rows], observed.played[rows]
    auc = observed.evaluation.metrics().overall.auc
    if len(rows) < _FEW or logits.shape[1] < size * size or not auc > _LEARNT:
        return
    logits = logits[:, : size * size].astype(np.float64)
    own = logits[np.arange(len(rows)), played][:, None]
    free = observed.positions.stones.reshape(len(observed.played), -1)[rows] == 0
    free[np.arange(len(rows)), played] = False
    better = ((own > logits) + 0.5 * (own == logits)) * free
    rank = float((better.sum(axis=1) / np.maximum(free.sum(axis=1), 1))[free.any(axis=1)].mean())
    if logits.std() < 1e-6 or rank > _RANKED:
        return
    shown = log_softmax(np.asarray(logits, np.float64))[np.arange(len(rows)), played].mean()
    if shown > uniform_likelihood(size) + _KNOWS:
        return  # it has learnt which cells are free; moves that were drawn tell no more
    yield Finding.warning(
        "policy cells",
        f"the move that was played is ranked above {rank:.0%} of the other free cells (50% is "
        f"chance); its mean log probability is {shown:.2f}, and {uniform_likelihood(size):.2f} "
        f"under a uniform policy; the value has an AUC of {auc:.2f}",
        "the policy says nothing about the moves that are played, while the value has learnt: the "
        "policy head has initial weights or those of another run (it was not trained, or not "
        "loaded), or its cells are mixed up",
        "compare the policy head's weights with those of the training run; look at its loss there",
        root="policy cells",
    )


def policy_findings(check: str, observed: Observed, size: int) -> Iterator[Finding]:
    """Report a reading under which the moves played are clearly likelier.

    Args:
        check: name of the check in the findings.
        size: side of the board.
    """
    scores = policy_scores(observed, size)
    if len(scores) < 2:
        return
    uniform = uniform_likelihood(size)
    # A permutation is learnt from the games, so it must be much better than a known reading.
    best = max(scores[1:], key=lambda s: s.gain * (0.6 if s.name == PERMUTED else 1.0))
    learnt = best.likelihood > uniform + 0.1
    if "the move" in best.name and best.gain < _OF_ANOTHER * (best.likelihood - uniform):
        return  # a good cell stays good for a ply, so a weak policy also knows the move after
    if best.gain > max(0.05, 4 * best.noise) and learnt:
        kind = _NUMBERED
        remedy = "number cells row * N + column in planes and policy, under one symmetry"
        if observed.policy.shape[1] > size * size:
            kind = (
                f"the policy has {observed.policy.shape[1]} outputs for {size * size} cells (an "
                "entry for a swap or a pass stands before them)"
            )
        if best.name == PROBABILITIES:
            kind = "a softmax is applied twice to the policy"
            remedy = "return logits from the model, without a softmax"
        elif best.name.startswith(SCALED):
            kind = (
                "the policy's logits are on another scale than in training (a temperature or a "
                "division that is applied on one side only, or targets that were smoothed)"
            )
            remedy = "use one formula from features to logits in training and at inference"
        elif best.name == AMONG_FREE:
            kind = "the policy's entries are numbers of legal moves, not of cells"
            remedy = (
                "give each cell an entry of its own, occupied or not, and mask what is occupied"
            )
        elif "the move" in best.name:
            kind = (
                "the policy belongs to another ply (if values are inverted, too, each board has "
                "the targets of the position after its move)"
            )
            remedy = "train the policy on the move that was played in the same position"
        yield Finding(
            check,
            "warning" if best.name.startswith(SCALED) else "error",
            f"the moves played have a mean log probability of {best.likelihood:.2f} if the policy "
            f"is read {best.name}, {scores[0].likelihood:.2f} if it is read as it is, and "
            f"{uniform:.2f} under a uniform policy",
            f"{kind}: it has to be read {best.name}",
            remedy,
            root="policy cells",
        )
