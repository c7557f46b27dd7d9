"""Trials in a plain loop in one process, for the comparison in `engine_overhead.py`.

`python benchmarks/overhead_bare.py WORK SEED...`. There is no Ray, no ledger and no checkpoint. It
prints one line of JSON for each trial: its positions, its reports, its seconds and its end.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from overhead_work import Work

from hexsearch.model.network import count_parameters
from hexsearch.training.trial import Trial


def main() -> int:
    work, seeds = Work.of_argument(sys.argv[1]), [int(text) for text in sys.argv[2:]]
    torch.set_num_threads(1)
    dataset = work.dataset()
    for seed in seeds:
        began, cpu = time.time(), time.process_time()
        config = work.trial(work.learning_rate(seed))
        trial = Trial.of(config, dataset, max_positions=work.positions, seed=seed)
        reports = []
        for point in work.points:
            trial.train_to(point)
            reports.append(trial.report().metrics.overall.value_loss)
        done = {
            "positions": trial.positions_seen,
            "evaluated": len(reports) * len(dataset.validation),
            "parameters": count_parameters(trial.network),
            "value_losses": reports,
            "cpu_s": time.process_time() - cpu,
            "began_at": began,
            "ended_at": time.time(),
        }
        print(json.dumps(done), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
