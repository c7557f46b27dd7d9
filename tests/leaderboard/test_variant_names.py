"""Names of variants, as the leaderboard, the live view and the page write them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.history import TrialHistory


def named(**values: Any) -> str:
    dotted = {name.replace("__", "."): value for name, value in values.items()}
    return variant_name(cast(TrialHistory, SimpleNamespace(head="512->1", values=dotted)))


def test_the_stages_of_a_trunk_are_written_in_short() -> None:
    trunk = {"stem_kernel": 3, "channels": [24, 48], "blocks": [2, 1], "strides": [1, 2]}
    assert named(trunk=trunk) == "512->1 k3 24x2 48x1/2"
    further = {"activation": "mish", "squeeze_excitation": True, "global_pooling_every": 2}
    assert named(trunk={**trunk, **further}) == "512->1 k3 24x2 48x1/2 mish SE pooling=2"
    off = {"squeeze_excitation": False, "global_pooling_every": 0}
    assert named(trunk={**trunk, **off}) == "512->1 k3 24x2 48x1/2"


@pytest.mark.parametrize("given", ["small", {"stem_kernel": 3}])
def test_a_preset_or_a_part_of_a_trunk_stays_recognisable(given: Any) -> None:
    expected = "small" if given == "small" else "(stem_kernel:3)"
    assert named(trunk=given) == f"512->1 {expected}"


def test_what_is_switched_off_is_left_out_and_what_is_on_is_named() -> None:
    on = named(trunk__squeeze_excitation=True, auxiliary__ownership=0.15)
    off = named(trunk__squeeze_excitation=False, auxiliary__ownership=0.0)
    assert (on, off) == ("512->1 SE ownership=0.15", "512->1")


def test_numbers_keep_their_setting_and_words_do_not_need_it() -> None:
    assert named(optimiser__learning_rate=0.004, readout="bce") == "512->1 lr=0.004 bce"
