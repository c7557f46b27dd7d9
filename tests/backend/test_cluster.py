"""How Ray is started."""

from __future__ import annotations

import importlib

import pytest

from hexsearch.backend.cluster import environment
from hexsearch.config.run import RunConfig

PRELOAD = "RAY_preload_python_modules"


def test_workers_warm_up_only_where_every_process_will_train() -> None:
    assert PRELOAD in environment(None, RunConfig())
    assert PRELOAD not in environment("auto", RunConfig())
    for few in (
        RunConfig(max_concurrent=1),
        RunConfig(cpus_per_trial=4),
        RunConfig(gpus_per_trial=0.5),
    ):
        assert PRELOAD not in environment(None, few)


@pytest.mark.parametrize("module", environment(None, RunConfig())[PRELOAD].split(","))
def test_what_workers_are_to_import_exists(module: str) -> None:
    """Ray only logs what it cannot import, and the trial would pay for it later."""
    importlib.import_module(module)
