from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hexsearch.cli.main import main
from hexsearch.config.section import build
from hexsearch.config.study import StudyConfig
from hexsearch.errors import LedgerError
from hexsearch.leaderboard.agreement import HeadRuns, agreement, finished_runs
from hexsearch.leaderboard.phase_sentences import agreement_sentence
from hexsearch.ledger.events import Decided, Reported, StudyOpened
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.game_losses import write_game_losses
from hexsearch.ledger.ledger import Ledger
from hexsearch.search.reruns import PlannedRun
from hexsearch.search.space_parsing import build_space
from hexsearch.statistics.intervals import Floats
from hexsearch.training.metrics import GameLosses
from tests.search.simulation import report
from tests.statistics.simulated import World

WORLD = World(variants=8, seeds=3, variant_game=0.002, seed_game=0.005)
CLEAR: Floats = np.linspace(0.16, 0.23, 8)
NAMES = tuple(f"head {number}" for number in range(8))


def runs(truth: Floats, seed: int, names: tuple[str, ...] = NAMES) -> HeadRuns:
    return HeadRuns("elsewhere", names, WORLD.judge(truth, np.random.default_rng(seed)), 1000)


def test_the_same_clear_order_is_seen_to_be_the_same() -> None:
    truth = CLEAR
    found = agreement(runs(truth, 0), runs(truth, 1))
    assert found.tau == pytest.approx(1.0)
    assert found.pairs == found.same_order == 28
    assert found.real == found.real_same_order == found.real_found == 28
    assert found.by_chance < 0.001
    assert "28 of 28 pairs in the same order; of 28 significant" in agreement_sentence(found)


def test_heads_are_matched_by_name_not_by_place() -> None:
    truth = CLEAR
    turned = runs(truth[::-1], 1, NAMES[::-1])
    assert agreement(runs(truth, 0), turned).tau == pytest.approx(1.0)
    fewer = runs(truth, 0).only(["head 5", "head 1", "head 6"])
    found = agreement(fewer, turned)
    assert (found.heads, found.pairs, found.same_order) == (3, 3, 3)


def test_a_tie_on_the_trunk_hides_what_is_real_apart() -> None:
    truth = CLEAR
    found = agreement(runs(np.full(8, 0.16), 0), runs(truth, 1))
    assert found.real == 28
    assert found.real_found < 4


def test_where_nothing_differs_nothing_is_there_to_agree_with() -> None:
    found = agreement(runs(np.full(8, 0.16), 0), runs(np.full(8, 0.16), 1))
    assert found.real == 0
    assert "no difference is significant there" in agreement_sentence(found)
    level = runs(np.full(8, 0.16), 0)
    level.paired.table.sums[:] = 0.16 * level.paired.table.counts
    assert (agreement(level, level).tau, agreement(level, level).by_chance) == (0.0, 1.0)


def test_chance_is_as_likely_as_it_says() -> None:
    rng = np.random.default_rng(3)
    said = []
    for seed in range(200):
        orders = [rng.permutation(CLEAR) for _ in range(2)]
        said.append(agreement(runs(orders[0], seed), runs(orders[1], seed + 1000)).by_chance)
    assert 0.01 <= np.mean(np.array(said) < 0.1) <= 0.19


def stored(folder: StudyFolder, losses: dict[str, list[float]]) -> list[str]:
    """A finished study: value loss of each seed of each head; the heads' variants."""
    space = build_space(
        build(StudyConfig, {"question": "?", "search": {"value_head": {"choice": [*losses]}}}, "")
    )
    ledger = Ledger(folder.ledger)
    ledger.append(StudyOpened(trials=4))
    keys, number = [], 0
    for head, seeds in losses.items():
        for replicate, loss in enumerate(seeds):
            run = PlannedRun.of(space.resolve({"value_head": head}), {}, replicate, "tpe")
            name = f"t{number:04d}"
            ledger.append(run.suggested(name, number, seed=replicate))
            ledger.append(Reported(trial=name, report=report(256, loss)))
            ledger.append(
                Decided(trial=name, positions_seen=256, value_loss=loss, decision="complete")
            )
            number += 1
            counts = np.tile(np.array([0, 10, 0], dtype=np.int32), (40, 1))
            hard = np.random.default_rng(0).normal(loss, 0.05, 40)
            sums = (counts * hard[:, None]).astype(np.float32)
            write_game_losses(folder.trial(name), 256, GameLosses(np.arange(40), sums, counts))
        keys.append(run.variant)
    ledger.close()
    return keys


def test_a_study_is_read_for_the_heads_that_it_shares(tmp_path: Path) -> None:
    cup, study = StudyFolder(tmp_path / "cup"), StudyFolder(tmp_path / "study")
    keys = stored(
        cup, {"512->1": [0.20, 0.21], "512->32->1": [0.30, 0.31], "512->8->1": [0.1, 0.1]}
    )
    stored(study, {"512->32->1": [0.29, 0.29], "512->1": [0.20, 0.21], "512->16->1": [0.1]})
    found = agreement(finished_runs(cup, keys), finished_runs(study, keys))
    assert (found.where, found.heads, found.seeds, found.positions) == ("study", 2, 2, 256)
    assert (found.pairs, found.same_order) == (1, 1)


def test_a_study_of_other_heads_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = StudyFolder(tmp_path / "study")
    keys = stored(study, {"512->1": [0.20]})
    with pytest.raises(LedgerError, match="finished runs of 1 of the comparison's heads"):
        finished_runs(study, [*keys, "other"])
    command = ["compare", "search_spaces/smoke.yaml", "--results", str(tmp_path / "results")]
    command += ["--set", "optimiser.learning_rate=4e-3", "--against", str(study.path)]
    assert main(command) == 2
    assert "no study.yaml" in capsys.readouterr().err
    config = build(StudyConfig, {"question": "?"}, "")
    study.write_description(config, [], "")
    assert main(command) == 2
    assert "of the comparison's heads, but two are needed" in capsys.readouterr().err
    study.write_description(config.model_copy(update={"phases": ("compare",)}), [], "")
    assert main(command) == 2
    assert "is a comparison, whose heads share trunks" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
