"""Slips in the losses, the optimiser and the network, of the twentieth set.

See `slips_twentieth_data` for how the set was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hexsearch.config.optimiser import OptimiserConfig
from hexsearch.data.batch import Batch
from hexsearch.model.network import Network
from hexsearch.model.readout import Readout
from hexsearch.training.optimisation import optimiser as making
from hexsearch.training.optimisation import owner as steps
from hexsearch.training.optimisation.owner import Owner
from hexsearch.training.step import Stepper
from tests.doctor.slips import Around, Inject, Patch, Slip, in_losses, in_network, in_part


class Wrapped(Readout):
    """A read-out whose loss is made from another one's answers."""

    def __init__(self, inner: Readout) -> None:
        self.inner = inner
        self.proper, self.control = inner.proper, inner.control

    def win_prob(self, raw: Tensor) -> Tensor:
        return self.inner.win_prob(raw)


def with_readouts(kind: Callable[[Readout], Readout]) -> Inject:
    """Other read-outs in the training step alone."""

    def inject(patch: Patch) -> None:
        sound = Stepper._forward

        def forward(self: Any, batch: Batch, watched: bool) -> Any:
            own = self._readouts
            self._readouts = tuple(kind(readout) for readout in own)
            try:
                return sound(self, batch, watched)
            finally:
                self._readouts = own

        patch.setattr(Stepper, "_forward", forward)

    return inject


class _Rounded(Wrapped):
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (self.inner.win_prob(raw).round() - target).square()


def _cleared_too_late(patch: Patch) -> None:
    sound = Owner.step

    def step(self: Any, scaler: Any, look: bool) -> None:
        # A scaler that is in use needs gradients to look at, if only zeros.
        self.optimiser.zero_grad(set_to_none=not scaler.is_enabled())
        sound(self, scaler, look)

    patch.setattr(Owner, "step", step)


def _cleared_in_each_part(patch: Patch) -> None:
    sound = Stepper._send_back

    def send_back(self: Any, *arguments: Any) -> None:
        for owner in self.owners:
            owner.optimiser.zero_grad(set_to_none=True)
        sound(self, *arguments)

    patch.setattr(Stepper, "_send_back", send_back)


class _AlwaysDropout(nn.Dropout):
    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout(input, self.p)  # `training` is True unless it is given


def _always_dropout(network: Network) -> None:
    found = False
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, _AlwaysDropout(child.p))
                found = True
    if not found:  # the configuration has no dropout: somebody has added one to the head
        network.value_head = Around(network.value_head, before=partial(functional.dropout2d, p=0.3))


def _negated(losses: Any, batch: Batch, _: Any) -> Any:
    sign = 1.0 - 2.0 * batch.complement.float()
    return losses._replace(values=tuple(sign * value for value in losses.values))


def _detached(features: Tensor) -> Tensor:
    if features.is_leaf and features.requires_grad:  # of several heads: they await a gradient
        return features.detach() + 0.0 * features
    return features.detach()


def cleared_every(number: int | None) -> Inject:
    """Clear the gradients before every `number`-th step only; None never clears them."""

    def inject(patch: Patch) -> None:
        def prepare(self: Any, progress: float) -> None:
            steps.set_learning_rate(self.optimiser, self._config, progress)  # type: ignore[attr-defined]
            done = getattr(self, "prepared", 0)
            self.prepared = done + 1
            if number is not None and done % number == 0:
                self.optimiser.zero_grad(set_to_none=True)

        patch.setattr(Owner, "prepare", prepare)

    return inject


def _without_trunk(patch: Patch) -> None:
    sound = making.parameter_groups

    def groups_of(network: Any, config: OptimiserConfig) -> list[dict[str, Any]]:
        groups = sound(network, config)
        heads = [group for group in groups if group["owner"] != "trunk"]
        return heads or groups

    patch.setattr(making, "parameter_groups", groups_of)


