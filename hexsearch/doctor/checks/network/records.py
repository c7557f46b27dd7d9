"""Checks of a checkpoint against itself and against its own training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from hexsearch.analysis.parity import capture_next_batch, compare
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline
from hexsearch.errors import TrialError
from hexsearch.model.network import build_network
from hexsearch.training.seeds import initial_weights_seed
from hexsearch.training.stored_trial import answering_weights

_LOSS_GAP = 2e-3  # between machines, and between the devices of one
_ALL_POSITIONS = 40_000  # more are sampled: minutes on a CPU
_SAMPLED_GAMES = 500


def check_weights(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Finite weights, and others than those that training began with."""
    loaded = pipeline.loaded
    assert loaded is not None
    state = answering_weights(loaded.state)
    broken = [
        name for name, tensor in state.items() if not bool(torch.isfinite(tensor.float()).all())
    ]
    if broken:
        yield Finding(
            "weights",
            "error",
            f"{len(broken)} of {len(state)} tensors hold values that are not finite, such as "
            f"{broken[0]}",
            "training diverged before this was saved",
            "go back to an older checkpoint, with a lower learning rate",
        )
        return
    encoder = loaded.predictor.encoder
    seed = initial_weights_seed(loaded.state["seed"])
    fresh = build_network(loaded.config, encoder.planes, encoder.size, seed)
    owners = {id(p): part for part, module in fresh.parts().items() for p in module.parameters()}
    learnt: dict[str, list[str]] = {}
    for name, parameter in fresh.named_parameters():
        learnt.setdefault(owners[id(parameter)], []).append(name)
    initial = fresh.state_dict()
    for part, names in learnt.items():
        unused = part == "policy_head" and loaded.config.policy_head.weight == 0
        if loaded.positions_seen == 0 or unused:
            continue
        if all(torch.equal(state[name], initial[name]) for name in names):
            yield Finding(
                "weights",
                "error",
                f"after {loaded.positions_seen:,} positions every weight of the "
                f"{part.replace('_', ' ')} is still the initial one",
                "what was saved is not what was trained (an average of weights, EMA, that is "
                "never updated), or this part is frozen",
                "save the weights that the optimiser moves; update the average after each step",
            )


def check_record(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The value loss that training reported, against the one that these weights have."""
    loaded, dataset = pipeline.loaded, pipeline.dataset
    if loaded is None or dataset is None or loaded.recorded_value_loss is None:
        return
    if dataset.archive.content_hash != loaded.archive_hash:
        return
    games, few = dataset.validation_games, len(dataset.validation) <= _ALL_POSITIONS
    if not few:
        count = min(_SAMPLED_GAMES, len(games))
        games = np.sort(np.random.default_rng(SEED).choice(games, count, replace=False))
    nothing = np.zeros(0, dtype=np.int64)
    analyzer = ValueHeadAnalyzer(
        loaded.predictor, dataset.archive, games, nothing, loaded.data.stages
    )
    overall = analyzer.evaluate().metrics().overall
    found, noise = overall.value_loss, 0.0 if few else 4 * overall.value_loss_se
    if abs(found - loaded.recorded_value_loss) > max(_LOSS_GAP, noise):
        yield Finding(
            "record",
            "error",
            f"training reported a value loss of {loaded.recorded_value_loss:.4f} with this file, "
            f"on the same games it is {found:.4f}",
            "a stale checkpoint: the weights are not those that were judged (or encoder, read-out "
            "or split have changed since)",
            "save weights and report in one file, after the report; train again if in doubt",
        )


def check_norms(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Batch-norm statistics in the file, against fresh ones."""
    trial = pipeline.restored
    if trial is None:
        return
    try:
        stored = trial.evaluate()[0].metrics().overall.value_loss
        renewed = trial.report().value_loss
    except TrialError:
        return
    if stored - renewed > 0.01:
        yield Finding(
            "batch norm",
            "error",
            f"value loss {stored:.4f} with the stored batch-norm statistics, {renewed:.4f} with "
            "statistics taken anew",
            "running averages lag behind the weights, or belong to other weights",
            "renew the statistics over a few thousand training positions before judging",
        )


def check_parity(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """The next training batch, caught as it is trained, through the inference path."""
    trial, loaded = pipeline.restored, pipeline.loaded
    if trial is None or loaded is None:
        return
    trial.load_state(loaded.state)
    try:
        parity = compare(capture_next_batch(trial), loaded.trained)
    except TrialError:
        return
    if parity.explanation:
        yield Finding(
            "parity",
            "info" if parity.holds else "error",
            f"one training batch replayed: inputs differ in {parity.inputs:.0%}, raw outputs by "
            f"{parity.raw_train:.2g} (train mode) and {parity.raw_eval:.2g} (eval mode) standard "
            f"deviations, probabilities by {parity.probability:.2g}, losses by {parity.loss:.2g}",
            parity.explanation,
            "make inference use the objects that training uses: one encoder, one read-out, the "
            "weights and statistics of the same instant",
        )
