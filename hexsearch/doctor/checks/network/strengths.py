"""The check of a trained network's strength: against chance, 50% and a table of shortest paths."""

from __future__ import annotations

from collections.abc import Iterator

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.values import compression, finished_boards
from hexsearch.doctor.networks import ExaminedNetwork, Observed
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.strength import Strength, strength_of

YOUNG = 20_000  # positions seen, below which a network is still a beginner
_CONSTANT = 0.005  # spread of answers that say nothing
_SURE = 0.3  # spread of answers that are nearly all 0 or 1
_LEANS, _ONE_SIDED = 0.25, 0.97  # distance of the mean from Red's share; answers of one side
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
        _unexplained(examined, observed, strength, young),
        _next_step(pipeline, young),
        root="reading",
    )


def _unexplained(
    examined: ExaminedNetwork, observed: Observed, strength: Strength, young: bool
) -> str:
    """What is left where no other reading restores the answers, by what they look like."""
    excluded = (
        "other decodings, exchanged sides, turned, shifted or exchanged planes do not explain it"
    )
    evaluation = observed.evaluation
    p, won, final = evaluation.win_prob_red, evaluation.red_won, evaluation.final
    lean, for_red = float(p.mean() - won.mean()), float((p > 0.5).mean())
    if abs(lean) > _LEANS and max(for_red, 1 - for_red) > _ONE_SIDED:
        return (
            f"nearly every answer says that {'Red' if lean > 0 else 'Blue'} wins: the labels of "
            "training were nearly all alike (only games of one winner, or labels that became a "
            f"constant); {excluded}"
        )
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
            "labels or its loss are at fault (a head that the optimiser does not hold, labels at "
            f"random, or half of them inverted); {excluded}"
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
