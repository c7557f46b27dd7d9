from __future__ import annotations

from pathlib import Path

import pytest

from hexsearch.config.files.load import apply_setting, load_study, read_study
from hexsearch.config.files.yaml_text import dump_yaml, parse_yaml
from hexsearch.config.study import StudyConfig
from hexsearch.errors import ConfigError

SPACES = sorted((Path(__file__).parents[3] / "search_spaces").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text("question: test?\n" + text)
    return path


def problems_of(path: Path, *settings: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_study(path, settings)
    return [problem.replace(str(path), "space.yaml") for problem in caught.value.problems]


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_shipped_space_loads_and_states_its_question_on_line_one(path: Path) -> None:
    question = load_study(path).question
    assert path.read_text().splitlines()[0] == f"# Question: {question[0].lower()}{question[1:]}"


def test_numbers_in_scientific_notation_are_numbers() -> None:
    assert parse_yaml("[1e-3, 1.5E+2, 1.0e-3]", "x") == [0.001, 150.0, 0.001]


def test_words_that_yaml_1_1_takes_for_booleans_stay_text() -> None:
    assert parse_yaml("[on, no, y, off]", "x") == ["on", "no", "y", "off"]
    assert parse_yaml("[true, False]", "x") == [True, False]


def test_a_key_given_twice_is_a_fault_with_both_lines() -> None:
    with pytest.raises(ConfigError, match="line 3: key 'a' is given twice, first in line 1"):
        parse_yaml("a: 1\nb: 2\na: 3\n", "file.yaml")


def test_a_syntax_fault_names_its_line() -> None:
    with pytest.raises(ConfigError, match=r"file\.yaml line 3"):
        parse_yaml("a: 1\nb: [\n", "file.yaml")


def test_all_faults_are_listed_at_once_with_path_and_suggestion(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "scheduler: {redution_factor: 3, max_t: many}\n"
        "trial: {value_head: 512-64-1, optimiser: {schedule: onecycle}, augment: 1}\n"
        "sarch: {}\n",
    )
    assert problems_of(path) == [
        "space.yaml: trial.value_head: '512-64-1' is not a value head; write '512->1', "
        "'512->64->1', 'reduced 512->64->1', 'flatten 512->4->128->1', 'mean_max 512->64->1', "
        "'gpool reduced 512->32->64->1', 'attention 512->64->1', or an import path "
        "'package.module:factory'",
        "space.yaml: trial.optimiser.schedule: unknown value 'onecycle'; did you mean 'one_cycle'?",
        "space.yaml: trial.augment: expected true or false, got 1",
        "space.yaml: scheduler.max_t: expected a whole number, got 'many'",
        "space.yaml: scheduler.redution_factor: unknown key; did you mean 'reduction_factor'?",
        "space.yaml: sarch: unknown key; did you mean 'search'?",
    ]


def test_a_grace_period_beyond_the_budget_is_refused_with_both_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "scheduler: {grace_period: 40000, max_t: 27000}\n")
    (problem,) = problems_of(path)
    assert "grace_period is 40,000 positions but max_t is 27,000" in problem


@pytest.mark.parametrize("given", ["0", "-5", "2.5", "soon", "true"])
def test_a_grace_period_is_auto_or_a_whole_number(tmp_path: Path, given: str) -> None:
    (problem,) = problems_of(write(tmp_path, f"scheduler: {{grace_period: {given}}}\n"))
    assert "scheduler.grace_period: expected auto or a whole number" in problem


def test_a_head_that_does_not_fit_the_trunk_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, "trial: {value_head: 256->1}\n"))
    assert "takes 256 features, but trunk small has 512" in problem


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: cannot be read: No such file"):
        load_study(tmp_path / "no.yaml")


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected a mapping of sections, got list"):
        load_study(path)


