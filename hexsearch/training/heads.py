"""Checks that value heads can share a trunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hexsearch.config.trial import TrialConfig
from hexsearch.errors import ConfigError

Mode = Literal["joint", "probe"]  # whether the value heads train the trunk; see training/step.py

_MAY_DIFFER = {"value_head", "readout"}


def check_heads(configs: Sequence[TrialConfig], mode: Mode, frozen: bool = False) -> None:
    """Check that heads can share a trunk.

    Args:
        frozen: the trunk comes from a checkpoint and is not trained.
    Raises:
        ConfigError: they cannot; one line for each reason.
    """
    first = configs[0]
    problems = [
        f"value_head {config.value_head.name}: its trial differs from that of "
        f"{first.value_head.name} in {name}; heads on one trunk may differ only in value_head and "
        "readout"
        for config in configs[1:]
        for name in TrialConfig.model_fields
        if name not in _MAY_DIFFER and getattr(config, name) != getattr(first, name)
    ]
    if first.network is not None and (len(configs) > 1 or mode == "probe" or frozen):
        problems.append(
            f"network {first.network.name}: a whole network has no trunk that other value heads "
            "could share; compare networks by a search"
        )
    alone = len(configs) == 1 and mode == "joint"
    if not alone and (first.precision == "float16" or first.compile == "always"):
        problems.append(
            "precision: float16 and compile: always are only for trials with one head in mode "
            "joint; leave them out"
        )
    if frozen and mode != "probe":
        problems.append(f"mode {mode} would train the trunk, which is frozen; use mode probe")
    if frozen and first.auxiliary.weights:
        problems.append(
            f"auxiliary {', '.join(first.auxiliary.weights)}: these heads would train the trunk, "
            "which is frozen; leave them out"
        )
    trains = frozen or first.policy_head.weight or first.auxiliary.weights
    if mode == "probe" and not trains:
        problems.append(
            "policy_head.weight is 0: in mode probe nothing would train the trunk; raise it, or "
            "use mode joint"
        )
    if problems:
        raise ConfigError(problems)
