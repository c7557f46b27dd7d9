"""Slips in the evaluation, the reports, the monitors and the verdict, of a blind set."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from hexsearch.training import evaluation as evaluation_module
from hexsearch.training import metrics as metrics_module
from hexsearch.training import report as report_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.monitors import activations as activations_module
from hexsearch.training.optimisation import owner as owner_module
from hexsearch.training.optimisation.owner import Owner
from tests.doctor.slips import Patch, Slip, patched

_TOGETHER = 300  # positions that are answered together


def _not_centred(_: Any) -> Any:
    def scatter(rows: Tensor) -> Tensor:
        return rows @ rows.T if len(rows) < rows.shape[1] else rows.T @ rows

    return scatter


def _sampled_after(_: Any) -> Any:
    def step(self: Any, scaler: Any, look: bool) -> None:
        scaler.unscale_(self.optimiser)
        norm = vars(owner_module)["clip_gradients"](self._parts, self._config.clip)
        if look:
            self.gradients.before_clipping()
            self.gradients.before_step(norm)
        scaler.step(self.optimiser)
        if look:
            self.gradients.after_step()

    return step


def _exchanged(sound: Any) -> Any:
    def slice_masks(columns: Any) -> Tensor:
        masks: Tensor = sound(columns)
        order = torch.arange(len(masks), device=masks.device)
        order[0], order[2] = 2, 0  # early and late
        return masks[order]

    return slice_masks


def _in_percent(sound: Any) -> Any:
    def find_verdict(*arguments: Any, progress: float, **more: Any) -> Any:
        return sound(*arguments, progress=100.0 * progress, **more)

    return find_verdict


def _cast(sound: Any) -> Any:
    def answer(self: Any, network: Any, batch: Any) -> Any:
        with torch.autocast(batch.planes.device.type, dtype=torch.bfloat16):
            return sound(self, network, batch)

    return answer


def _mean_of_batches(patch: Patch) -> None:
    evaluate, loss = Evaluator.evaluate, vars(evaluation_module)["policy_loss"]
    seen: list[Tensor] = []

    def policy_loss(*arguments: Any) -> Tensor:
        seen.append(loss(*arguments))
        return seen[-1]

    def evaluated(self: Any, *arguments: Any) -> Any:
        seen.clear()
        evaluations, _ = evaluate(self, *arguments)
        return evaluations, float(torch.stack(seen).mean())

    patch.setattr(evaluation_module, "policy_loss", policy_loss)
    patch.setattr(Evaluator, "evaluate", evaluated)
    patch.setattr(evaluation_module, "_BATCH", {"cpu": _TOGETHER, "cuda": _TOGETHER})


def _in_bits(sound: Any) -> Any:
    def evaluate(self: Any, *arguments: Any) -> Any:
        evaluations, policy_loss = sound(self, *arguments)
        return evaluations, policy_loss / math.log(2.0)

    return evaluate


SLIPS: dict[str, Slip] = {
    "effective rank of features that are not centred": Slip(
        patched(activations_module, "scatter", _not_centred),
        "rank|centre|covariance|scatter|trunk_features|spectrum",
        cause="The effective rank is that of the products of the features without subtracting "
        "their mean: the mean is one large direction, and the rank is far too low.",
    ),
    "gradient norms sampled after clipping": Slip(
        patched(Owner, "step", _sampled_after),
        "norm|clip|gradient|monitor",
        {"optimiser": {"clip": 0.25}},
        cause="The monitor samples the gradient norms after clipping and reports them as those "
        "before it: norms never exceed the limit, although steps are clipped.",
    ),
    "early and late exchanged in reports": Slip(
        patched(metrics_module, "slice_masks", _exchanged),
        "stage|early|late\\b|slice",
        cause="The stages early and late are exchanged in the metrics of a report: early positions "
        "are shown as late ones and the other way round.",
    ),
    "progress in percent": Slip(
        patched(report_module, "find_verdict", _in_percent),
        "progress|verdict|percent|too early|warm-?up|not_learning|constant_output",
        cause="The verdict gets the progress in percent and not as a share: answers are tested "
        "during the warm-up, and sound trainings are said not to learn at their first report.",
    ),
    "evaluation in bfloat16": Slip(
        patched(Evaluator, "_answer", _cast),
        "bfloat16|precision|autocast|float32|round|answers?\\b.*(differ|not the same|other)",
        cause="Evaluation is computed under autocast in bfloat16, where all answers should be in "
        "float32: the reported answers are rounded and differ from those of the network.",
    ),
    "policy loss averaged over batches": Slip(
        _mean_of_batches,
        "policy loss|policy.*(mean|report|average)|average|batches",
        cause="The reported policy loss is the plain mean over the batches of the evaluation, and "
        "not over the moves: the short last batch and batches with many final positions count as "
        "much as the others.",
    ),
    "policy loss reported in bits": Slip(
        patched(Evaluator, "evaluate", _in_bits),
        "bits?\\b|nats?\\b|policy loss|log",
        cause="The validation policy loss is reported in bits, while that of training is in nats: "
        "it is 1.44 times too large.",
    ),
}
