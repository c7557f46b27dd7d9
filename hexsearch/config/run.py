"""How many trials, on what, for how long, and where their files go."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from hexsearch.config.section import MAX_TEXT, Section, tuple_from_list

MAX_TRIALS = 100_000  # of one study
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([smhd]?)\Z")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: object) -> object:
    """Seconds of `90`, `90s`, `10m`, `1.5h` or `2d`; anything but text is passed through.

    Raises:
        ValueError: text that is no duration.
    """
    if isinstance(text, str):
        match = _DURATION.match(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no duration; write 90s, 10m, 1.5h or 2d")
        return float(match[1]) * _SECONDS[match[2]]
    return text


_MAX_SECONDS = 10 * 366 * 86_400.0
_FINEST_SHARE = 0.01  # of a GPU; torch limits memory by whole percents
Seconds = Annotated[float | None, BeforeValidator(parse_duration)]


class RunConfig(Section):
    """How many trials, on what."""

    trials: int = Field(50, ge=1, le=MAX_TRIALS, description="that the search is to have")
    seed: int = Field(0, ge=0, lt=2**63, description="of everything that is drawn")
    cpus_per_trial: int = Field(
        1, ge=1, le=4096, description="also the threads that a trial may use"
    )
    gpus_per_trial: float = Field(
        0.0,
        ge=0.0,
        le=1024.0,
        description="0 trains on the CPU; a fraction shares a GPU between trials; above 1 only "
        "whole numbers",
    )
    max_concurrent: int | None = Field(
        None, ge=1, le=MAX_TRIALS, description="trials at once; null fills the machine"
    )
    time_budget: Seconds = Field(
        None,
        gt=0.0,
        le=_MAX_SECONDS,
        description="seconds (or 10m, 2h) after which no trial is started and running ones are "
        "kept for resume",
    )
    position_budget: int | None = Field(
        None,
        ge=1,
        le=10**15,
        description="Positions that the whole study may train on; then running trials are kept for "
        "a resume.",
    )
    gpu_hours: float | None = Field(
        None,
        gt=0.0,
        le=1e7,
        description="Of all trials, at gpus_per_trial each; then running trials are kept for a "
        "resume.",
    )
    stop_pruning_near_end: bool = Field(
        True,
        description="Prune no more once what is left of a budget would not carry a fresh trial to "
        "its end; false where a study is run in slices and will be resumed.",
    )
    hang_timeout: Seconds = Field(
        7200.0,
        gt=0.0,
        le=_MAX_SECONDS,
        description="Seconds in which a trial must come to a report; a worker that does not is "
        "ended with its traceback kept, and the trial retried from its last checkpoint. null waits "
        "for ever.",
    )
    report_seconds: Seconds = Field(
        None,
        gt=0.0,
        le=_MAX_SECONDS,
        description="Report and save at least so often, besides the rungs; decisions fall at rungs "
        "alone.",
    )
    retries: int = Field(
        1, ge=0, le=1000, description="how often a trial that raised is tried again"
    )
    optuna_storage: str | None = Field(
        "journal",
        max_length=MAX_TEXT,
        description="Optuna storage kept beside the ledger for optuna-dashboard: `journal` is a "
        "file in the study's folder; else a database URL; null keeps none.",
    )
    callbacks: Annotated[tuple[str, ...], BeforeValidator(tuple_from_list)] = Field(
        (),
        max_length=20,
        description="Import paths, package.module:factory, of callbacks that are told what happens "
        "in the study.",
    )
    paused_checkpoints_gb: float = Field(
        10.0,
        ge=0.0,
        le=1e6,
        description="disk for the checkpoints of paused trials; beyond it those that promise least "
        "are pruned",
    )
    keep_checkpoints: int = Field(
        3, ge=0, le=MAX_TRIALS, description="the best k completed trials keep theirs"
    )
    trial_files: str | None = Field(
        None,
        max_length=MAX_TEXT,
        pattern=r"^\w[\w+.-]*://.",
        description="Where trials of a cluster without a shared folder keep their files: "
        "s3://bucket/studies.",
    )

    @field_validator("gpus_per_trial")
    @classmethod
    def _can_be_placed(cls, share: float) -> float:
        if share > 1.0 and share != int(share):
            raise ValueError(
                f"{share:g}: above 1 only whole GPUs can be given to a trial; write "
                f"{int(share)} or {int(share) + 1}"
            )
        if 0.0 < share < _FINEST_SHARE:
            raise ValueError(f"{share:g}: the smallest share of a GPU is {_FINEST_SHARE:g}")
        return share
