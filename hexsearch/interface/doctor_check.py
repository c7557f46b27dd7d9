"""The doctor's quick checks before a study, which does not start if they find errors."""

from __future__ import annotations

from collections.abc import Callable

import torch

from hexsearch.config.run import RunConfig
from hexsearch.config.trial import TrialConfig
from hexsearch.data.collection.importing import ImportReport
from hexsearch.data.dataset import Dataset
from hexsearch.doctor.examine import examine
from hexsearch.doctor.findings import Diagnosis, Finding
from hexsearch.doctor.pipeline import ExaminedPipeline
from hexsearch.doctor.registry import QUICK
from hexsearch.errors import ContractError, DiagnosisError, PluginError
from hexsearch.search.space import SearchSpace, with_values
from hexsearch.study.preflight import check_components as check_contracts

# Every choice of these is checked.
_COMPONENTS = ("network", "readout", "value_head", "curriculum")


def configurations(space: SearchSpace) -> list[TrialConfig]:
    """The first configuration that would be trained, and one with each component searched."""
    found = [space.resolve(values) for values in space.enqueued] or [space.default]
    for dimension in space.dimensions:
        if dimension.name in _COMPONENTS:
            found += [with_values(found[0], {dimension.name: c}) for c in dimension.choices]
    return found


def check_components(label: str, space: SearchSpace, size: int = 13) -> None:
    """Check read-outs, heads and networks, which takes milliseconds and needs no games.

    Args:
        size: of the board.

    Raises:
        PluginError: code of a plug-in raised an error.
        DiagnosisError: there are errors; one line for each.
    """
    try:
        check_contracts(space, size)
    except PluginError:
        raise  # this error names the lines of the user's code, which a finding cannot hold
    except ContractError:
        pass  # the doctor reports a broken contract in more detail
    pipeline = ExaminedPipeline(label, configs=configurations(space))
    _refuse(examine(pipeline, [c for c in QUICK if set(c.needs) <= {"readouts", "configs"}]))


def games_examiner(
    label: str, space: SearchSpace, say: Callable[[str], None]
) -> Callable[[Dataset, ImportReport], list[str]]:
    """A function that examines the games of a study, and a short training on them.

    It returns one line for each warning, and raises a DiagnosisError if there are errors.
    """

    def look(dataset: Dataset, imported: ImportReport) -> list[str]:
        if not torch.cuda.is_available():
            torch.set_num_threads(1)
        pipeline = ExaminedPipeline(
            label,
            archive=dataset.archive,
            imported=imported,
            data=dataset.config,
            configs=configurations(space),
        )
        diagnosis = examine(pipeline, QUICK)
        _refuse(diagnosis)
        seconds = sum(diagnosis.seconds.values())
        say(f"doctor: {len(diagnosis.checks)} quick checks in {seconds:.0f} s, no error")
        return [_line(finding) for finding in diagnosis.findings if finding.severity == "warning"]

    return look


def hints(run: RunConfig) -> list[str]:
    """Hints for this machine, one line each."""
    gpus = torch.cuda.device_count()
    if not gpus and "gpus_per_trial" in run.model_fields_set and run.gpus_per_trial == "auto":
        return ["note: torch finds no GPU on this machine, so trials will train on its CPUs"]
    if not gpus or run.gpus_per_trial:
        return []
    return [
        f"hint: this machine has {gpus} GPU(s), but trials will train on the CPU "
        "(run.gpus_per_trial is 0); add --set run.gpus_per_trial=auto to use them"
    ]


def _refuse(diagnosis: Diagnosis) -> None:
    if diagnosis.errors:
        raise DiagnosisError(
            [
                *(_line(finding) for finding in diagnosis.errors),
                "the study was not started; correct this first, or launch with --no-doctor",
            ]
        )


def _line(finding: Finding) -> str:
    found = f"{finding.evidence}. {finding.cause}; {finding.remedy}"
    return f"doctor, {finding.check}: {found}"
