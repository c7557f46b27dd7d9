"""Sound networks of users give no error and at most one warning."""

from __future__ import annotations

import pytest

from hexsearch.config.data import DataConfig
from hexsearch.data.archive import GameArchive
from hexsearch.doctor.examine import examine
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.pipeline import ExaminedPipeline
from tests.doctor.conftest import SIZE, Detected
from tests.doctor.healthy_networks import ENCODERS, Kind, train

KINDS = {
    "conv_logit": Kind(),
    "transformer": Kind(trunk="transformer"),
    "mixer": Kind(trunk="mixer"),
    "convnext_group_norm": Kind(trunk="convnext"),
    "win_draw_loss": Kind(value="list"),
    "bins_51": Kind(value="bins"),
    "signed_value": Kind(value="signed"),
    "mover_relative": Kind(view="mover"),
    "mover_relative_signed": Kind(view="mover", value="signed", trunk="convnext"),
    "mover_relative_list": Kind(view="mover", value="list"),
    "one_signed_plane": Kind(view="signed", value="signed"),
    "heavy_dropout": Kind(dropout=0.5),
    "label_smoothing": Kind(smoothing=0.1),
    "sgd": Kind(sgd=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_sound_network_of_a_user_raises_no_error(
    name: str, archive: GameArchive, detected: Detected
) -> None:
    kind = KINDS[name]
    network = ForeignNetwork(train(kind, archive, SIZE), ENCODERS[kind.view], SIZE)
    data = DataConfig(board_size=SIZE)
    examined = ExaminedPipeline(name, archive=archive, data=data, foreign=network)
    diagnosis = examine(examined)
    assert not diagnosis.errors, diagnosis.errors
    assert sum(f.severity == "warning" for f in diagnosis.findings) <= 1, diagnosis.findings
    detected(name, diagnosis, None)
