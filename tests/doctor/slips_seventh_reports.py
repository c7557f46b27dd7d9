"""Slips of evaluation, checkpoints and foreign scripts of the seventh set.

See `slips_seventh_data` for what counts as named.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hexsearch.data.positions import all_positions
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation
from hexsearch.training.trial import Trial
from tests.doctor.healthy_networks import ENCODERS
from tests.doctor.scripts import NOT_LEARNT, Script
from tests.doctor.slips import Patch, Slip


def _average_never_used(patch: Patch) -> None:
    patch.setattr(Trial, "_answering", property(lambda self: self.body))


def _in_bits(patch: Patch) -> None:
    sound = Evaluator.evaluate

    def evaluate(self: Any, *arguments: Any) -> Any:
        evaluations, policy_loss = sound(self, *arguments)
        return evaluations, policy_loss / math.log(2)

    patch.setattr(Evaluator, "evaluate", evaluate)


def _smoothed(patch: Patch) -> None:
    sound = Trial.reports

    def reports(self: Any) -> Any:
        made = sound(self)
        overall = made[0].metrics.overall
        kept = 0.5 * getattr(self, "shown_loss", overall.value_loss) + 0.5 * overall.value_loss
        self.shown_loss = kept
        metrics = replace(made[0].metrics, overall=replace(overall, value_loss=kept))
        return (replace(made[0], metrics=metrics), *made[1:])

    patch.setattr(Trial, "reports", reports)


def _counter_behind(patch: Patch) -> None:
    sound = Trial.state

    def state(self: Any) -> Any:
        made = sound(self)
        return {**made, "positions_seen": max(made["positions_seen"] - 64, 0)}

    patch.setattr(Trial, "state", state)


def _turned_in_evaluation(patch: Patch) -> None:
    sound = Evaluator._answer

    def answer(self: Any, network: Any, batch: Any) -> Any:
        return sound(self, network, replace(batch, planes=batch.planes.flip(2, 3).contiguous()))

    patch.setattr(Evaluator, "_answer", answer)


def _kept(evaluation: Evaluation, rows: NDArray[np.bool_]) -> Evaluation:
    names = ("win_prob_red", "red_won", "stage", "to_end", "final", "game", "ply")
    return Evaluation(**{name: getattr(evaluation, name)[rows] for name in names})


def _undecided_left_out(patch: Patch) -> None:
    sound = Evaluator.evaluate

    def evaluate(self: Any, *arguments: Any) -> Any:
        evaluations, policy_loss = sound(self, *arguments)
        made = tuple(_kept(each, abs(each.win_prob_red - 0.5) > 0.02) for each in evaluations)
        return made, policy_loss

    patch.setattr(Evaluator, "evaluate", evaluate)


def _on_training_games(patch: Patch) -> None:
    sound = Trial.evaluations

    def evaluations(self: Any, positions: Any = None) -> Any:
        if positions is None:
            games = self.dataset.train_games[: len(self.dataset.validation_games)]
            positions = all_positions(self.dataset.archive, games)
        return sound(self, positions)

    patch.setattr(Trial, "evaluations", evaluations)


SLIPS: dict[str, Slip] = {
    "averaged weights never evaluated": Slip(
        _average_never_used,
        "average",
        {"optimiser": {"ema_half_life": 2_000}},
        cause="The averaged weights are configured and kept, and the current ones are evaluated.",
    ),
    "policy loss in bits": Slip(
        _in_bits,
        "policy.*(bits|1\\.44|log|factor|times|scale)",
        cause="The reported policy loss is in bits, 1.44 times the value in nats.",
    ),
    "smoothed value loss reported": Slip(
        _smoothed,
        "value.?loss.*(earlier|average|smooth|mean|last report|not that|between|mix)",
        cause="The reported value loss is an average with that of earlier reports.",
    ),
    "counter one batch behind in the checkpoint": Slip(
        _counter_behind,
        "(counter|positions|cursor|position seen|stream).*(behind|64|earlier|batch|again|differ)",
        cause="A checkpoint says 64 positions fewer than were seen.",
    ),
    "boards turned in evaluation, moves not": Slip(
        _turned_in_evaluation,
        "(evaluation|validation).*(turn|half turn|180)|turn.*(evaluation|validation)",
        cause="Evaluation shows boards turned by a half turn; the moves are not turned.",
    ),
    "undecided answers left out of the report": Slip(
        _undecided_left_out,
        "(positions|answers|rows).*(left out|missing|0\\.5|not all|fewer|half|subset|near)",
        cause="Positions whose answer is within 0.02 of a half are not in the report.",
    ),
    "evaluated on training games": Slip(
        _on_training_games,
        "(training|other|another) (games|positions)|games.*(training|validation|trained)",
        cause="The report is about games of the training split.",
    ),
}


def _one_hot(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    policy, value = network.answer(planes)
    best: Tensor = functional.one_hot(policy.argmax(dim=1), policy.shape[1])
    return 30.0 * best.float(), value


def _last_relu_forgotten(network: Any, planes: Tensor) -> tuple[Tensor, Tensor]:
    features = network.trunk[:-1](planes)
    return network.policy(features).flatten(1), network.value(features)


def _with_one_stone_more(stones: NDArray[np.int8], to_move: int) -> NDArray[np.float32]:
    empty = np.flatnonzero(stones.ravel() == 0)
    shown = stones.copy()
    if to_move and len(empty):
        shown.ravel()[empty[0]] = to_move
    return ENCODERS["absolute"](shown, to_move)


def _long_game(samples: Any, target: Tensor) -> Tensor:
    """1 where more than 5 empty cells and half of the board are shown: a column of the wrong table.

    The game's length is not among the samples, so the stones on the board stand for it.
    """
    count: Tensor = samples.planes[:, :2].sum(dim=(1, 2, 3))
    return (count > 9).float()


def _signed_bce(raw: Tensor, target: Tensor) -> Tensor:
    signed = 2 * target - 1
    return functional.binary_cross_entropy_with_logits(raw[:, 0], signed)


SCRIPTS: dict[str, Script] = {
    "answers clamped to the middle": Script(
        "clamp|cut|limit|between 0\\.3|0\\.3 (and|to) 0\\.7|never (below|above)|range",
        decode=lambda raw: raw.reshape(len(raw)).sigmoid().clamp(0.3, 0.7),
        cause="Answers are clamped to 0.3 and 0.7.",
    ),
    "a stone of the mover added at inference": Script(
        "(stone|move|ply).*(added|later|more|next|extra|too many)|one (ply|stone|move)",
        asked=_with_one_stone_more,
        cause="At inference the mover has a further stone on the first empty cell.",
    ),
    "policy reported as its best cell alone": Script(
        "policy.*(sure|one cell|best|argmax|one-hot|temperature|sharp|confident|0 and 1|hard)",
        answering=_one_hot,
        cause="The policy at inference is 1 on its best cell and 0 elsewhere.",
    ),
    "full board in place of the result": Script(
        "(number|count|stones|ply|plies|stage|late|full|move number).*(taught|learnt|answer|follow"
        "|instead|depend)|(taught|answer|follow|depend).*(number|stones|ply|plies|full|stage)|"
        + NOT_LEARNT,
        targets=_long_game,
        cause="The value was taught whether more than nine stones are on the board.",
    ),
    "labels of -1 and 1 under cross-entropy": Script(
        "-1|signed|(lost|loss|losing).*(only|certain|0|never)|always|one side|biased|low",
        loss=_signed_bce,
        steps=120,
        cause="Binary cross-entropy with labels -1 and 1 drives the answers of lost positions to "
        "0 without limit.",
    ),
    "last relu of the trunk forgotten at inference": Script(
        "relu|activation|features|negative|train.*infer|other (network|weights|answers)|differ",
        answering=_last_relu_forgotten,
        cause="At inference the last ReLU of the trunk is left out.",
    ),
}
