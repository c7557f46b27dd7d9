"""Errors in a plug-in's code are reported with their place in that code."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray._private.worker import raise_sys_exit_with_custom_error_message

from hexsearch.backend.trainable import TrialWorker
from hexsearch.cli.main import main
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ContractError, PluginError
from hexsearch.game.formats.trmph import format_trmph
from hexsearch.model.plugins import build_plugin, fault_of_plugin
from hexsearch.search.space_parsing import build_space
from hexsearch.study.preflight import check_components
from tests.backend.test_trainable import archive, assignment, heard
from tests.data.games import random_games

__all__ = ["archive"]  # a fixture

HEAD = """
import sys
import torch

class Head(torch.nn.Module):
    def __init__(self, inputs):
        super().__init__()
        {factory}
        self.layer = torch.nn.Linear(inputs, 1)

    def forward(self, features):
        {forward}
        return self.layer(features.mean(dim=(2, 3))).squeeze(1)
"""


LATE = """self.calls += 1
        if self.calls > 12:
            {code}"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path


def write(folder: Path, name: str, factory: str = "pass", forward: str = "pass") -> str:
    (folder / f"{name}.py").write_text(HEAD.format(factory=factory, forward=forward))
    return f"{name}:Head"


def test_a_factory_that_raises_is_named_with_the_users_own_line(plugins: Path) -> None:
    path = write(plugins, "raises_in_factory", factory="raise ValueError('no width')")
    with pytest.raises(PluginError) as caught:
        build_plugin("value_head", path, {"inputs": 8}, {})
    first, frame = str(caught.value).splitlines()
    assert first == f"value_head {path}: its factory raised ValueError: no width"
    assert "raises_in_factory.py line 8, in __init__: raise ValueError" in frame


@pytest.mark.parametrize("where", ["factory", "forward"])
def test_sys_exit_in_a_plugin_is_that_plugins_fault(plugins: Path, where: str) -> None:
    path = write(plugins, f"exits_in_{where}", **{where: "sys.exit(0)"})
    config = build(StudyConfig, {"question": "q", "trial": {"value_head": path}}, "")
    with pytest.raises(ContractError, match=r"called sys\.exit\(0\)"):
        check_components(build_space(config))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def broken(:\n", "raised SyntaxError"),
        ("1 / 0\n", "raised ZeroDivisionError"),
        ("import sys; sys.exit(3)\n", r"called sys.exit(3)"),
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
    ],
    ids=["syntax", "division", "exit", "import"],
)
def test_a_module_that_cannot_be_imported_says_where(
    plugins: Path, source: str, said: str, request: pytest.FixtureRequest
) -> None:
    name = f"bad_module_{request.node.callspec.id}"
    (plugins / f"{name}.py").write_text(source)
    with pytest.raises(ContractError) as caught:
        build_plugin("value_head", f"{name}:Head", {"inputs": 8}, {})
    assert said in str(caught.value)
    assert f"{name}.py line 1" in str(caught.value)


def test_wrong_options_are_said_without_a_stack(plugins: Path) -> None:
    path = write(plugins, "wrong_options")
    with pytest.raises(ContractError) as caught:
        build_plugin("value_head", path, {"inputs": 8}, {"width": 3})
    assert "unexpected keyword argument 'width'" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(0)", "a plug-in called sys.exit(0); raise an error instead"),
        ("raise ValueError('tired')", "a plug-in raised ValueError: tired"),
        ("open('/no/such/file')", "a plug-in raised FileNotFoundError"),
        ("torch.zeros(2) + torch.zeros(3)", "a plug-in raised RuntimeError: The size"),
    ],
)
def test_a_plugin_that_fails_while_it_trains_is_named_with_the_users_own_line(
    plugins: Path, code: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"fails_late_{abs(hash(code))}"
    path = write(plugins, name, "self.calls = 0", LATE.format(code=code))
    games = tmp_path / "g.trmph"
    games.write_text("".join(format_trmph(game) + "\n" for game in random_games(60, size=5)))
    space = tmp_path / "space.yaml"
    space.write_text(
        f"question: x\ndata: {{board_size: 5}}\ntrial: {{trunk: tiny, value_head: '{path}'}}\n"
        "scheduler: {name: none, grace_period: 640, max_t: 2560}\n"
    )
    given = ["--games", str(games), "--output", str(tmp_path / "out")]
    assert main(["train", str(space), *given]) == 2
    err = capsys.readouterr().err
    assert f"error: {said}" in err and f"{name}.py line" in err
    assert "bug of hexsearch" not in err and "Traceback" not in err


def test_an_error_of_ours_is_no_plugins(plugins: Path) -> None:
    path = write(plugins, "innocent")
    build_plugin("value_head", path, {"inputs": 8}, {})
    try:
        format_trmph(3)  # type: ignore[arg-type]
    except AttributeError as error:
        assert fault_of_plugin(error) is None


def test_a_worker_outlives_a_plugin_that_calls_sys_exit(
    plugins: Path, archive: Path, tmp_path: Path
) -> None:
    path = write(plugins, "exits_in_a_worker", "self.calls = 0", LATE.format(code="sys.exit(0)"))
    task = assignment(archive, None, str(tmp_path / "t0000"))
    config = {**task["configs"][0], "value_head": {"family": path}}
    worker = TrialWorker({**task, "configs": (config,), "points": (2560,)})
    failure = heard(worker).failure
    assert failure is not None and "a plug-in called sys.exit(0)" in failure


@pytest.fixture
def sigterm_as_in_a_worker_of_ray() -> Iterator[None]:
    def handler(number: int, frame: object) -> None:
        raise_sys_exit_with_custom_error_message("The process receives a SIGTERM.", exit_code=1)

    before = signal.signal(signal.SIGTERM, handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("where", ["import", "factory", "training"])
def test_a_worker_that_gets_sigterm_ends_and_fails_no_trial(
    plugins: Path, archive: Path, tmp_path: Path, where: str, sigterm_as_in_a_worker_of_ray: None
) -> None:
    """As every process of a Slurm job that is cancelled; the trial goes on from its checkpoint."""
    code = "__import__('os').kill(__import__('os').getpid(), 15)"
    name = f"gets_sigterm_in_{where}"
    path = write(
        plugins,
        name,
        "self.calls = 0" if where == "training" else code,
        LATE.format(code=code) if where == "training" else "pass",
    )
    if where == "import":
        (plugins / f"{name}.py").write_text(code)
    task = assignment(archive, None, str(tmp_path / "t0000"))
    config = {**task["configs"][0], "value_head": {"family": path}}
    worker = TrialWorker({**task, "configs": (config,), "points": (2560,)})
    with pytest.raises(SystemExit) as caught:
        heard(worker)
    assert caught.value.code == 1
