"""Checks of a checkpoint: its weights, its record, its statistics, and inference with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from hexsearch.analysis.parity import capture_next_batch, compare
from hexsearch.analysis.value_analyzer import ValueHeadAnalyzer
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.pipeline import SEED, ExaminedPipeline, needed
from hexsearch.errors import TrialError
from hexsearch.model.network import build_network
from hexsearch.training.seeds import initial_weights_seed
from hexsearch.training.stored_trial import answering_weights

_LOSS_GAP = 2e-3  # accepted difference in value loss, as between machines and devices
_ALL_POSITIONS = 40_000  # of more positions a sample is evaluated, as all take minutes on a CPU
_SAMPLED_GAMES = 500


def check_weights(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """All weights must be finite, and those of each part other than the initial ones."""
    loaded = needed(pipeline.loaded)
    state = answering_weights(loaded.state)
    broken = [
        name for name, tensor in state.items() if not bool(torch.isfinite(tensor.float()).all())
    ]
    if broken:
        yield Finding.error(
            "weights",
            f"{len(broken)} of {len(state)} tensors hold values that are not finite, such as "
            f"{broken[0]}",
            "training diverged before this was saved",
            "use an older checkpoint, or train again with a lower optimiser.learning_rate",
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
            yield Finding.error(
                "weights",
                f"after {loaded.positions_seen:,} positions every weight of the {in_words(part)} "
                "is still the initial one",
                "the saved weights are not the trained ones (such as an average of weights, EMA, "
                "that is never updated), or this part is frozen",
                "save the weights that the optimiser changes, and update the average after each "
                "step",
            )


def check_record(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the value loss in the record with that of the saved weights."""
    loaded, dataset = needed(pipeline.loaded), needed(pipeline.dataset)
    recorded = loaded.recorded_value_loss
    if recorded is None or dataset.archive.content_hash != loaded.archive_hash:
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
    value_loss, noise = overall.value_loss, 0.0 if few else 4 * overall.value_loss_se
    if abs(value_loss - recorded) > max(_LOSS_GAP, noise):
        yield Finding.error(
            "record",
            f"the file records a value loss of {recorded:.4f}; on the same games its weights have "
            f"one of {value_loss:.4f}",
            "this is a stale checkpoint: its weights are not those that were evaluated, or "
            "encoder, read-out or split have changed since",
            "save weights and report together, after the evaluation; otherwise train again",
        )


def check_norms(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the value loss with the batch-norm statistics of the file and with new ones."""
    trial = needed(pipeline.restored)
    try:
        stored = trial.evaluate()[0].metrics().overall.value_loss
        renewed = trial.report().value_loss
    except TrialError:
        return
    if stored - renewed > 0.01:
        yield Finding.error(
            "batch norm",
            f"the value loss is {stored:.4f} with the stored batch-norm statistics, and "
            f"{renewed:.4f} with new ones",
            "running averages lag behind the weights, or belong to other weights",
            "compute the statistics over a few thousand training positions after the last step, "
            "and save them with the weights",
        )


def check_parity(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare the next training batch, as it is trained, with inference on its positions."""
    trial, loaded = needed(pipeline.restored), needed(pipeline.loaded)
    trial.load_state(loaded.state)
    try:
        parity = compare(capture_next_batch(trial), loaded.trained)
    except TrialError:
        return
    if parity.explanation:
        yield Finding(
            "parity",
            "info" if parity.holds else "error",
            f"between training and inference on one batch, {parity.inputs:.0%} of the inputs "
            f"differ, raw outputs by {parity.raw_train:.2g} (train mode) and "
            f"{parity.raw_eval:.2g} (eval mode) standard deviations, probabilities by "
            f"{parity.probability:.2g}, losses by {parity.loss:.2g}",
            parity.explanation,
            "nothing: that is what lower precision rounds off"
            if parity.holds
            else "use the objects of training at inference: the same encoder and read-out, and "
            "weights and statistics of the same step",
        )
