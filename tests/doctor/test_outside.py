"""Scripts and files of the ninth to the eleventh set run, and the versions without a slip learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hexsearch.data.archive import GameArchive, build_archive
from tests.doctor import (
    slips_eleventh_plugins,
    slips_eleventh_scripts,
    slips_tenth_plugins,
    slips_tenth_scripts,
)
from tests.doctor.conftest import SIZE
from tests.doctor.controls_of_eleventh import CONTROLS as CONTROLS_OF_ELEVENTH
from tests.doctor.controls_of_ninth import CONTROLS as CONTROLS_OF_NINTH
from tests.doctor.controls_of_tenth import CONTROLS as CONTROLS_OF_TENTH
from tests.doctor.games import lopsided_games
from tests.doctor.games_files import GamesFile, imported
from tests.doctor.outside import Foreign, encoded, samples_of
from tests.doctor.outside_networks import SOUND
from tests.doctor.slips_ninth_games import GAMES
from tests.doctor.slips_ninth_scripts import SCRIPTS

_LEAST_AUC = 0.7
CONTROLS = {**CONTROLS_OF_NINTH, **CONTROLS_OF_TENTH, **CONTROLS_OF_ELEVENTH}
SOUND_SCRIPTS = {**SOUND, **{n: c for n, c in CONTROLS.items() if isinstance(c, Foreign)}}
FOREIGN = {
    **SOUND_SCRIPTS,
    **SCRIPTS,
    **slips_tenth_scripts.SCRIPTS,
    **slips_eleventh_scripts.SCRIPTS,
}
FILES = {
    **GAMES,
    **slips_tenth_plugins.GAMES,
    **slips_eleventh_plugins.GAMES,
    **{n: c for n, c in CONTROLS.items() if isinstance(c, GamesFile)},
}


@pytest.fixture(scope="module")
def few() -> GameArchive:
    return build_archive(lopsided_games(60, SIZE))


def auc_of(script: Foreign, archive: GameArchive) -> float:
    """How often a position that Red wins has the higher answer, in games that were not trained."""
    network, encode = script.trained(archive, SIZE)
    samples = samples_of(archive, SIZE, first=1)
    with torch.no_grad():
        raw = network(encoded(samples, encode))[1]
        decode: Any = network.win_prob_red
        p = decode(raw, samples.to_move) if "mover" in decode.__name__ else decode(raw)
    won = samples.won.numpy() > 0
    order = np.argsort(p.numpy(), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    above = ranks[won].sum() - won.sum() * (won.sum() + 1) / 2
    return float(above / (won.sum() * (~won).sum()))


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND_SCRIPTS)
def test_a_script_without_a_slip_learns(
    name: str, archive: GameArchive, request: pytest.FixtureRequest
) -> None:
    if "transformer" in name:  # 0.66 after 250 steps, measured on 2026-11-27
        request.applymarker(pytest.mark.xfail(reason="it learns too slowly", strict=False))
    auc = auc_of(SOUND_SCRIPTS[name], archive)
    print(f"{name}: AUC {auc:.3f}")
    assert auc > _LEAST_AUC


@pytest.mark.slow
@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_network_from_outside_answers(name: str, few: GameArchive) -> None:
    network, encode = FOREIGN[name].begun(3).trained(few, SIZE)
    planes = torch.from_numpy(np.stack([encode(np.zeros((SIZE, SIZE), np.int8), -1)] * 2))
    with torch.no_grad():
        policy, value = network(planes)
    assert policy.shape == (2, SIZE * SIZE)
    assert len(value) == 2
    assert torch.isfinite(policy).all()
    assert torch.isfinite(value).all()


@pytest.mark.parametrize("name", FILES)
def test_a_file_from_outside_has_usable_games(name: str, few: GameArchive) -> None:
    games = imported(FILES[name], few)
    assert games is not None
    assert len(games) >= 20
