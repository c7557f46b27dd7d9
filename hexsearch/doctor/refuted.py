"""What answers suggest of a training, and the training that was watched refutes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from hexsearch.doctor.findings import Check, Finding
from hexsearch.doctor.own_training.watched import OwnTraining

_ENOUGH, _NEARLY_ALL = 40, 0.97  # rows whose label is known, and the share of known planes
_ELSE = (
    "the training that was watched has none of the faults that these answers suggest (planes, "
    "labels, losses and steps were as they should be), so this network is not what it makes: other "
    "or older weights are loaded, a part of them is not loaded, or something goes wrong later. "
    "From the answers alone: "
)
_WEAK = (
    "the network is weak, and the training that was watched has no fault that would explain "
    "it (planes, labels, losses and steps were as they should be, as far as they could be seen): "
    "too short a training, too few games, too small a network, or what comes with more games only. "
    "From the answers alone: "
)

_MORE = (
    "train longer or on more games and ask again; if it stays weak, check that load() returns the "
    "weights of this training, and compare encode() with its planes"
)
_READ = (
    "the value is read as the training that was watched computes it, and another reading fits "
    "somewhat better: answers are too sure or too timid, as after few games, or other weights are "
    "loaded. From the answers alone: "
)
TOO_SURE = "the network is too sure"

_Found = tuple[Check | None, Finding]


def without_refuted(
    found: Sequence[_Found], own: OwnTraining | None, done: Collection[str]
) -> list[_Found]:
    """Leave out other planes, and restate bad answers, where a training was watched.

    Args:
        own: the training; None if none was given.
        done: names of the checks that ran.
    """
    if own is None or own.rows is None:
        return list(found)
    wrong = {f.check for c, f in found if c is not None and "own_training" in c.needs}
    seen = next((f for c, f in found if c is not None and "own_training" in c.needs), None)
    planes = own.rows.found.mean() >= _NEARLY_ALL and "training planes" in done
    labels = own.labels is not None and len(own.labels.rows) >= _ENOUGH
    kept: list[_Found] = []
    for check, finding in found:
        if planes and finding.check == "planes of the network":
            continue  # they are those of training
        if planes and not wrong and finding.check == "strength":
            if finding.severity == "warning" or TOO_SURE in finding.cause:
                finding = replace(finding, cause=_WEAK + finding.cause, remedy=_MORE)
            elif labels:
                finding = replace(finding, cause=_ELSE + finding.cause)
        elif wrong and finding.check == "strength" and seen is not None:
            cause = f"{seen.cause} (seen in its training). From the answers alone: {finding.cause}"
            finding = replace(finding, cause=cause, remedy=seen.remedy)
        if not wrong and own.formula is not None and finding.check == "reading of the value":
            finding = replace(finding, severity="warning", cause=_READ + finding.cause)
        kept.append((check, finding))
    return kept
