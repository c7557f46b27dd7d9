"""The same trials as an ordinary Ray Tune script, for the comparison in `engine_overhead.py`.

`python benchmarks/overhead_plain.py WORK`. It uses a function trainable, OptunaSearch, ASHA, dense
planes in a TensorDataset with a DataLoader, and Tune's defaults. It has no symmetries, monitors,
stages and checkpoints. Its planes are made before the time is taken, for no more positions than a
trial sees. It prints one line of JSON: when Ray had started, and the figures of each trial.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import ray
import torch
from overhead_work import LEARNING_RATES, Work
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from hexsearch.data.batch import Batch
from hexsearch.data.batches import BatchBuilder, TrainingStream, evaluation_batches
from hexsearch.data.encoder import PositionEncoder
from hexsearch.model.network import build_network

Dense = tuple[Tensor, ...]  # planes [M, C, N, N], cell of the next move [M] or -1, outcome [M]


def main() -> int:
    work = Work.of_argument(sys.argv[1])
    training, validation = dense_positions(work)
    ray.init(address="local")
    up_at = time.time()
    trainable = tune.with_parameters(train, work=work, training=training, validation=validation)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"lr": tune.loguniform(*LEARNING_RATES)},
        tune_config=tune.TuneConfig(
            metric="value_loss",
            mode="min",
            num_samples=work.trials,
            search_alg=OptunaSearch(),
            scheduler=ASHAScheduler(
                time_attr="positions", max_t=work.positions, grace_period=work.positions
            ),
        ),
        run_config=tune.RunConfig(storage_path=work.directory, name="plain"),
    )
    results = [result.metrics or {} for result in tuner.fit()]
    wanted = ("positions", "evaluated", "parameters", "began_at", "ended_at", "value_loss")
    trials = [{name: result[name] for name in wanted} for result in results]
    print(json.dumps({"up_at": up_at, "trials": trials}))
    return 0


def train(config: dict[str, Any], work: Work, training: Dense, validation: Dense) -> None:
    """One trial, a report at each of the work's points."""
    torch.set_num_threads(1)
    trial = work.trial(config["lr"])
    network = build_network(trial, training[0].shape[1], work.board_size, seed=0)
    parameters = sum(weights.numel() for weights in network.parameters())
    optimiser = torch.optim.AdamW(network.parameters(), lr=config["lr"])
    steps = -(-work.positions // trial.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config["lr"], total_steps=steps)
    loader = DataLoader(TensorDataset(*training), trial.batch_size, shuffle=True)
    validation_loader = DataLoader(TensorDataset(*validation), 1024)
    began_at, positions, evaluated = time.time(), 0, 0
    for planes, move, outcome in loader:
        network.train()
        output = network(planes)
        loss = binary_cross_entropy_with_logits(output.value_raw, outcome)
        policy = cross_entropy(output.policy_logits, move, ignore_index=-1)
        optimiser.zero_grad()
        torch.autograd.backward(loss + trial.policy_head.weight * policy)
        torch.nn.utils.clip_grad_norm_(network.parameters(), trial.optimiser.clip)
        optimiser.step()
        schedule.step()
        positions += len(planes)
        if positions not in work.points:
            continue
        network.eval()
        errors = []
        with torch.inference_mode():
            for planes, _, outcome in validation_loader:
                errors.append((network(planes).value_raw.sigmoid() - outcome) ** 2)
        squared = torch.cat(errors)
        evaluated += len(squared)
        tune.report(
            {
                "value_loss": float(squared.mean()),
                "positions": positions,
                "evaluated": evaluated,
                "parameters": parameters,
                "began_at": began_at,
                "ended_at": time.time(),
            }
        )


def dense_positions(work: Work) -> tuple[Dense, Dense]:
    """Training positions, as many as a trial sees, and all validation positions."""
    dataset, trial = work.dataset(), work.trial(LEARNING_RATES[0])
    encoder = PositionEncoder.of(trial.encoder, work.board_size)
    builder = BatchBuilder(dataset.archive, encoder, dataset.config.stages, torch.device("cpu"))
    chosen = dataset.training(trial.curriculum)
    stream = TrainingStream(builder, chosen, trial.curriculum, augment=False, seed=0)
    validation = evaluation_batches(builder, dataset.validation, 1024)
    return _dense([stream.batch(0, work.positions)]), _dense(list(validation))


def _dense(batches: list[Batch]) -> Dense:
    moves = [batch.policy_target.where(batch.has_move, -1) for batch in batches]
    return (
        torch.cat([batch.planes for batch in batches]).contiguous(),
        torch.cat(moves),
        torch.cat([batch.outcome for batch in batches]),
    )


if __name__ == "__main__":
    sys.exit(main())
