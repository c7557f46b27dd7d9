"""Checks that the parts of the network compute what the configuration asks for.

Stem, blocks and heads are computed again from their weights. Where the numbers differ, the same
part is computed with a step left out, repeated or exchanged, until one of these gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from hexsearch.analysis.predictor import in_eval_mode
from hexsearch.config.section import is_import_path
from hexsearch.config.trial import TrialConfig
from hexsearch.doctor.checks.training.configured_trunk import trunk_told
from hexsearch.doctor.findings import Finding, in_words
from hexsearch.doctor.hypotheses.configured.blocks import (
    Unlike,
)
from hexsearch.doctor.hypotheses.configured.compared import (
    Told,
    compared,
    core_of,
    fits,
    gap,
    relation,
)
from hexsearch.doctor.hypotheses.configured.heads import (
    auxiliary_of,
    other_values,
    policy_of,
    usual_pooling,
    value_of,
)
from hexsearch.doctor.pipeline import ExaminedPipeline, needed

_POSITIONS = 32
_GIVEN = "something that is not configured changes what its layers are given"
_REMEDY = "look for what is done there beside the layers of the configuration"


def check_configured(pipeline: ExaminedPipeline) -> Iterator[Finding]:
    """Compare what each part of the network gives with what is configured."""
    trial = needed(pipeline.finite)
    config = trial.config
    if config.network is not None or config.trunk.equivariant:
        return
    planes = torch.from_numpy(needed(pipeline.samples).planes[:_POSITIONS])
    network, shown = trial.network, trial.execution.show(planes)
    with torch.no_grad(), in_eval_mode(network.modules()):
        for part, module in network.parts().items():
            features = shown if part == "trunk" else network.trunk(shown)
            looks = {"trunk": trunk_told, "value_head": _value, "policy_head": _policy}
            look = looks.get(part, partial(_auxiliary, part))
            told = look(module, config, features, trial.encoder.size)
            told = told and (_changed_before(module, features) or told)
            if told:
                yield Finding(
                    "configured network",
                    "error" if told.is_known else "warning",
                    f"computed again from its weights for {len(planes)} positions: {told.evidence}",
                    f"the {in_words(part)} does not compute what is configured: {told.cause}",
                    _REMEDY,
                    root="configured",
                )
                return


def _changed_before(module: nn.Module, features: Tensor) -> Told | None:
    """What a part that is wrapped around the built-in one does to the numbers that it is given."""
    first = next((m for m in module.modules() if not list(m.children())), None)
    core = next((m for m in module.modules() if hasattr(m, "reduce") or hasattr(m, "stem")), first)
    given: list[Tensor] = []

    def keep(each: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        given.append(inputs[0].clone())

    if core is None or core is module:
        return None
    hook = core.register_forward_pre_hook(keep)
    try:
        module(features)
    finally:
        hook.remove()
    if len(given) != 1 or given[0].shape != features.shape:
        return None
    if fits(given[0], features):
        return None
    words, _ = relation(given[0], features, "the right one")
    evidence = f"it differs by up to {gap(given[0], features):.2g} standard deviations"
    cause = f"what it is given is made {words}" if words else _GIVEN
    return Told(cause, f"{evidence} where its layers begin", False)


def _value(module: nn.Module, config: TrialConfig, features: Tensor, size: int) -> Told | None:
    head = config.value_head
    core = core_of(module, ("reduce", "pooling", "layers"))
    if is_import_path(head.family) or core is None:
        return None
    try:

        def configured() -> Tensor:
            return value_of(core, head, features, usual_pooling(head))

        return compared(
            module(features),
            configured(),
            "the raw value",
            other_values(core, head, features),
            (lambda: module(features), configured),
        )
    except Unlike as other:
        return Told.of(other)


def _policy(module: nn.Module, config: TrialConfig, features: Tensor, size: int) -> Told | None:
    family = config.policy_head.family
    core = core_of(module, ("output",) if family == "linear" else ("layers", "size"))
    if is_import_path(family) or core is None or config.policy_head.weight == 0:
        return None
    try:
        right = policy_of(core, family, features, size)
        logits = module(features)
        if fits(logits.log_softmax(dim=1), right.log_softmax(dim=1)):
            return None  # a constant that is added to all logits changes nothing
        return compared(
            logits,
            right,
            "the policy's logits",
            iter(()),
            (lambda: module(features), lambda: policy_of(core, family, features, size)),
        )
    except Unlike as other:
        return Told.of(other)


def _auxiliary(
    part: str, module: nn.Module, config: TrialConfig, features: Tensor, size: int
) -> Told | None:
    core = core_of(module, ("layers",))
    if core is None:
        return None
    try:
        right = auxiliary_of(core, features, size)
        if right is None:
            return None
        runs = (lambda: module(features), lambda: auxiliary_of(core, features, size))
        return compared(module(features), right, f"the output of {part}", iter(()), runs)
    except Unlike as other:
        return Told.of(other)
