"""The check of a trained network's strength: against chance, 50% and a table of shortest paths."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.values import compression, finished_boards
from hexsearch.doctor.networks import ExaminedNetwork, Observed
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.strength import Floats, Strength, strength_of
from hexsearch.game.board import RED
from hexsearch.training.metrics import Evaluation, slice_metrics

YOUNG = 20_000  # positions seen, below which a network is still a beginner
_CONSTANT = 0.005  # spread of answers that say nothing
_SURE = 0.3  # spread of answers that are nearly all 0 or 1
_LEANS, _ONE_SIDED = 0.25, 0.97  # distance of the mean from Red's share; answers of one side
_HALF = 0.35  # an end of the range that answers do not go beyond
_FEW = 15  # finished boards, below which they say nothing


def check_strength(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Answers against chance and the baselines; then what would explain a failure."""
    observed, examined, table = pipeline.observed, pipeline.examined, pipeline.table
    assert observed is not None and examined is not None and table is not None
    strength = strength_of(observed, table)
    if not strength.problem:
        return
    young = examined.positions_seen is not None and examined.positions_seen < YOUNG
    certain = strength.above_quarter or strength.at_chance
    if young and not certain:
        return  # a beginner may well be weaker than a table
    finished = finished_boards(observed)
    yield Finding(
        "strength",
        "error" if certain else "warning",
        f"{strength.problem}; {finished}" if finished else strength.problem,
        _of_other_games(pipeline, observed)
        or _of_one_part(observed, table)
        or _unexplained(examined, observed, strength, young),
        _next_step(pipeline, young),
        root="reading",
    )


def _of_other_games(pipeline: ExaminedPipeline, observed: Observed) -> str:
    """Whether the answers fit the results of neighbouring games; empty if they do not."""
    archive, evaluation = pipeline.archive, observed.evaluation
    assert archive is not None
    own = evaluation.metrics().overall.auc
    for shift in (1, -1, 2, -2, 3, -3):
        other = archive.winners[(evaluation.game + shift) % len(archive)] == RED
        found = slice_metrics(evaluation.win_prob_red, other.astype(float), evaluation.game)
        if found.auc > max(0.75, own + 0.15):
            name = f"{abs(shift)} game(s) {'on' if shift > 0 else 'back'} in the archive"
            return (
                f"answers fit the winner of the game {name} (AUC {found.auc:.2f}), not their own: "
                "labels of training were those of a neighbouring game (an index off by one)"
            )
    return ""


def _of_one_part(observed: Observed, table: Floats) -> str:
    """Whether answers hold in one half of the positions and not in the other, in words."""
    evaluation = observed.evaluation
    final, red = evaluation.final, evaluation.ply % 2 == 1
    lengths = evaluation.ply + evaluation.to_end
    halves = {
        ("where Blue is to move", "where Red is to move"): (~final & ~red, ~final & red),
        ("in short games", "in long games"): (
            lengths < np.median(lengths),
            lengths >= np.median(lengths),
        ),
        ("late in the game", "early in the game"): (
            evaluation.stage == 2,
            evaluation.stage == 0,
        ),
    }
    for names, masks in halves.items():
        ours, known = [], []
        for mask in masks:
            won, game = evaluation.red_won[mask], evaluation.game[mask]
            ours.append(slice_metrics(evaluation.win_prob_red[mask], won, game).auc)
            known.append(slice_metrics(table[mask], won, game).auc)
        for good, bad in ((0, 1), (1, 0)):
            lost = ours[bad] < 0.56 and known[bad] > 0.68
            if lost and ours[good] > max(0.68, known[good] - 0.12):
                return (
                    f"answers hold {names[good]} and not {names[bad]} (AUC {ours[good]:.2f} and "
                    f"{ours[bad]:.2f}): the network was trained on positions {names[good]} alone, "
                    f"or labels or planes {names[bad]} are wrong (side to move, perspective)"
                )
    return ""


