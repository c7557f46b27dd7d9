"""The causes of the mistakes of mistakes_b, and what names them."""

from __future__ import annotations

from tests.doctor.nineteenth.common import Script
from tests.doctor.nineteenth.mistakes_b import TRAIN_B

CAUSES: dict[str, tuple[str, str]] = {
    "accumulation": (
        "The gradients of eight parts are summed without dividing the loss by eight, so each "
        "step is eight times too large for the learning rate of 0.2.",
        r"^(?!.*zero_grad.*(missing|forg[eo]t|never|not|absent)).*((divid|averag|\bmean\b|"
        r"scal).*(accumul|backward|micro|parts|summed)|(accumul|backward|micro|parts|summed)"
        r".*(divid|averag|\bmean\b|scal)|effective learning rate|accumulation)",
    ),
    "lr_low": (
        "The learning rate of 1e-6 is far too low.",
        r"(learning rate|\blr\b).*((too|very|far|so) (low|small|tiny)|raise|increase|larger|"
        r"higher|0\.000001|1e-0?6)"
        r"|(steps?|updates?) (are|is) \w* ?\w* ?(small|tiny|little)|(raise|increase|larger|"
        r"higher|bigger).*(learning rate|\blr\b)",
    ),
    "weight_decay": (
        "The weight decay of 0.1 with SGD is far too high.",
        r"weight[-_ ]?decay|\bdecay|\bL2\b|regulari[sz]",
    ),
    "other_net": (
        "The optimiser holds the parameters of another network than the one that is trained.",
        r"^(?!.*(regist|modulelist|froz|freez|requires_grad)).*(optimi[sz]er"
        r".{0,80}(another|other|different|copy|old|stale|not (the )?(those|parameters|weights)|"
        r"(n't|not) (hold|have|contain|own|know)|none of|no parameter|not given|wrong|before)"
        r"|\b(another|other|different) (copy|network|model|net|module)|\b(not|none|never|"
        r"outside)\b ?(in|of|part of|given to|known to|held by|"
        r"among)?.{0,60}\boptimi[sz]er\b(?!\.step))",
    ),
    "frozen_trunk": (
        "The trunk has random weights but is frozen (requires_grad False), so only the heads "
        "learn.",
        r"^(?!.*(regist|modulelist|parameters\(\))).*(froz|freez|requires_grad|\b(trunk|body|"
        r"layers?|weights|parameters|tower|stem|convolutions)\b"
        r".*\b(not|never|no|nothing|without|out of)\b.*(train|gradient|updat|learn|chang|"
        r"optimi|move)"
        r"|only the heads)",
    ),
    "plain_list": (
        "The blocks are in a Python list, so they are not registered and the optimiser never "
        "gets their weights.",
        r"modulelist|regist|(python|plain) list|\b(trunk|body|layers?|blocks?|weights|"
        r"parameters|tower)\b.*\b(not|never|no|none|without|missing|outside|out of)\b"
        r".*(train|optimi|updat|learn|chang|parameters\(\))",
    ),
    "no_activation": (
        "There is no activation between the layers, so the network is linear.",
        r"(no|without|missing|lacks?|needs?|add|put|any|an|between)\b.*(activation|non-?linear|"
        r"relu)|\b(is|purely|wholly|entirely|only|as|a|one|stays) linear\b"
        r"|linear (function|map|model|network|in )|non-?linearit",
    ),
    "big_init": (
        "The initial weights are far too large (standard deviation 1).",
        r"initiali[sz]|\binit\b|init\.|initial (weights|values|scale|outputs?|logits|loss)|"
        r"(weights|outputs?|logits|activations?|signals?|features)"
        r".*(explo|huge|(far|much|very|too) (large|big)|saturat|blow|grow)|at the (start|"
        r"beginning).*(large|huge|saturat)|saturat.*(start|first)",
    ),
    "relu_logits": (
        "A ReLU after the last policy layer keeps the logits from being negative.",
        r"^(?!.*(between the|non-?linearit)).*(relu|rectif|non-?negative|(never|not|no|cannot|"
        r"can't|none)\b.*(negative|below (0|zero))"
        r"|(clipped|clamped|cut) (off )?at (0|zero)|exactly (0|zero)"
        r"|activation (on|after|at).*(policy|logit))",
    ),
}
SCRIPTS: dict[str, Script] = {
    name: Script(train, load, encode, CAUSES[name][1], CAUSES[name][0])
    for name, (train, load, encode) in TRAIN_B.items()
}
