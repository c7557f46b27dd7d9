"""What a study is refused for before Ray starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hexsearch.config.section import is_import_path

if TYPE_CHECKING:
    from hexsearch.interface.studies import StudyPlan


def refuse_early(plan: StudyPlan) -> None:
    """Report faulty plug-ins and missing CPUs and GPUs. Only these need torch before Ray starts.

    Raises:
        ConfigError: a trial needs more CPUs or GPUs than this machine has.
        ContractError: a plug-in cannot be imported, raises, or breaks its contract.
        DiagnosisError: the doctor says the same of a plug-in.
    """
    run = plan.config.run
    too_large = run.cpus_per_trial > (os.cpu_count() or 1) or run.gpus_per_trial > 0
    if plan.address is None and too_large:
        from hexsearch.study.preflight import require_local_room

        require_local_room(run)
    if any(map(is_import_path, _texts(plan.config.model_dump(mode="json")))):
        from hexsearch.interface.doctor_check import check_components
        from hexsearch.study.preflight import check_components as check_contracts

        if plan.doctor:
            check_components(plan.label, plan.space, plan.config.data.board_size)
        else:
            check_contracts(plan.space, plan.config.data.board_size)


def _texts(value: Any) -> Iterator[str]:
    """Every text in plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
