"""The 24 scripts with a mistake, in the order of the draw, and the six sound ones."""

from __future__ import annotations

from dataclasses import replace

from tests.doctor.nineteenth import mistakes_a, mistakes_b_named, mistakes_c
from tests.doctor.nineteenth.common import Script
from tests.doctor.nineteenth.sound import SOUND

ORDER = (
    "policy_sign",
    "no_activation",
    "canonical_policy_not_turned",
    "previous_mover",
    "policy_previous_move",
    "accumulation",
    "plain_list",
    "value_loss_not_added",
    "big_init",
    "softmax_dim0",
    "kl_without_log",
    "lr_low",
    "weight_decay",
    "relu_logits",
    "other_net",
    "red_label_mover_read",
    "pm1_into_bce",
    "frozen_trunk",
    "broadcast",
    "openings_only",
    "tiny_value_weight",
    "tanh_bce_logits",
    "mirror",
    "policy_col_major",
)
_all = {**mistakes_a.SCRIPTS, **mistakes_b_named.SCRIPTS, **mistakes_c.SCRIPTS}
SCRIPTS: dict[str, Script] = {
    name: replace(_all[name], named_by="(?s)" + _all[name].named_by) for name in ORDER
}
__all__ = ["SCRIPTS", "SOUND", "Script"]
