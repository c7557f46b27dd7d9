"""The sets of slips inside a training pipeline, from the twentieth on, and their controls.

Each was drawn from a list of likely mistakes by another author, who had read no check, and was put
aside as a whole until it had been run once.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from tests.doctor.slips import Slip

NUMBERS = (
    "twentieth",
    "twenty_first",
    "twenty_second",
    "twenty_third",
    "twenty_fourth",
    "twenty_fifth",
    "twenty_sixth",
    "twenty_seventh",
    "twenty_eighth",
    "twenty_ninth",
    "thirtieth",
    "thirty_first",
    "thirty_second",
)
_PARTS = ("data", "labels", "training", "reports")  # only the twentieth has labels apart


def _slips_of(number: str) -> dict[str, Slip]:
    names = [f"tests.doctor.slips_{number}_{part}" for part in _PARTS]
    modules = [import_module(name) for name in names if find_spec(name) is not None]
    return {name: slip for module in modules for name, slip in module.SLIPS.items()}


PIPELINES: dict[str, dict[str, Slip]] = {number: _slips_of(number) for number in NUMBERS}
CONTROLS_OF_PIPELINES: dict[str, Slip] = {
    name: control
    for number in NUMBERS
    for name, control in import_module(f"tests.doctor.controls_of_{number}").CONTROLS.items()
}
