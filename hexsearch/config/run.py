"""Resources of a study: number of trials, devices, budgets, and places of files."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from hexsearch.config.section import MAX_TEXT, Section, printed, tuple_from_list

MAX_TRIALS = 100_000  # trials of one study
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([smhd]?)\Z")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: object) -> object:
    """Seconds of `90`, `90s`, `10m`, `1.5h` or `2d`. Values that are not text are returned as is.

    Raises:
        ValueError: the text is not a duration.
    """
    if isinstance(text, str):
        match = _DURATION.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a duration; write 90s, 10m, 1.5h or 2d")
        return float(match[1]) * _SECONDS[match[2]]
    return text


MAX_SECONDS = 10 * 366 * 86_400.0
_FINEST_SHARE = 0.01  # smallest share of a GPU; torch limits memory by whole percents
_MOST_CPUS, _MOST_GPUS = 4096, 1024
Seconds = Annotated[float | None, BeforeValidator(parse_duration)]


def _cpus(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value == "auto" or (whole and 1 <= value <= _MOST_CPUS):  # type: ignore[operator]
        return value
    raise ValueError(
        f"expected auto or a whole number of cores from 1 to {_MOST_CPUS:,}, got {printed(value)}"
    )


def _gpus(value: object) -> object:
    if value == "auto":
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0.0 <= value <= _MOST_GPUS:  # type: ignore[operator]
        raise ValueError(
            f"expected auto or a number of GPUs from 0 to {_MOST_GPUS:,}, got {printed(value)}"
        )
    share = float(value)  # type: ignore[arg-type]
    if share > 1.0 and share != int(share):
        raise ValueError(
            f"{share:g}: above 1, only whole GPUs can be given to a trial; write "
            f"{int(share)} or {int(share) + 1}"
        )
    if 0.0 < share < _FINEST_SHARE:
        raise ValueError(f"{share:g}: the smallest share of a GPU is {_FINEST_SHARE:g}")
    return share


_AUTO = {"const": "auto", "type": "string"}
Cpus = Annotated[
    int | Literal["auto"],
    PlainValidator(_cpus),
    WithJsonSchema({"anyOf": [_AUTO, {"type": "integer", "minimum": 1, "maximum": _MOST_CPUS}]}),
]
Gpus = Annotated[
    float | Literal["auto"],
    PlainValidator(_gpus),
    WithJsonSchema({"anyOf": [_AUTO, {"type": "number", "minimum": 0, "maximum": _MOST_GPUS}]}),
]


class RunConfig(Section):
    """Resources of a study."""

    trials: int = Field(50, ge=1, le=MAX_TRIALS, description="number of trials of the search")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of all random numbers")
    cpus_per_trial: Cpus = Field(
        "auto",
        description="CPU cores of each trial, and its number of threads; auto: one, or two on a "
        "GPU if there are enough",
    )
    gpus_per_trial: Gpus = Field(
        "auto",
        description="0: train on the CPU; a fraction: trials share a GPU; above 1 only whole "
        "numbers; auto: measured when the study starts, and 0 without a GPU",
    )
    max_concurrent: int | None = Field(
        None, ge=1, le=MAX_TRIALS, description="most trials at the same time; null: as many as fit"
    )
    autoscale_to: int | None = Field(
        None,
        ge=1,
        le=MAX_TRIALS,
        description="Number of trials for which a Ray cluster with an autoscaler may add nodes. "
        "Trials for which there is no room yet wait. null: only as many as fit.",
    )
    time_budget: Seconds = Field(
        None,
        gt=0.0,
        le=MAX_SECONDS,
        description="Time budget of the study, in seconds or as 10m, 2h. Then running trials are "
        "stopped, and the study can be resumed.",
    )
    position_budget: int | None = Field(
        None,
        ge=1,
        le=10**15,
        description="Budget of training positions for the whole study. Then running trials are "
        "stopped, and the study can be resumed.",
    )
    gpu_hours: float | None = Field(
        None,
        gt=0.0,
        le=1e7,
        description="Budget of GPU hours for all trials, with gpus_per_trial GPUs each. Then "
        "running trials are stopped, and the study can be resumed.",
    )
    stop_pruning_near_end: bool = Field(
        True,
        description="Stop pruning when the rest of a budget is too small for a new trial. Set it "
        "to false for a study that is run in slices and will be resumed.",
    )
    hang_timeout: Seconds = Field(
        7200.0,
        gt=0.0,
        le=MAX_SECONDS,
        description="Time limit between two reports of a trial, in seconds. A worker that exceeds "
        "it is ended, its traceback is kept, and the trial is retried from its last checkpoint. "
        "null: no limit.",
    )
    report_seconds: Seconds = Field(
        None,
        gt=0.0,
        le=MAX_SECONDS,
        description="Longest time between two reports with a checkpoint. Such reports lead to no "
        "decision; decisions are made at rungs only.",
    )
    retries: int = Field(
        1, ge=0, le=1000, description="number of retries of a trial that raised an error"
    )
    optuna_storage: str | None = Field(
        "journal",
        max_length=MAX_TEXT,
        description="Optuna storage that is written for optuna-dashboard: `journal` (a file in the "
        "study's folder) or the URL of a database; null: none.",
    )
    callbacks: Annotated[tuple[str, ...], BeforeValidator(tuple_from_list)] = Field(
        (),
        max_length=20,
        description="Import paths, package.module:factory, of callbacks that get the events of the "
        "study.",
    )
    paused_checkpoints_gb: float = Field(
        10.0,
        ge=0.0,
        le=1e6,
        description="Disk space for the checkpoints of paused trials. If it is exceeded, the least "
        "promising ones are pruned.",
    )
    keep_checkpoints: int = Field(
        3,
        ge=0,
        le=MAX_TRIALS,
        description="number of best completed trials whose checkpoints are kept",
    )
    trial_files: str | None = Field(
        None,
        max_length=MAX_TEXT,
        pattern=r"^\w[\w+.-]*://.",
        description="URL for the files of trials on a cluster without a shared folder, such as "
        "s3://bucket/studies.",
    )

    @property
    def cpus(self) -> int:
        """Cores of each trial. `auto` counts as 1 until a study has replaced it by a number."""
        return 1 if self.cpus_per_trial == "auto" else self.cpus_per_trial

    @property
    def gpus(self) -> float:
        """GPUs of each trial. `auto` counts as 0 until a study has replaced it by a number."""
        return 0.0 if self.gpus_per_trial == "auto" else self.gpus_per_trial
