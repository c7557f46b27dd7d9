"""Configurations whose training takes seconds."""

from __future__ import annotations

from hexsearch.config.trial import TrialConfig
from hexsearch.config.trunk import TRUNK_PRESETS, TrunkConfig

_LARGEST_TRUNK = 400_000  # trunk weights with which a few hundred steps still take seconds


def with_small_trunk(config: TrialConfig) -> TrialConfig:
    """The same configuration; a large trunk is replaced by a small one of the same kind."""
    if config.network is not None:
        return config
    trunk = config.trunk
    weights = sum(
        blocks * 18 * channels * channels
        for blocks, channels in zip(trunk.blocks, trunk.channels, strict=True)
    )
    if weights <= _LARGEST_TRUNK:
        return config
    small = TrunkConfig.model_validate(
        {
            **TRUNK_PRESETS["small"],
            "preset": "small",
            "features": trunk.features,
            "norm": trunk.norm,
            "activation": trunk.activation,
        }
    )
    return config.model_copy(update={"trunk": small})
