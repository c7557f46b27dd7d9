"""Sets a head's first answers to the share of wins among training positions, instead of 50%."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hexsearch.config.trial import TrialConfig
from hexsearch.data.batches import NOTHING_ELSE, TrainingStream
from hexsearch.model.many_heads import ManyHeads
from hexsearch.model.readout import Readout, raw_of
from hexsearch.model.value_heads import set_first_answer
from hexsearch.training.seeds import derive_seed

_SAMPLE = 8192  # positions; the standard error of the share is 0.006


def start_at_prior(
    body: ManyHeads,
    configs: Sequence[TrialConfig],
    readouts: Sequence[Readout],
    stream: TrainingStream,
    seed: int,
) -> None:
    """Set the first answers of every head whose read-out has `start_at_prior`.

    Args:
        stream: stream of training positions; the sample is drawn with another seed.
    Raises:
        ContractError: a plug-in head has no bias to set.
    """
    wanted = [number for number, each in enumerate(configs) if each.readout.start_at_prior]
    if not wanted:
        return
    own = replace(stream, seed=derive_seed(seed, "prior"), auxiliary=NOTHING_ELSE)
    prior = training_prior(own)
    for number in wanted:
        set_first_answer(body.heads[number], raw_of(readouts[number], prior))


def training_prior(stream: TrainingStream) -> float:
    """Mean outcome in the network's own perspective, weighted like the value loss.

    Args:
        stream: the training stream with another seed.
    """
    batch = stream.batch(0, _SAMPLE)
    return float((batch.outcome * batch.weight).sum() / batch.weight.sum())