def _unexplained(
    examined: ExaminedNetwork, observed: Observed, strength: Strength, young: bool
) -> str:
    """What is left where no other reading restores the answers, by what they look like."""
    excluded = (
        "other decodings, exchanged sides, turned, shifted or exchanged planes do not explain it"
    )
    evaluation = observed.evaluation
    p, won, final = evaluation.win_prob_red, evaluation.red_won, evaluation.final
    lopsided = _lopsided(evaluation)
    if lopsided:
        return f"{lopsided}; {excluded}"
    if p.std() < _CONSTANT:
        return (
            "the value is constant: initial weights, a dead value head, weights that decayed to "
            "nothing, or an average of weights that is never updated"
        )
    right = ((p > 0.5) == (won == 1)) & (p != 0.5)
    if final.sum() >= _FEW and right[final].mean() > 0.9 and right[~final].mean() < 0.65:
        return (
            "finished boards are called right and the others are not: the network was trained on "
            f"finished boards or last positions alone, or its labels hold there alone; {excluded}"
        )
    certain = strength.at_chance or strength.above_quarter
    if certain and strength.policy_gain > 0.1:
        return (
            "the policy has learnt and the value has not, so the trunk works: the value head, its "
            "labels or its loss are at fault (a head that the optimiser does not hold or that was "
            "never loaded, weights of another checkpoint, labels at random, or half of them "
            f"inverted); {excluded}"
        )
    if young:
        return f"only {examined.positions_seen:,} positions were trained; {excluded}"
    if strength.at_chance and p.std() > _SURE:
        return (
            "the network is sure of answers that do not hold on these games: it has learnt a few "
            f"games by heart, or was trained on other games than these; {excluded}"
        )
    if strength.at_chance:
        return (
            "the network has learnt nothing that holds on these games: initial weights, or labels "
            f"that do not belong to their positions; {excluded}"
        )
    pressed = compression(observed)
    if pressed.noise_share > 0.1 and pressed.noise_gain > 2 * pressed.error:
        return (
            f"answers are pressed towards the middle, as by {pressed.noise_share:.0%} of labels "
            f"drawn at random (label noise), or by smoothed labels; {excluded}"
        )
    return (
        "something weakens it that is not in the reading: label noise, too short a training, or "
        f"too small a network; {excluded}"
    )


def _lopsided(evaluation: Evaluation) -> str:
    """Why the answers lie on one side, if they do."""
    p, won = evaluation.win_prob_red, evaluation.red_won
    lean, for_red = float(p.mean() - won.mean()), float((p > 0.5).mean())
    if abs(lean) > _LEANS and max(for_red, 1 - for_red) > _ONE_SIDED:
        return (
            f"nearly every answer says that {'Red' if lean > 0 else 'Blue'} wins: the labels of "
            "training were nearly all alike (only games of one winner, or labels that became a "
            "constant)"
        )
    low, high = (float(np.quantile(p, share)) for share in (0.01, 0.99))
    if (low > _HALF and high > 0.8) or (high < 1 - _HALF and low < 0.2):
        end, loser = (f"below {low:.2f}", "Red") if low > _HALF else (f"above {high:.2f}", "Blue")
        return (
            f"answers never go {end}, though {loser} loses often: one half of the range is not "
            "used, as where losses are taught or read as draws, or an output is cut off at 0 (a "
            "relu)"
        )
    return ""


def _next_step(pipeline: ExaminedPipeline, young: bool) -> str:
    if pipeline.foreign is not None:
        return (
            "check that load() returns the trained weights and that these are games of the kind it "
            "was trained on; then compare encode() with the planes of training"
        )
    if young:
        return "train for longer, then ask again: `train SPACE.yaml`"
    return (
        "run `doctor SPACE.yaml` on the configuration with the same games: it tests batches, "
        "losses and steps one by one"
    )
