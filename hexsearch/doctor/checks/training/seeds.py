"""Checks of what a seed decides, and of the first answers that a configuration asks for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from hexsearch.doctor.checks.data.cursors import same_positions
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.model.network import build_network

_OFF = 0.05  # accepted distance of the first answers from the share of wins


def check_seeds(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Two seeds must give other initial weights and another order of the positions."""
    trial = needed(pipeline.watched)
    size = trial.config.batch_size
    other = needed(pipeline.new_trial(size, seed=SEED + 1))
    own = list(_equal_parts(pipeline))
    yield from own
    first, second = (each.stream.batch(0, size) for each in (trial, other))
    if same_positions(first, second):
        yield _finding(
            f"trials with two seeds draw the same {size} positions first, in the same order",
            "the seed of the trial does not reach the stream of batches: trials of all seeds see "
            "the positions in one order",
            "derive the seed of the order from that of the trial",
        )
    pairs = zip(trial.initial_answering, other.answering.parameters(), strict=True)
    begun = trial.config.start_from is not None
    if not own and not begun and all(torch.equal(one, two) for one, two in pairs):
        yield _finding(
            "trials with two seeds begin with the same weights in every layer",
            "the seed of the trial does not reach the initial weights: all trials begin with the "
            "same weights",
            "give the trial's seed to the function that builds the network",
        )


def _finding(evidence: str, cause: str, remedy: str) -> Finding:
    cause += ", so replicates of a configuration are not independent"
    return Finding.warning("seeds", evidence, cause, remedy)


def _equal_parts(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Report parts of the network that begin with the same weights for every seed."""
    config, trial = needed(pipeline.trial_config), needed(pipeline.watched)
    size, planes = needed(pipeline.brief_dataset).config.board_size, trial.steps[0].planes
    first, second = (build_network(config, planes.shape[1], size, seed) for seed in (1, 2))
    others = second.parts()
    same = []
    for part, module in first.parts().items():
        drawn = [
            torch.equal(own, other)
            for own, other in zip(module.parameters(), others[part].parameters(), strict=True)
            if own.ndim > 1 and float(own.detach().std()) > 0
        ]
        if drawn and all(drawn):
            same.append(in_words(part))
    if same:
        yield _finding(
            f"built with two seeds, the {' and the '.join(same)} begin with the same weights",
            f"a seed is set inside the network ({', '.join(same)}): it begins with the same "
            "weights for every seed",
            "let the factory draw from torch's generator, which is seeded before it is called: "
            "no manual_seed(), and no generator of its own",
        )


def check_first_answers(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """With `start_at_prior` the last bias must give the share of wins."""
    trial, config = needed(pipeline.untrained), needed(pipeline.trial_config)
    last = [each for each in trial.answering.value_head.modules() if isinstance(each, nn.Linear)]
    if not config.readout.start_at_prior or config.start_from is not None or not last:
        return
    batch = needed(pipeline.samples).batch
    prior = float((batch.outcome * batch.weight).sum() / batch.weight.sum())
    pairs = zip(trial.answering.parameters(), trial.initial_answering, strict=True)
    first = [value for given, value in pairs if given is last[-1].bias]
    if not first or first[0].numel() != 1:
        return
    bias = float(first[0])
    answer = float(trial.readout.win_prob(torch.tensor([bias])))
    if abs(answer - prior) > _OFF:
        given = "the share of wins itself, and not its logit, is" if _near(bias, prior) else "it is"
        yield Finding.error(
            "first answers",
            f"the last bias of the value head is {bias:.3g} at first, which read-out "
            f"{config.readout.name} answers as {answer:.3f}; the share of wins among training "
            f"positions is {prior:.3f}",
            f"readout.start_at_prior sets a wrong bias: {given} {bias:.3g}, so the first answers "
            f"are {answer:.2f} and not {prior:.2f}",
            "set the bias to the raw value that the read-out answers as the share of wins",
        )


def _near(bias: float, prior: float) -> bool:
    return abs(bias - prior) < _OFF
