"""How Ray is started."""

from __future__ import annotations

import importlib
import os

import pytest
from ray.tune.execution import class_cache

from hexsearch.backend.cluster import environment, use_started_processes
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


def test_tune_gives_its_actors_no_environment_that_needs_a_fresh_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(class_cache, "DEFAULT_ENV_VARS", {**class_cache.DEFAULT_ENV_VARS})
    for name in class_cache.ENV_VARS_TO_PROPAGATE:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(None, RunConfig()).items():
        monkeypatch.setenv(name, value)
    passed: list[object] = []

    def remote(runtime_env: object) -> object:
        passed.append(runtime_env)
        return lambda trainable: trainable

    monkeypatch.setattr(class_cache.ray, "remote", remote)
    use_started_processes()
    class_cache._ActorClassCache().get(object)
    assert passed == [{"env_vars": {}}]
    assert "RAY_CHDIR_TO_TRIAL_DIR" not in os.environ
