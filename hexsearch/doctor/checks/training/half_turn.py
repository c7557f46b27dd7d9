"""Checks that an equivariant trunk treats a board and the turned board alike."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.doctor.findings import Finding
from hexsearch.doctor.hypotheses.configured.compared import gap
from hexsearch.doctor.pipeline import ExaminedPipeline, needed
from hexsearch.model.equivariance import TwoViewConvolution

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
        return
    yield from _convolutions(trial.network.trunk, shown)


def _convolutions(trunk: nn.Module, shown: Tensor) -> Iterator[Finding]:
    """Compute each convolution that reads both views again from its weights.

    A trunk that joins the views wrongly may still treat a board and the turned board alike.
    """
    calls: list[tuple[str, TwoViewConvolution, Tensor, Tensor]] = []
    handles = [
        module.register_forward_hook(
            lambda module, given, out, name=name: calls.append((name, module, given[0], out))
        )
        for name, module in trunk.named_modules()
        if isinstance(module, TwoViewConvolution)
    ]
    try:
        with torch.no_grad(), in_eval_mode(trunk.modules()):
            trunk(shown)
    finally:
        for handle in handles:
            handle.remove()
    for name, module, given, found in calls:
        first, second = given.chunk(2)
        other = torch.cat([second, first])
        with torch.no_grad():
            expected, unturned = (
                nn.Conv2d.forward(module, torch.cat([given, each], dim=1))
                for each in (other.flip(-2, -1), other)
            )
        apart = gap(found.float(), expected.float())
        if not torch.isfinite(expected).all() or apart <= _CLOSE:
            continue
        told = (
            "reads the other view without turning it back: each cell is mixed with the opposite "
            "cell of the board"
            if gap(found.float(), unturned.float()) < _CLOSE
            else "joins the two views otherwise than configured"
        )
        yield Finding.error(
            "half turn",
            f"the output of convolution {name} of the trunk, computed again from its weights, "
            f"differs by up to {apart:.2g} standard deviations",
            f"a convolution of the equivariant trunk {told}",
            "exchange the views, and turn each of them, before the channels are joined",
            root="configured",
        )
        return
