"""Slips in the network, the losses and the schedule, of the twenty-third set.

See `slips_twenty_third_data` for how the set was drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.batch import Batch
from hexsearch.model import trunk as trunk_module
from hexsearch.model.blocks import SqueezeExcitation
from hexsearch.model.network import Network
from hexsearch.model.readout import Bce, SigmoidMse
from hexsearch.training.step import Stepper
from tests.doctor.slips import Slip, in_network, patched

_PENALTY = 1e-2


def _seed_for_each_layer(sound: Any) -> Any:
    def initialise(trunk: nn.Module) -> None:
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                torch.manual_seed(42)
                sound(module)

    return initialise


def _untracked(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None


def gates_without_sigmoid(network: Network) -> None:
    for module in network.modules():
        if isinstance(module, SqueezeExcitation):
            module.gate = nn.Sequential(*list(module.gate)[:-1])


def circular(network: Network) -> None:
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = "circular"


def _tanh_answers(_: Any) -> Any:
    def win_prob(self: Any, raw: Tensor) -> Tensor:
        return 0.5 * (raw.tanh() + 1.0)

    return win_prob


def _sigmoid_of_answer(_: Any) -> Any:
    def loss(self: Any, raw: Tensor, target: Tensor) -> Tensor:
        answer: Tensor = self.win_prob(raw)
        return (answer.sigmoid() - target).square()

    return loss


def steps_for_positions(sound: Any) -> Any:
    def step(self: Any, batch: Batch, positions_seen: int, max_positions: int) -> None:
        sound(self, batch, self._steps, max_positions)

    return step


def _penalised(sound: Any) -> Any:
    def send_back(self: Any, values: list[Tensor], *arguments: Any) -> None:
        weights = [p for p in self._body.parameters() if p.requires_grad]
        penalty = _PENALTY * torch.stack([p.square().sum() for p in weights]).sum()
        sound(self, [values[0] + penalty, *values[1:]], *arguments)

    return send_back


SLIPS: dict[str, Slip] = {
    "one seed for every layer": Slip(
        patched(trunk_module, "_initialise", _seed_for_each_layer),
        r"(same|equal|identical|one|fixed|constant|duplicat|repeat|cop(y|ies)|correlat|alike)\w*."
        r"{0,100}(initial|random|seed|weight|kernel|layer|convolution|draw)|(initial|begin|start|"
        r"weight|kernel|layer|convolution)\w*.{0,100}(same|equal|identical|duplicat|repeat|cop(y|"
        r"ies)|correlat|alike|do(es)? not (depend|differ|change|follow))|seed.{0,80}(ignor|no eff"
        r"ect|not us|not (chang|depend|reach)|fixed|constant|each layer|every layer|same)",
        cause="The generator is seeded with 42 before each convolution of the trunk is drawn, so "
        "convolutions of one shape begin with equal weights, whatever the trial's seed.",
        report="own imagination",
    ),
    "schedule counts steps as positions": Slip(
        patched(Stepper, "step", steps_for_positions),
        r"(learning.?rate|\blr\b|schedule|warm.?up|rate)\w*.{0,140}(step|never|stay|remain|small|"
        r"low|not (reach|rise|follow|the|that|what|leave|fall|end)|stuck|too (slow|late)|unlike|d"
        r"iffer|flat|constant|peak|other|below|wrong|progress)|progress.{0,80}(step|position|unit"
        r"|wrong|slow)|(step|position)s?.{0,60}(schedule|warm.?up|progress|learning.?rate)",
        cause="The schedule's progress is the number of steps divided by the number of "
        "positions, so the learning rate never leaves the warm-up.",
        report="own imagination",
    ),
    "L2 penalty in the loss": Slip(
        patched(Stepper, "_send_back", _penalised),
        r"penalt|\bl2\b|regulari|weight.?decay|decay|(weights?|norms?|bias(es)?|parameters?)\b.{0"
        r",80}(shrink|pull|toward|to(ward)? (0|zero)|added to the loss)|(loss|gradient)s?\b.{0,10"
        r"0}(add(ed|s|ition)?\b|more than|extra|besides|other than|not (that|those|the sum|only|e"
        r"xplained|of the)|something else|do(es)? not (come|match|follow|sum)|further|depend.{0,3"
        r"0}weight)",
        cause="The loss holds 0.01 times the squared sum of all parameters, norms and biases "
        "included, beside the optimiser's own weight decay.",
        report="own imagination",
    ),
    "batch norm without running statistics": Slip(
        in_network(_untracked),
        r"running.{0,20}(stat|mean|var|average)|track_running|(batch.?)?norms?\b.{0,100}(batch|st"
        r"atistic|no (running|buffer)|eval)|(answer|evaluat|predict|report)\w*.{0,120}(depend|alo"
        r"ne|other (position|board|row)|rest of the batch|company|batch.?size|neighbour|in (a|the"
        r"|another) batch)|batch statistic",
        cause="Batch norms keep no running statistics, so answers in evaluation are normalised "
        "by the batch and depend on the other positions in it.",
        report="own imagination",
    ),
    "gate without a sigmoid": Slip(
        in_network(gates_without_sigmoid),
        r"squeeze|excit|\bgates?\b|sigmoid|\bSE\b",
        {"trunk": {"preset": "tiny", "squeeze_excitation": True}},
        cause="The gate of squeeze-and-excitation lacks its sigmoid, so channels are multiplied "
        "by unbounded numbers of either sign.",
        report="own imagination",
    ),
    "answers by tanh, loss by sigmoid": Slip(
        patched(Bce, "win_prob", _tanh_answers),
        r"tanh|sigmoid|win_prob|read.?out|(loss|probabilit)\w*.{0,60}(disagree|do not (fit|match|"
        r"agree|belong)|mismatch|inconsisten)|over.?confiden|temperature|calibrat|too (sure|certa"
        r"in|extreme|confident)|twice the (logit|log.?odds)|log.?odds.{0,60}(twice|doubl|factor)|"
        r"slope",
        cause="The read-out's probability is (tanh z + 1) / 2, that is sigmoid(2z), while the "
        "loss takes z as a logit, so answers are over-confident.",
        report="own imagination",
    ),
    "circular padding": Slip(
        in_network(circular),
        r"circular|padd|wrap|torus|toroid|(opposite|other) (side|edge|border)|(translat|shift|rol"
        r"l|position|place|edge|border)\w*.{0,80}(invarian|same answer|equal answer|blind|cannot|"
        r"not (see|distinguish|know|tell)|ignor|no effect|does not (see|change|matter)|equivarian"
        r")",
        {"encoder": {"edge_ring": False}},
        cause="The trunk's convolutions pad circularly, so they see the left edge beside the "
        "right one, and the network cannot tell where the edges are.",
        report="own imagination",
    ),
    "sigmoid of a probability": Slip(
        patched(SigmoidMse, "loss", _sigmoid_of_answer),
        r"sigmoid|read.?out|twice|win_prob|(loss|probabilit)\w*.{0,100}(disagree|do not (fit|matc"
        r"h|agree|belong)|mismatch|inconsisten|probabilit|cannot (fall|reach)|never (fall|below|r"
        r"each)|0\.(5|73|07)|bound|least)|(cannot|never) reach|satur",
        {"readout": "sigmoid_mse"},
        cause="The loss applies a sigmoid to the probability, so it compares a number between "
        "0.5 and 0.73 with the target, while answers are the probability itself.",
        report="own imagination",
    ),
}
