"""Value losses whose rows are weighted in another way than the batch says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from hexsearch.doctor.hypotheses.optimisation.batch_sums import fits_of, joined
from hexsearch.doctor.hypotheses.table import Hypothesis
from hexsearch.doctor.recorded import Flat, WatchedStep
from hexsearch.doctor.watching import WatchedTrial

_LEAST = 0.05  # share of the value loss in the gradient that is needed to tell


def other_row_weights(step: WatchedStep, trial: WatchedTrial) -> Hypothesis | None:
    """The gradient of a step, computed again with other weights of the rows in the value loss.

    The network's weights, and its statistics, are those of before the step meanwhile.
    """
    weight = step.batch.weight
    if trial.config.micro_batch or step.other_gradient or float(weight.std()) == 0:
        return None
    owners = [owner for owner in step.value_gradient if owner in step.given]
    given, policy = joined(step.given, owners), joined(step.policy_gradient, owners)
    for words, other in {
        "the square of its weight": weight.square(),
        "no weight at all (all positions alike)": torch.ones_like(weight),
        "the inverse of its weight": 1 / weight.clamp(min=1e-6),
        "the root of its weight": weight.sqrt(),
        "the weight of another row of the batch": weight.flip(0),
    }.items():
        value = joined(_value_gradient(step, trial, other), owners)
        coefficients, fits = fits_of(given, [value, policy])
        if fits and coefficients[0] > _LEAST:
            return Hypothesis(
                "row weights",
                f"each position enters the value loss of a step with {words}",
                "multiply each position's value loss by its weight, once",
            )
    return None


def _value_gradient(step: WatchedStep, trial: WatchedTrial, weight: Tensor) -> Flat:
    """The gradient of the mean value loss of a step's batch with such weights of the rows."""
    with _weights_of(trial, step.before), torch.enable_grad():
        trial.network.train()
        output = trial.network(trial.execution.show(step.planes))
        loss = trial.readout.loss(output.value_raw.float(), step.batch.value_target)
        return trial.gradient_of((loss * weight).mean())


@contextmanager
def _weights_of(trial: WatchedTrial, weights: Flat) -> Iterator[None]:
    """The trained weights of before a step in this context, and afterwards the present state."""
    network, was_recording = trial.network, trial.recording
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    training = network.training
    trial.recording = False
    try:
        with torch.no_grad():
            for owner, part in network.parts().items():
                trained = [p for p in part.parameters() if p.requires_grad]
                if owner in weights and trained:
                    pieces = torch.split(weights[owner], [p.numel() for p in trained])
                    for parameter, piece in zip(trained, pieces, strict=True):
                        parameter.copy_(piece.view_as(parameter))
        yield
    finally:
        network.load_state_dict(kept)
        network.train(training)
        trial.recording = was_recording
