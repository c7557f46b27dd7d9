"""The output of `launch --dry-run`."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.config.section import as_yaml
from hexsearch.progress import duration
from hexsearch.search.placement import RULE


def render_plan(plan: dict[str, Any]) -> RenderableType:
    """A plan as text: dimensions, schedule, cost, samples."""
    dimensions = Table(title="searched", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("setting", "values", "only when"):
        dimensions.add_column(title)
    for dimension in plan["dimensions"]:
        when = ", ".join(
            f"{name}: {' or '.join(map(as_yaml, values))}"
            for name, values in dimension.get("when", {}).items()
        )
        dimensions.add_row(dimension["name"], Text(_values(dimension)), Text(when))
    schedule = zip([*plan["rungs"], plan["max_positions"]], plan["trials_per_rung"], strict=True)
    steps = ", ".join(f"{max(1, round(trials)):,} reach {level:,}" for level, trials in schedule)
    samples = [
        Text(f"  {_settings(sample)}{_own(plan, positions)}")
        for sample, positions in zip(plan["samples"], plan["sample_positions"], strict=True)
    ]
    return Group(
        Text(plan["question"], style="bold"),
        dimensions,
        Text(_count(plan)),
        Text(
            f"trials: {plan['trials']}, {plan['slots']} at a time; expected by positions: {steps}"
        ),
        *([Text(_placement(plan))] if plan["most_trials_per_gpu"] > 1 else []),
        *([Text(f"in addition: {_phases(plan)}")] if plan["phases"] else []),
        Text(f"cost: {plan['positions']:,} positions{_counted(plan)}, {_duration(plan)}"),
        Text(f"checkpoints: at most {plan['disk_bytes'] / 1e6:,.0f} MB"),
        Text("for example:"),
        *samples,
    )


def _settings(sample: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in sample.items())


def _own(plan: dict[str, Any], positions: int) -> str:
    """On how many positions a network is trained, where that differs between networks."""
    return f": {positions:,} positions of its own" if plan["equal_compute"] else ""


def _placement(plan: dict[str, Any]) -> str:
    """What is known of trials that will share GPUs before it is measured how many do."""
    gpus = plan["gpus"]
    return (
        f"placement: on {gpus} GPU{'s' if gpus > 1 else ''}. The first minute measures how many "
        f"trials share one, up to {plan['most_trials_per_gpu']}: {RULE}. The cost below is that "
        "of one on each"
    )


def _counted(plan: dict[str, Any]) -> str:
    trunk = plan["equal_compute"]
    return f" of {trunk}, or as many operations of other networks" if trunk else ""


def _phases(plan: dict[str, Any]) -> str:
    """Such as `race at most 12, confirm at most 9 whole trainings`, in the order of the phases."""
    counts = [
        f"{phase['phase']} {'at most' if phase['at_most'] else 'about'} {phase['trainings']:g}"
        for phase in plan["phases"]
    ]
    return ", ".join(counts) + " whole trainings"


def _count(plan: dict[str, Any]) -> str:
    count, combinations = plan["configurations"], plan["combinations"]
    if count is None:
        return "configurations: without limit, since a float is searched"
    text = f"configurations: {count:,}"
    if count < combinations:
        text += f" different ones, of {combinations:,} combinations"
    if count <= plan["trials"]:
        text += "; each is tried, and the other trials are further seeds"
    return text


def _values(dimension: dict[str, Any]) -> str:
    if dimension["kind"] == "choice":
        return ", ".join(map(as_yaml, dimension["choices"]))
    scale = ", log scale" if dimension["log"] else ""
    return f"{dimension['kind']} {dimension['low']:g} to {dimension['high']:g}{scale}"


def _duration(plan: dict[str, Any]) -> str:
    seconds = plan["estimated_seconds"]
    if seconds is None:
        return "no estimate: trials need a GPU, and this machine has none"
    text = f"about {duration(seconds)} of training"
    hours = plan["gpu_hours"]
    return text if hours is None else f"{text}, {hours:,.1f} GPU hours"


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else as_yaml(value)