_GRADIENTS_LEFT = (
    r"^(?!.*(clear|zero|reset)\w* (between|before) (the )?(optimi|step|update|backward))"
    r"(?!.*micro.?batch)"
    r".*(zero_grad|gradients?\b.{0,100}((not|never|only|seldom|rarely|without)\b.{0,30}(clear|ze"
    r"ro|reset|empt)|accumulat|stale|old|previous|earlier|last (step|batch)|left over|kept|carri"
    r"ed|add(s|ed)? (up|to)|pile|(sum|grow)\w*.{0,30}(step|batch|over))|(stale|old|accumulat\w*|"
    r"previous|earlier|left.?over|sum of( the)?)\b.{0,60}gradient)"
)


SLIPS: dict[str, Slip] = {
    "rounded answer in the value loss": Slip(
        with_readouts(_Rounded),
        r"^(?!.*(features?.{0,40}detach|detach\w* features|trunk gets)).*((loss|target|train\w*|"
        r"gradient)\b.{0,100}\bround|\bround\w*\b.{0,100}(loss|train|gradient)|threshold|argmax|"
        r"hard (answer|decision)|binari[sz]|step function|differentiab|(value|loss)\w*.{0,80}(no"
        r"|zero|without|vanish\w*|not? pass\w*) (any |a )?gradient|gradients?\b.{0,60}value.{0,6"
        r"0}(zero|\b0\b|none|vanish|missing|cut|absent)|value.{0,60}gradients?\b.{0,60}(zero|\b0"
        r"\b|none|vanish|missing|cut|absent)|value (loss|head)\b.{0,60}(detach|(not|never|nothin"
        r"g|no longer) (\w+ )?(train|learn|taught|reach|mov|chang)))",
        cause="The value loss is taken of the answer rounded to 0 or 1, so it has no gradient and "
        "nothing is learnt from the results.",
        report="from memory: (output > 0.5).float() in a loss, PyTorch forum",
    ),
    "gradients cleared before the step, again": Slip(
        _cleared_too_late,
        r"^(?!.*(micro.?batch|second step|other step|detach|value loss))(?!.*(not|never)( been| "
        r"being)? (clear|zeroed|reset|empt)).*(zero_grad|gradients?\b.{0,80}(clear|zero|reset|em"
        r"pt|none|lost|wip|missing|vanish|erase|discard|gone|no longer|without)|(step|optimi)\w*"
        r".{0,60}(without|no|missing|empty) gradients?|no (step|update)s? (move|change|reach)|(w"
        r"eights|parameters|network)\b.{0,60}(not|never|no longer|do not|does not|hardly|nowhere"
        r") (chang|mov|updat|train|learn)|(weights|parameters)\b.{0,40}(unchanged|stand still|in"
        r"itial)|steps?\b.{0,60}(nothing|not (move|change|update)))",
        cause="The gradients are cleared between the backward pass and the optimiser's step, so no "
        "step moves the weights.",
        report="from memory: zero_grad after backward, PyTorch forum",
    ),
    "last micro-batch only": Slip(
        _cleared_in_each_part,
        r"^(?!.*accumulat\w*.{0,40}(over|from|across) (steps|batches|all|earlier)).*(micro.?batc"
        r"h|accumulat|(gradient|step|update)s?\b.{0,100}((part|share|fraction|quarter|piece|subs"
        r"et|some|rest) of|last (part|piece|quarter|\d+)).{0,60}|(last|only one|one of|single).{"
        r"0,30}(piece|part|quarter|slice|chunk))",
        {"batch_size": 64, "micro_batch": 16},
        cause="The gradients are cleared before every micro-batch, so a step uses the gradient of "
        "its last micro-batch alone.",
        report="from memory: gradient accumulation with zero_grad inside the inner loop",
    ),
    "tanh before the read-out": Slip(
        in_part("value_head", after=torch.tanh),
        r"^(?!.*(report|evaluat)\w*.{0,80}tanh).*(tanh|squash|(twice|two|second|double)\w*.{0,40"
        r"}(sigmoid|activation|nonlinear|non-linear)|sigmoid.{0,40}(twice|second|double|on top)|"
        r"\bbounded|(raw|output|answer|probabilit)\w*.{0,100}(narrow|limited|confined|restrict|c"
        r"annot (leave|reach|exceed|get)|never (reach|leave|exceed|go)|\brange\b|\bband\b|within"
        r"|0\.27|0\.73))",
        cause="The value head ends in a tanh and the read-out squashes its output again, so the "
        "answers stay in a narrow band.",
        report="from memory: tanh head with BCEWithLogitsLoss in AlphaZero clones",
    ),
    "dropout in evaluation": Slip(
        in_network(_always_dropout),
        r"^(?!(?!.*drop.?out).*norm).*(drop.?out|(evaluat|inference|validation|report)\w*.{0,80}"
        r"(random|stochastic|train(ing)? mode|not (in )?eval|noisy|not repeat|not deterministic)"
        r"|(random|stochastic|train(ing)? mode|noisy|two times|twice|each time)\w*.{0,80}(evalua"
        r"t|inference|answer|report)|answers?\b.{0,80}(random|differ\w* (each|every|from (one )?"
        r"(call|time)|between (calls|two))|not (the same twice|repeat|determin))|eval\(\)|eval m"
        r"ode)",
        {"value_head": "512->1 dropout 0.5"},
        cause="Dropout of the value head stays active in evaluation, so the reported answers are "
        "random.",
        report="from memory: functional.dropout without training=self.training",
    ),
    "negated loss for one side": Slip(
        in_losses(_negated),
        r"(loss|sign|gradient)\w*.{0,120}(negat|revers|invert|opposite|wrong sign|flip|wrong (wa"
        r"y|direction)|minus|maximi[sz]|ascen|away from|below (0|zero)|unbounded)|(negat|revers|"
        r"invert|opposite|wrong sign|flip|minus|maximi[sz]|ascen)\w*.{0,120}(loss|sign\b|gradien"
        r"t)|(answer|training|step)s?\b.{0,60}away from (the|their)",
        cause="The value loss has the opposite sign for positions whose value is that of Blue "
        "(`complement`), so training drives their answers away from the results.",
        report="from memory: negamax sign applied to the loss instead of to the value",
    ),
    "value head cut off from the trunk": Slip(
        in_part("value_head", before=_detached),
        r"^(?!.*optimi[sz]er).*((?=.*(trunk|body|features|backbone))(?=.*value)(?=.*gradient)(?="
        r".*\b(no|not|zero|never|without|none|cut|block\w*|stop\w*|missing)\b).*|detach|stop.?gr"
        r"ad|no_grad|(value|head)\w*.{0,100}\b(no|not|without|zero|never|none|nothing)\b.{0,60}("
        r"gradient|reach|train|pass|flow|teach|get)\w*.{0,80}(trunk|body|features|backbone)|(tru"
        r"nk|body|backbone|features)\b.{0,100}\b(no|not|without|zero|never|only|nothing)\b.{0,80"
        r"}(value|policy)|gradients?\b.{0,80}(value|trunk|body).{0,80}(cut|block|stop|vanish|zer"
        r"o|\b0\b|missing|none|absent|not reach))",
        cause="The value head reads detached features, so the trunk gets no gradient from the "
        "value loss.",
        report="from memory: features.detach() left over from a probe",
    ),
    "gradients cleared every second step": Slip(
        cleared_every(2),
        _GRADIENTS_LEFT,
        cause="The gradients are cleared only every second step though the weights are updated at "
        "each, so every other step uses the old batch's gradient as well.",
        report="from memory: accumulation by i % 2 around zero_grad but not around step",
    ),
    "trunk not in the optimiser, again": Slip(
        _without_trunk,
        r"^(?!.*detach).*(optimi[sz]er\b.{0,120}(trunk|body|backbone|parameter|miss|lack|without"
        r")|(trunk|body|backbone|stem|stages?|convolution\w*)\b.{0,120}\b(not|never|no)\b.{0,12}"
        r"(train|chang|mov|updat|learn|in the optimi|step|given)|(trunk|body|backbone)\b.{0,80}("
        r"frozen|unchanged|untrained|initial|stands? still|fixed|left out|missing|random)|only t"
        r"he heads)",
        cause="The optimiser does not hold the trunk's parameters, so only the heads learn.",
        report="from memory: Adam(model.head.parameters()) left over from fine-tuning",
    ),
    "gradients never cleared, again": Slip(
        cleared_every(None),
        _GRADIENTS_LEFT,
        cause="The gradients are never cleared, so each step uses the sum of the gradients of all "
        "batches so far.",
        report="from memory: optimizer.zero_grad() left out, PyTorch forum",
    ),
}
