"""The engine's side of the Hex Text Protocol, asked anything: one reply to each line."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hexsearch.analysis.predictor import Predictor
from hexsearch.play.htp.session import HtpSession
from hexsearch.play.network_players import PolicyPlayer
from tests.fuzzing import SHORT, for_minutes

COMMANDS = (
    "name version protocol_version known_command list_commands boardsize clear_board play genmove "
    "undo showboard final_score time_left hexgui-analyze_commands hexsearch-win_probability "
    "hexsearch-policy hexsearch-principal_variation"
).split()
WORDS = (
    st.sampled_from([*"a1 b2 c3 e5 z9 black white b w green swap-pieces swap-sides resign".split()])
    | st.sampled_from(["5", "11", "-1", "nan", "inf", "1e400", "9" * 400, "0", "\t", "#", "\u0661"])
    | st.text(max_size=6)
)
LINES = st.lists(
    st.builds(
        lambda number, command, words: " ".join([*number, command, *words]),
        st.just([]) | st.lists(st.integers(0, 10**30).map(str), max_size=1),
        st.sampled_from(COMMANDS),
        st.lists(WORDS, max_size=3),
    )
    | st.sampled_from(["play black a1", "play white b2", "genmove black", "genmove white"])
    | st.text(max_size=30),
    max_size=25,
)


def check(predictor: Predictor, lines: list[str]) -> None:
    session = HtpSession(PolicyPlayer("policy", predictor), swap=True, resign_below=0.2)
    for reply in session.serve(lines):
        assert reply[0] in "=?" and reply.endswith("\n\n") and "\n\n" not in reply[:-2]


@given(lines=LINES)
@SHORT
def test_no_input_gets_anything_but_a_reply(predictor: Predictor, lines: list[str]) -> None:
    check(predictor, lines)


@pytest.mark.slow
def test_no_input_gets_anything_but_a_reply_for_minutes(predictor: Predictor) -> None:
    for_minutes("HTP scripts of up to 25 lines", partial(check, predictor), lines=LINES)
