"""The private interfaces of Ray that are used still exist and behave as expected."""

from __future__ import annotations

import inspect
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray._private import node, services, utils, worker
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial

from hexsearch.backend import ray_private
from hexsearch.backend.cluster import environment
from hexsearch.config.run import RunConfig
from hexsearch.model.plugins import is_sigterm

PACKAGE = Path(ray_private.__file__).parents[1]
CHANGED = f"Ray {ray.__version__} has changed {{}}: adapt hexsearch/backend/ray_private.py"


def test_ray_starts_its_processes_by_the_name_that_is_replaced() -> None:
    source = inspect.getsource(services.start_ray_process)
    assert "ConsolePopen(" in source, CHANGED.format("services.start_ray_process")
    before = services.ConsolePopen
    with ray_private.process_groups_of_their_own():
        assert services.ConsolePopen.keywords == {"process_group": 0}
    assert services.ConsolePopen is before


def test_ray_starts_its_unneeded_processes_by_the_methods_that_are_replaced() -> None:
    names = ("start_monitor", "start_log_monitor", "start_api_server")
    source = inspect.getsource(node.Node)
    for name in names:
        assert f"self.{name}(" in source, CHANGED.format(f"node.Node.{name}")
    before = [getattr(node.Node, name) for name in names]
    with ray_private.fewest_processes():
        assert [getattr(node.Node, name)(None) for name in names] == [None, None, None]
    assert [getattr(node.Node, name) for name in names] == before


def test_ray_sets_its_handler_of_sigterm_by_the_name_that_is_replaced() -> None:
    source = inspect.getsource(worker.init)
    assert "ray._private.utils.set_sigterm_handler(" in source, CHANGED.format("worker.init")
    before, ours = utils.set_sigterm_handler, signal.getsignal(signal.SIGTERM)
    with ray_private.own_signals():
        utils.set_sigterm_handler(lambda number, frame: None)
    assert utils.set_sigterm_handler is before and signal.getsignal(signal.SIGTERM) is ours


def test_ray_marks_the_exit_of_a_worker_that_gets_sigterm() -> None:
    name = "raise_sys_exit_with_custom_error_message"
    changed = f"Ray {ray.__version__} ends workers in another way: adapt plugins.is_sigterm"
    assert f"{name}(" in inspect.getsource(worker.Worker.main_loop), changed
    with pytest.raises(SystemExit) as caught:
        getattr(worker, name)("The process receives a SIGTERM.", exit_code=1)
    assert is_sigterm(caught.value), changed


def test_the_actor_manager_tells_of_failures_by_the_method_that_is_replaced() -> None:
    parameters = list(inspect.signature(RayActorManager._actor_task_failed).parameters)
    expected = ["self", "tracked_actor_task", "exception"]
    assert parameters == expected, CHANGED.format("RayActorManager._actor_task_failed")
    before = RayActorManager._actor_task_failed
    with ray_private.every_death_is_an_actors():
        assert RayActorManager._actor_task_failed is not before
    assert RayActorManager._actor_task_failed is before


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
    ray_private.use_started_processes()
    class_cache._ActorClassCache().get(object)
    assert passed == [{"env_vars": {}}], CHANGED.format("class_cache.DEFAULT_ENV_VARS")
    assert "RAY_CHDIR_TO_TRIAL_DIR" not in os.environ


def test_a_tune_trial_notes_its_failures_in_a_file_of_the_form_that_is_read(
    tmp_path: Path,
) -> None:
    assert isinstance(Trial.error_file, property), CHANGED.format("Trial.error_file")
    assert "Failure # " in inspect.getsource(Trial), CHANGED.format(
        "what Trial writes of a failure"
    )
    path = tmp_path / "error.txt"
    assert ray_private.last_error(SimpleNamespace(error_file=str(path))) == ""
    path.write_text("Failure # 1 (at noon)\nfirst\nFailure # 2 (at one)\nsecond\n")
    assert ray_private.last_error(SimpleNamespace(error_file=str(path))) == "second\n"


def test_no_other_file_imports_what_ray_keeps_to_itself() -> None:
    private = ("ray._private", "_internal", "class_cache")
    users = {
        path.name
        for path in PACKAGE.rglob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("import ray", "from ray")) and any(word in line for word in private)
    }
    assert users == {"ray_private.py"}


def test_a_bare_exception_of_rays_start_becomes_a_readable_error() -> None:
    with pytest.raises(RuntimeError, match="did not start within 30 s"), ray_private.start_faults():
        raise Exception("The current node timed out during startup. This could happen")
    with pytest.raises(KeyError), ray_private.start_faults():
        raise KeyError("of another kind")
    source = inspect.getsource(ray._private.node)
    assert "timed out during startup" in source, CHANGED.format("the message of a slow start")
