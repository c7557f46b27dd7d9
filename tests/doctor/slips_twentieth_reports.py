"""Slips in the evaluation and in what a report says, of the twentieth set.

See `slips_twentieth_data` for how the set was drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from hexsearch.data.batch import Batch
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.monitors.losses import LossMonitor, MeanLosses
from tests.doctor.slips import Patch, Slip, in_reported


def _by_game_in_train_mode(patch: Patch) -> None:
    sound_evaluate, sound_answer = Evaluator.evaluate, Evaluator._answer
    evaluating: list[bool] = []

    def evaluate(self: Any, *arguments: Any) -> Any:
        evaluating.append(True)
        try:
            return sound_evaluate(self, *arguments)
        finally:
            evaluating.pop()

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        if not evaluating:
            return sound_answer(self, network, batch)
        norms = [module for module in network.trunk.modules() if isinstance(module, _BatchNorm)]
        _, lengths = torch.unique_consecutive(batch.game, return_counts=True)
        raws, logits, start = [], [], 0
        for length in lengths.tolist():
            for norm in norms:
                norm.train(length > 1)  # a single position may have no variance
            raw, policy = sound_answer(self, network, batch.piece(start, length))
            raws.append(raw)
            logits.append(policy)
            start += length
        for norm in norms:
            norm.eval()
        return [torch.cat(list(of_head)) for of_head in zip(*raws, strict=True)], torch.cat(logits)

    patch.setattr(Evaluator, "evaluate", evaluate)
    patch.setattr(Evaluator, "_answer", answer)


def _first_for_ever(patch: Patch) -> None:
    sound = Evaluator.evaluate
    kept: dict[tuple[int, int], Any] = {}

    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        key = id(self), id(positions)
        if key not in kept:
            # Both are kept, so that their numbers are not given to others.
            kept[key] = (sound(self, network, positions), self, positions)
        return kept[key][0]

    patch.setattr(Evaluator, "evaluate", evaluate)


def _tanh_as_probability(answers: Tensor, batch: Batch) -> Tensor:
    own = torch.where(batch.complement, 1.0 - answers, answers)
    wrong = (2.0 * own - 1.0).clamp(0.0, 1.0)
    return torch.where(batch.complement, 1.0 - wrong, wrong)


def _sums_of_losses(patch: Patch) -> None:
    def take(self: Any) -> list[MeanLosses]:
        sums = self._sums.tolist()
        policy, *auxiliary = sums[len(self._heads) :]
        by_name = dict(zip(self._auxiliary, auxiliary, strict=True))
        return [MeanLosses(value, policy, by_name) for value in sums[: len(self._heads)]]

    patch.setattr(LossMonitor, "take", take)


SLIPS: dict[str, Slip] = {
    "norm statistics of one game": Slip(
        _by_game_in_train_mode,
        r"batch.?norm|\bnorm(s|ali[sz]\w*)?\b.{0,100}(statistic|train|batch|evaluat|mode)|train("
        r"ing)? mode|not in eval|eval\(\)|eval mode|(answer|evaluat|report)\w*.{0,100}(depend|di"
        r"ffer|chang|vary)\w*.{0,80}(batch|other positions|company|together|alone|beside|same ga"
        r"me)|batch statistics",
        cause="The evaluation leaves the trunk's batch norms in train mode and answers one game at "
        "a time, so answers are normalised by the statistics of that game's positions.",
        report="from memory: model.eval() forgotten in a loop over validation games",
    ),
    "rounded answers in the report": Slip(
        in_reported(lambda answers, _: answers.round()),
        r"^(?!.*(training|value) loss\b.{0,60}round).*(\bround|threshold|binari[sz]|hard (decisi"
        r"on|answer|0)|argmax|discreti[sz]|quanti[sz]|(answer|probabilit|report|evaluat|predicti"
        r"on)\w*.{0,100}(0 (or|and) 1|exactly (0|1)|only two|two values|all.or.nothing|decisions"
        r"))",
        cause="The evaluation rounds the answers to 0 or 1 before the metrics.",
        report="from memory: predictions, not probabilities, given to brier_score_loss",
    ),
    "first evaluation for ever": Slip(
        _first_for_ever,
        r"^(?!.*(same|constant|equal)\b.{0,40}(all|every|each|any) (position|board)).*(\bstale|c"
        r"ach|(evaluat|report|answer|metric|figure|validation)\w*.{0,120}(same|\bold\b|first|ear"
        r"lier|previous|never chang|not chang|repeat|unchanged|initial|another network|other wei"
        r"ghts|not (those|that|the ones?) of|(not|do(es)? not|never) (follow|depend|belong|refle"
        r"ct|come|change|react|respond|move|updat))|(repeat|frozen|remember)\w*.{0,60}(evaluat|r"
        r"eport|answer))",
        cause="The evaluation caches its answers without regard to the weights, so every later "
        "report repeats the first evaluation.",
        report="from memory: lru_cache on an evaluation function",
    ),
    "tanh answer as a probability": Slip(
        in_reported(_tanh_as_probability),
        r"^(?!.*head\b.{0,40}tanh)(?!.*squash).*(tanh|\[ ?-1|-1 (to|and|\.\.\.?) 1|clamp|clip(pe"
        r"d)? (to|at)|(answer|probabilit|report|evaluat)\w*.{0,120}(\bcut|2 ?\*? ?p\b|rescal|sca"
        r"led|doubl|stretch|not mapped|mapping|transform|conver|exactly (0|zero)|read.?out)|(x|v"
        r"alue|v|raw|z) ?\+ ?1)",
        {"readout": "tanh_mse"},
        cause="The evaluation reports the tanh value in [-1, 1], clamped to [0, 1], as the "
        "probability, instead of (value + 1) / 2.",
        report="from memory: value in [-1, 1] shown as a win rate",
    ),
    "training losses summed": Slip(
        _sums_of_losses,
        r"^(?!.*(reduction|over (the )?(positions|samples) of (a|the|each) batch)).*((train\w*\b"
        r".{0,30}loss(es)?|train_\w*loss\w*)\b.{0,120}(\bsum|total|\bmean|averag|divid|reset|cum"
        r"ulat|since the (start|begin)|not comparable|grow|too (large|high)|number of steps|time"
        r"s|larger|higher|not (that|those|the one)|wrong)|loss(es)?\b.{0,40}report.{0,80}(\bsum|"
        r"total|averag|divid|reset|cumulat|grow)|(\bsum|total|cumulat|not averag|never (reset|di"
        r"vid))\w*.{0,80}(loss|train))",
        cause="The training losses of a report are sums over all steps since the beginning, "
        "neither divided nor reset.",
        report="from memory: running_loss += loss.item() never reset",
    ),
}
