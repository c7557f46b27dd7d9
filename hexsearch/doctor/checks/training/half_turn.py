"""Checks that an equivariant trunk treats a board and the turned board alike."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.configured.compared import gap
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 16
_CLOSE = 1e-3  # difference of equal numbers, in their standard deviations


def check_half_turn(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare features and answers on boards with those on the turned boards.

    The features of a turned board are those of the board, turned, with the halves of the channels
    exchanged; its value is equal, and its policy is turned.
    """
    trial, samples = needed(pipeline.finite), needed(pipeline.samples)
    if not trial.config.trunk.equivariant or trial.config.network is not None:
        return
    planes = torch.from_numpy(samples.planes[:_POSITIONS])
    network = trial.network
    with torch.no_grad(), in_eval_mode(network.modules()):
        shown, turned = (trial.execution.show(p) for p in (planes, planes.flip(-2, -1)))
        features, other = (network.trunk(each).float() for each in (shown, turned))
        outputs = [network(each) for each in (shown, turned)]
    half = features.shape[1] // 2
    unturned = torch.cat([other[:, half:], other[:, :half]], dim=1)
    back = unturned.flip(-2, -1)
    gaps = {"the trunk's features": gap(features, back)}
    if torch.isfinite(back).all() and gaps["the trunk's features"] > _CLOSE:
        first = gap(features[:, :half], back[:, :half])
        told = (
            "the features of the turned view are joined without being turned back"
            if min(gap(features[:, half:], unturned[:, half:]), first) < _CLOSE
            or gap(features, unturned) < _CLOSE
            else "the two views are joined, exchanged or turned in another way somewhere in it"
        )
    else:
        values, policies = ([o.value_raw for o in outputs], [o.policy_logits for o in outputs])
        gaps["values"] = gap(*(each.float() for each in values))
        gaps["policies"] = gap(policies[0].float(), policies[1].float().flip(-1))
        told = "a head takes one view alone, or does not turn the other one back"
    wrong = {name: apart for name, apart in gaps.items() if apart > _CLOSE}
    if wrong:
        name, apart = next(iter(wrong.items()))
        yield Finding.error(
            "half turn",
            f"{name} on {len(planes)} boards and on the same boards after a half turn differ by up "
            f"to {apart:.2g} standard deviations",
            f"trunk.equivariant is configured, and the network is not equivariant: {told}, so it "
            "answers a board and the turned board differently",
            "turn the maps of the second view back, and exchange the halves of the channels with "
            "them",
            root="configured",
        )
