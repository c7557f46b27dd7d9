"""Slips of the twenty-eighth set and the next four that are named since they were looked at."""

from __future__ import annotations

import pytest

from hexsearch.data.archive import GameArchive
from tests.doctor.sets_of_pipelines import PIPELINES
from tests.doctor.test_yardstick import findings_on

NAMED = {
    "policy taught any later move": "later moves of the side to move in the same game",
    "unknown search values are 0": "without a value of the search count as 0%",
    "smoothing of the stage before": "gets the share of the stage before it",
    "slices of the read-ahead overlap": "batches overlap",
    "stones left over in a recycled buffer": "used again without being cleared",
    "split by place in a sorted archive": "sorted by length and cut by their place",
    "cross-entropy of clipped probabilities": "sigmoid(raw) cut off to 0.1..0.9",
    "Muon on the heads too": "Muon steps its matrices, too",
    "average in bfloat16": "kept in bfloat16",
    "other view not turned back": "without turning it back",
    "policy smoothing over occupied cells": "0.1 of each is spread over all cells",
    "resigned games of Blue dropped": "those that Blue won are missing",
    "hash of the opening alone": "does not cover the whole game",
    "kernels from one seed": "layers of one shape begin with the same weights",
    "one symmetry for a whole batch": "symmetry (half turn) is drawn for all positions",
    "history counted from the end of the game": "counted from the end of the game",
    "reflected finals keep their label": "exactly on finished boards, and where colours are",
    "positions weighted by the length of their game": "length of the game alone: proportional",
    "positions among set-up stones": "stones that were set up before the first move",
    "schedule in ten stairs": "a staircase: the schedule is stepped 10 times",
    "decay not scaled by the rate": "weights are multiplied by 0.99 in each step",
    "policy logit in the value head's input": "the value head reads what the policy head gives",
    "output layer begins ten times too large": "weights of the value head are far too large",
    "ties count as right": "counts answers of 50% as right, after rounding to two digits",
    "dead if zero anywhere": "the share of units that are 0 anywhere as dead units",
    "validation without resigned games": "unfinished (resigned) games, which validation leaves out",
    "planes kept as half precision": "rounded to float16",
    "scales of the norms do not train": "weights (scales) of all modules of type BatchNorm2d",
    "evaluation in bfloat16": "runs under autocast in bfloat16",
    "columns of every third game from right to left": "a part of the games is mirrored",
    "each parameter clipped alone": "a limit for each tensor by itself",
    "warm-up restarts at each report": "the schedule begins anew after each report",
    "training goes on from the average": "goes on from the averaged weights (EMA)",
    "metrics one report late": "the validation figures of the report before",
    "micro-batches counted as steps": "each of the 4 micro-batches of a step is counted",
}
_SETS = ("twenty_eighth", "twenty_ninth", "thirtieth", "thirty_first", "thirty_second")
_FAST = (
    "policy taught any later move",
    "Muon on the heads too",
    "kernels from one seed",
    "one symmetry for a whole batch",
    "positions among set-up stones",
    "schedule in ten stairs",
    "policy logit in the value head's input",
    "ties count as right",
    "validation without resigned games",
    "evaluation in bfloat16",
    "columns of every third game from right to left",
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in _FAST else [pytest.mark.slow]) for n in NAMED]
)
def test_it_is_the_first_finding(name: str, archive: GameArchive) -> None:
    (slip,) = [PIPELINES[n][name] for n in _SETS if name in PIPELINES[n]]
    found = findings_on(slip, archive)
    assert found and NAMED[name] in found[0].cause, found
