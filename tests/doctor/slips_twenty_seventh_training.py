"""Slips in the network, the losses and the steps, of the twenty-seventh set."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexsearch.data.batch import Batch
from hexsearch.model.readout import SigmoidMse
from hexsearch.training import step as step_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.optimisation.eager import eager
from hexsearch.training.step import Stepper
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip, in_part, patched

_TEMPERATURE = 0.1


def _cold_logits(sound: Any) -> Any:
    def loss(logits: Tensor, target: Tensor, has_move: Tensor) -> Tensor:
        found: Tensor = sound(logits / _TEMPERATURE, target, has_move)
        return found

    return loss


def _adam_with_l2(sound: Any) -> Any:
    """torch.optim.Adam in place of AdamW, with the same groups and settings."""

    def build(network: Any, config: Any, device: torch.device) -> torch.optim.Optimizer:
        decoupled = sound(network, config, device)
        if not isinstance(decoupled, torch.optim.AdamW):
            return decoupled  # type: ignore[no-any-return]
        names = ("params", "owner", "factor", "weight_decay", "is_matrix")
        groups = [{name: group[name] for name in names} for group in decoupled.param_groups]
        return eager(torch.optim.Adam)(
            groups, lr=config.learning_rate, betas=(config.momentum, 0.999), fused=True
        )

    return build


def _targets_of_tanh(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.sigmoid() - (2.0 * target - 1.0)).square()

    return loss


def _forgets_at_reports(sound: Any) -> Any:
    def reports(self: Any) -> Any:
        made = sound(self)
        for owner in self._stepper.owners:
            for part in getattr(owner.optimiser, "parts", (owner.optimiser,)):
                part.state.clear()
        return made

    return reports


def _sums_of_means(patch: Patch) -> None:
    """Each micro-batch sends back its own mean losses, and the gradients are added."""
    shared_losses, send_back = Stepper._shared_losses, Stepper._send_back

    def shares(self: Any, losses: Any, part: Batch, batch: Batch) -> Any:
        self._micro_batches = len(batch) / len(part)
        return shared_losses(self, losses, part, batch)

    def send(self: Any, values: list[Tensor], shared: list[Tensor], junction: Any) -> None:
        times = self._micro_batches
        send_back(self, [times * v for v in values], [times * s for s in shared], junction)

    patch.setattr(Stepper, "_shared_losses", shares)
    patch.setattr(Stepper, "_send_back", send)


def _statistics_of_last_weights(patch: Patch) -> None:
    """The average takes over the buffers of the trained network, and is not calibrated."""
    init, update, calibrate = (
        AveragedNetwork.__init__,
        AveragedNetwork.update,
        Evaluator.calibrate,
    )

    def built(self: Any, network: Any, half_life: int) -> None:
        init(self, network, half_life)
        self._of, self.network.is_an_average = network, True

    def updated(self: Any, size: int, positions_seen: int) -> None:
        update(self, size, positions_seen)
        with torch.no_grad():
            for own, theirs in zip(self.network.buffers(), self._of.buffers(), strict=True):
                own.copy_(theirs)

    def calibrated(self: Any, network: Any) -> None:
        if getattr(network, "is_an_average", False):
            network.eval()
        else:
            calibrate(self, network)

    patch.setattr(AveragedNetwork, "__init__", built)
    patch.setattr(AveragedNetwork, "update", updated)
    patch.setattr(Evaluator, "calibrate", calibrated)


SLIPS: dict[str, Slip] = {
    "policy loss at a temperature": Slip(
        patched(step_module, "policy_loss", _cold_logits),
        "temperature|logits?\\b.*(scale|times|multipl|divid|factor|sharp)|(scale|factor|multipl|"
        "divid).*logits?\\b|policy loss|10 times|ten times",
        cause="The training loss of the policy divides logits by a temperature of 0.1; evaluation "
        "does not. So reported and trained policy loss are of different distributions, and the "
        "answers are far too even.",
    ),
    "Adam with L2 in the gradient": Slip(
        patched(owner_module, "build_optimiser", _adam_with_l2),
        "decoupled|\\bL2\\b|coupled|weight.?decay|\\badam\\b",
        cause="The optimiser is Adam and not AdamW: weight decay is added to the gradient as an L2 "
        "term, and is normalised by the second moment, in place of being decoupled.",
    ),
    "targets of tanh with a sigmoid": Slip(
        patched(SigmoidMse, "loss", _targets_of_tanh),
        "tanh|-1 (and|or|to) \\+?1|sigmoid|read-?out|targets?\\b.*(range|scale|reach|outside|below)"
        "|(range|scale).*targets?\\b|optimum|where the loss|win_prob|probabilit",
        {"readout": "sigmoid_mse"},
        cause="The squared error compares a sigmoid, in [0, 1], with targets of -1 and 1, as for a "
        "tanh: a lost position pulls to -1, which is out of reach, and the optimum is 2p - 1 "
        "and not p.",
    ),
    "optimiser forgets at reports": Slip(
        patched(Trial, "reports", _forgets_at_reports),
        "optimiser.*(state|moment|forg|reset|lost|clear|empt)|moments?\\b|momentum|state.*report|"
        "report.*(state|changes? (the )?(training|optimiser))|evaluat.*(changes|state)",
        cause="Each report empties the optimiser's state: both moments of AdamW, and its count of "
        "steps, begin again at 0, so a report changes the training.",
    ),
    "micro-batches added, not averaged": Slip(
        _sums_of_means,
        "micro.?batch|accumul|(4|four) times|number of (parts|pieces)",
        {"micro_batch": 16},
        cause="Each micro-batch sends back the mean of its own losses without its share of the "
        "batch, and gradients are added: the gradient is as many times too large as there are "
        "micro-batches, and is clipped too often.",
    ),
    "average without statistics of its own": Slip(
        _statistics_of_last_weights,
        "calibrat|statistic|running (mean|var|average)|batch.?norm|\\bnorms?\\b",
        {"optimiser": {"ema_half_life": 2000}},
        cause="The averaged network takes over the running batch-norm statistics of the last "
        "weights and is not calibrated: its statistics do not belong to its weights.",
    ),
    "sigmoid before a loss of logits": Slip(
        in_part("value_head", after=torch.sigmoid),
        "sigmoid|0\\.5.*0\\.73|0\\.73|bounded|range|squash|twice|raw value|logit|linear output|"
        "cannot (reach|answer)",
        cause="The value head ends in a sigmoid, but the read-out takes its output for a logit and "
        "applies another: answers can lie only between 0.5 and 0.73.",
    ),
}