def test_set_fixes_a_searched_dimension_and_those_below_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "search:\n  curriculum: {choice: [all, last_k]}\n  curriculum.k: {int: [4, 8]}\n"
        "  readout: {choice: [bce, tanh_mse]}\n"
        "enqueue: [{curriculum: all, readout: bce}]\n",
    )
    config = load_study(path, ["curriculum=final"])
    assert set(config.search) == {"readout"}
    assert config.enqueue == [{"readout": "bce"}]
    assert config.trial.curriculum.name == "final"


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("learning_rate=0.01", "did you mean 'optimiser.learning_rate'?"),
        ("learning_rat=0.01", "did you mean 'optimiser.learning_rate'?"),
        ("lr=0.01", "here it is called optimiser.learning_rate"),
        ("trials=3", "did you mean 'run.trials'?"),
        ("max_t=100", "did you mean 'scheduler.max_t'?"),
        ("batchsize=8", "did you mean 'batch_size'?"),
        ("board_size=10", "did you mean 'data.board_size'?"),
    ],
)
def test_a_setting_of_a_deeper_section_is_suggested_with_its_path(
    tmp_path: Path, setting: str, hint: str
) -> None:
    key = setting.partition("=")[0]
    assert problems_of(write(tmp_path, ""), setting) == [f"--set {key}: unknown key; {hint}"]


def test_a_fault_in_a_setting_blames_the_setting_and_not_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "run: {retries: -1}\nsearch: {batch_size: {choice: [32, 64]}}\n")
    given = ["optimiser.learning_rate=-1", "trial.augment=1", "run.trials=none"]
    assert problems_of(path, *given) == [
        "--set optimiser.learning_rate: must be above 0, got -1",
        "--set trial.augment: expected true or false, got 1",
        "--set run.trials: expected a whole number, got 'none'",
        "space.yaml: run.retries: must be 0 or more, got -1",
    ]


def test_set_refines_a_preset_without_losing_it(tmp_path: Path) -> None:
    path = write(tmp_path, "trial: {trunk: tiny}\n")
    trunk = load_study(path, ["trial.trunk.norm=group"]).trial.trunk
    assert (trunk.preset, trunk.norm, trunk.channels) == ("tiny", "group", (8, 16))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("trunk.preset", "expected key=value"),
        ("trnk.preset=tiny", "did you mean 'trunk'"),
        ("batch_size.x=1", "which has no keys below it"),
    ],
)
def test_a_setting_that_leads_nowhere_is_a_fault(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        apply_setting({"trial": {"batch_size": 64}}, setting)


def test_a_resolved_configuration_survives_being_written_and_read(tmp_path: Path) -> None:
    config = load_study(SPACES[0])
    dumped = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert StudyConfig.model_validate(parse_yaml(dump_yaml(dumped), "x")) == config


def test_a_setting_below_a_searched_dimension_is_not_lost(tmp_path: Path) -> None:
    space = write(tmp_path, "search:\n  readout: {choice: [bce, sigmoid_mse]}\n")
    (problem,) = problems_of(space, "readout.label_smoothing=0.1")
    assert "--set readout.label_smoothing: readout is searched as a whole" in problem
    config = load_study(space, ["readout=bce", "readout.label_smoothing=0.1"])
    assert config.search == {}
    assert config.trial.readout.label_smoothing == 0.1


CONDITIONS = (
    "search:\n  optimiser.name: {choice: [adamw, sgd]}\n"
    "  optimiser.momentum: {float: [0.5, 0.9], when: {optimiser.name: sgd}}\n"
    "  optimiser.warmup: {float: [0.1, 0.2], when: {optimiser.name: adamw}}\n"
    "enqueue: [{optimiser.name: sgd, optimiser.momentum: 0.8}]\n"
)


def test_fixing_the_parent_of_a_condition_keeps_the_children_whose_condition_holds(
    tmp_path: Path,
) -> None:
    path, said = write(tmp_path, CONDITIONS), list[str]()
    raw = read_study(path, ["optimiser.name=sgd"], said.append)
    assert raw["search"] == {"optimiser.momentum": {"float": [0.5, 0.9], "when": {}}}
    assert raw["enqueue"] == [{"optimiser.momentum": 0.8}]
    (line,) = said
    assert "their condition fails: optimiser.warmup" in line
    assert set(load_study(path, ["optimiser.name=muon"]).search) == set()
