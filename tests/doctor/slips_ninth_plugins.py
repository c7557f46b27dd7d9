"""Slips of plug-ins that a search space names, as docs/own-networks.md describes them.

See `slips_ninth_scripts` for how the ninth set was written and for what counts as named.
"""

from __future__ import annotations

from typing import Any

from tests.doctor.slips import Slip, nothing

_HERE = "tests.doctor.plugins_ninth:"
_POLICY: dict[str, Any] = {"policy_head": {"weight": 1.0}}


def _network(name: str) -> dict[str, Any]:
    return {"network": _HERE + name, **_POLICY}


PLUGINS: dict[str, Slip] = {
    "attention over the batch": Slip(
        nothing,
        "batch|softmax|attention|rest of|other positions|alone",
        {"value_head": {"family": _HERE + "AttentionHead"}},
        cause="The softmax of the attention pooling runs over the batch instead of the cells, so "
        "an answer depends on the other positions of its batch.",
        report="forum, from memory: softmax over the wrong dimension in attention",
    ),
    "mean subtracted in training only": Slip(
        nothing,
        "train.*(eval|mode|infer)|eval.*train|mode|running|mean|shift|offset|bias|lean|constant"
        "|same side",
        {"value_head": {"family": _HERE + "CentredHead"}},
        cause="The head subtracts a running mean in training mode and not in eval mode, so "
        "that its answers are shifted by that mean.",
        report="forum, from memory: PopArt without its inverse",
    ),
    "focal loss with a sigmoid": Slip(
        nothing,
        "focal|proper|minim|least|disagree|calibrat|under-?confident|loss.*(probab|win_prob|sigmoid"
        "|read)|too (close|near|cautious)",
        {"readout": {"name": _HERE + "Focal"}},
        cause="The focal loss is least at another probability than the true one, so the "
        "sigmoid of the raw value is too near to one half.",
        report="forum, from memory: focal loss and calibration",
    ),
    "value in -1..1 clamped to a probability": Slip(
        nothing,
        "disagree|tanh|clamp|range|scale|half|win_prob|\\[-1|-1|read-?out|decod",
        {"readout": {"name": _HERE + "SignedShownClamped"}},
        cause="The loss trains a value in -1..1, and win_prob clamps it to 0..1 instead of "
        "halving it and adding one half: everything below an even game is shown as 0.",
        report="forum, from memory: value in -1..1 shown as a chance",
    ),
    "smoothing towards one side": Slip(
        nothing,
        "smooth|bias|disagree|too (high|optimist)|lean|shift|one side|calibrat|minim|least|target"
        "|win_prob",
        {"readout": {"name": _HERE + "Smoothed"}},
        cause="The smoothing takes the targets to 0.3 and 1 instead of 0.15 and 0.85, so "
        "every probability is too high.",
        report="forum, from memory: label smoothing of a binary target",
    ),
    "clipped logit": Slip(
        nothing,
        "clip|clamp|bound|limit|range|reach|0\\.05|0\\.95|saturat|cannot|never|gradient",
        {"readout": {"name": _HERE + "Clipped"}},
        cause="The logit is clipped to -3..3 in loss and probability, so no answer lies "
        "outside 0.05..0.95 and a clipped raw value gets no gradient.",
        report="forum, from memory: clipped value loss of PPO",
    ),
    "policy by columns": Slip(
        nothing,
        "(policy|move|logit).*(transpos|column|order|row|cell|mirror|chance|nothing)|transpos"
        "|column",
        _network("ByColumns"),
        cause="The policy logits are ordered by column * N + row instead of row * N + column.",
        report="forum, from memory: order of the cells of a policy",
    ),
    "first plane only": Slip(
        nothing,
        "plane.*(ignor|not used|unused|effect|influence|depend|read|differ)|ignores|(does not|not)"
        " (see|use|depend|react|read)|blind|only (the first|one) plane|stones of",
        _network("FirstPlane"),
        cause="The network reads the first plane only: it does not see the other side's stones.",
        report="forum, from memory: network for grey images used on planes",
    ),
    "network that ends in a tanh": Slip(
        nothing,
        "tanh|bound|range|limit|0\\.27|0\\.73|saturat|reach|cannot|never|squash|twice|confident",
        _network("EndsInTanh"),
        cause="The network's value ends in a tanh and the read-out applies a sigmoid to it, so "
        "no answer lies outside 0.27..0.73.",
        report="forum, from memory: tanh followed by a sigmoid",
    ),
    "value head on a detached trunk": Slip(
        nothing,
        "detach|(no|not|without).*gradient|gradient.*(no|not|zero|trunk)|cut|trunk.*(value|train)",
        _network("Detached"),
        cause="The value head gets detached features, so the value loss does not train the trunk.",
        report="forum, from memory: detach() between trunk and head",
    ),
    "eight layers of sigmoids": Slip(
        nothing,
        "vanish|gradient|sigmoid|activation|saturat|constant|same (answer|value)|trunk|nothing"
        "|not learn|chance|differ",
        {
            "trunk": {"family": _HERE + "sigmoid_trunk", "features": 32},
            "value_head": "32->1",
            **_POLICY,
        },
        cause="The trunk has a sigmoid after each of eight convolutions, through which the "
        "gradient vanishes and positions give the same features.",
        report="forum, from memory: deep network with sigmoid activations",
    ),
    "seed set inside the network": Slip(
        nothing,
        "seed|replicate|same (initial )?weights|equal weights|random|initial",
        _network("always_equal"),
        cause="The factory sets the seed of torch itself, so every seed gives the same initial "
        "weights and replicates are not independent.",
        report="forum, from memory: manual_seed in a constructor",
    ),
}
