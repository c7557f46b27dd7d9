"""Slips in the evaluation, the reports and the state of a training, of the twenty-first set.

See `slips_twenty_first_data` for how the set was drawn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hexsearch.data.batch import Batch
from hexsearch.data.read_ahead import ReadAhead
from hexsearch.model.many_heads import ManyHeads
from hexsearch.training import evaluation as evaluation_module
from hexsearch.training.evaluation import Evaluator
from hexsearch.training.metrics import Evaluation, StageMetrics, slice_metrics
from hexsearch.training.optimisation.average import AveragedNetwork
from hexsearch.training.trial import Trial
from tests.doctor.slips import Patch, Slip


def _noise_calibration(patch: Patch) -> None:
    sound = evaluation_module.calibrate_norms  # type: ignore[attr-defined]

    def calibrate(network: Any, batches: Any, forward: Any) -> None:
        generator = torch.Generator().manual_seed(5)

        def noise() -> Any:
            for batch in batches:
                drawn = torch.randn(batch.planes.shape, generator=generator)
                yield replace(batch, planes=drawn.to(batch.planes.device))

        sound(network, noise(), forward)

    patch.setattr(evaluation_module, "calibrate_norms", calibrate)


_EVALUATED = 128


def _batch_means(patch: Patch) -> None:
    sound_evaluate, sound_metrics = Evaluator.evaluate, Evaluation.metrics

    @torch.inference_mode()
    def evaluate(self: Any, network: Any, positions: Any) -> Any:
        evaluations, _ = sound_evaluate(self, network, positions)
        policy_loss = evaluation_module.policy_loss  # type: ignore[attr-defined]
        means = []
        for built in self._batches(positions):
            for batch in built.parts(_EVALUATED):
                _, logits = self._answer(network, batch)
                loss = policy_loss(logits, batch.policy_target, batch.has_move)
                means.append(float(loss))
        return evaluations, sum(means) / len(means)

    def metrics(self: Any) -> StageMetrics:
        whole = sound_metrics(self)
        parts = []
        for start in range(0, len(self.red_won), _EVALUATED):
            cut = slice(start, start + _EVALUATED)
            parts.append(slice_metrics(self.win_prob_red[cut], self.red_won[cut], self.game[cut]))
        names = ("value_loss", "log_loss", "accuracy", "strict_accuracy")
        means: dict[str, Any] = {
            n: float(np.mean([getattr(part, n) for part in parts])) for n in names
        }
        return replace(whole, overall=replace(whole.overall, **means))

    patch.setattr(Evaluator, "evaluate", evaluate)
    patch.setattr(Evaluation, "metrics", metrics)


def _best_so_far(patch: Patch) -> None:
    sound = Trial.reports

    def reports(self: Any) -> Any:
        best = self.__dict__.setdefault("_best_reports", {})
        shown = []
        for number, report in enumerate(sound(self)):
            if number not in best or report.value_loss < best[number].value_loss:
                best[number] = report
            kept = best[number]
            shown.append(
                replace(
                    report,
                    metrics=kept.metrics,
                    policy_loss=kept.policy_loss,
                    game_losses=kept.game_losses,
                )
            )
        return tuple(shown)

    patch.setattr(Trial, "reports", reports)


def _stays_in_eval(patch: Patch) -> None:
    sound_train, sound_reports = ManyHeads.train, Trial.reports

    def train(self: Any, mode: bool = True) -> Any:
        return sound_train(self, mode and not self.__dict__.get("_was_reported", False))

    def reports(self: Any) -> Any:
        found = sound_reports(self)
        self.body.__dict__["_was_reported"] = True
        self.body.eval()
        return found

    patch.setattr(ManyHeads, "train", train)
    patch.setattr(Trial, "reports", reports)


def _cursor_in_steps(patch: Patch) -> None:
    def ahead(self: Any, cursor: int, size: int) -> Any:
        usual = getattr(self, "_usual", None) or size
        self._usual = usual
        batch = self._stream.batch(cursor // usual, size)
        return replace(batch, planes=self._show(batch.planes))

    def next_batch(self: Any, size: int | None = None) -> Any:
        usual = self.config.batch_size
        return self.stream.batch(self.positions_seen // usual, size or usual)

    patch.setattr(ReadAhead, "batch", ahead)
    patch.setattr(Trial, "next_batch", next_batch)


def _slow_average(patch: Patch) -> None:
    @torch.no_grad()
    def update(self: Any, size: int, positions_seen: int) -> None:
        torch._foreach_lerp_(self._averages, self._weights, 1.0 - 0.9999)

    patch.setattr(AveragedNetwork, "update", update)


def half_turned(batch: Batch) -> Batch:
    return replace(batch, planes=batch.planes.flip(2, 3).contiguous())


def _reversed_answers(patch: Patch) -> None:
    sound = Evaluator._answer

    def answer(self: Any, network: Any, batch: Batch) -> Any:
        raws, policy = sound(self, network, batch)
        turned, _ = sound(self, network, half_turned(batch))
        return [0.5 * (a + b.flip(0)) for a, b in zip(raws, turned, strict=True)], policy

    patch.setattr(Evaluator, "_answer", answer)


SLIPS: dict[str, Slip] = {
    "norms calibrated on noise": Slip(
        _noise_calibration,
        "calibrat|(batch.?norm|norm|running|statistic|mean|varianc)\\w*.{0,100}(wrong|noise|not (t"
        "hose|of|from)|other|differ|stale|do not (fit|match)|random|unlike|disagree|mismatch|off)|"
        "(noise|random|other) .{0,60}(statistic|norm)",
        cause="The batch-norm statistics for evaluation are computed on random planes and not on "
        "positions.",
        report="own imagination",
    ),
    "mean of batch means": Slip(
        _batch_means,
        r"mean of (the )?(batch|mean)|batch(es)?.{0,20} means?|(last|short|small|partial|unequal|u"
        r"neven)\w* batch|(averag|mean|weigh)\w*.{0,80}batch|(report|metric|value loss|value_loss|"
        r"policy loss|brier)\w*.{0,100}(not (the|that|those|equal|what)|differ|disagree|other than"
        r"|unlike|wrong|recomput|does not (match|fit|follow|agree))",
        cause="The evaluation reports the unweighted mean of batches' means, although the last "
        "batch is shorter.",
        report="own imagination",
    ),
    "report of the best so far": Slip(
        _best_so_far,
        r"\bbest\b|(earlier|older|previous|former|past|first|other|stale|old) (report|evaluat|netw"
        r"ork|metric|answer|weight|figure|checkpoint)|(report|metric|figure|value loss|value_loss)"
        r"\w*.{0,120}(not (the|that|those|of|what|equal|from)|never (ris|wors|fall)|earlier|stale|"
        r"unchang|do(es)? not (match|fit|change|follow|agree|belong)|differ|disagree|minim)",
        cause="A report shows the best metrics of all reports so far and not those of the present "
        "network.",
        report="own imagination",
    ),
    "eval mode stays on after the first report": Slip(
        _stays_in_eval,
        r"\beval(uation)?\b.{0,20}mode|mode.{0,40}(eval|train)|train\(\)|\.eval\(|(train|step)\w*."
        r"{0,60}(running|frozen|fixed|stored) (statistic|mean|average)|(running|frozen) (statistic"
        r"|mean|average)\w*.{0,60}(in|while|during|by|for) train|(batch.?)?norms?\b.{0,60}(frozen|"
        r"eval)",
        cause="After the first report the network stays in eval mode, so training goes on with "
        "frozen batch-norm statistics and without dropout.",
        report="own imagination",
    ),
    "cursor counts steps": Slip(
        _cursor_in_steps,
        r"cursor|overlap|(same|repeat|again|shared|common|identical|duplicat|few|not advanc|hardly"
        r" advanc|does not move)\w*.{0,100}(batch|position|sample|stream|game)|(batch|position|sam"
        r"ple|stream|game)\w*.{0,100}(same|repeat|again|shared|common|identical|duplicat|not advan"
        r"c|hardly|few|over and over|many times|too slow|one position|several times|not new)",
        cause="The cursor of the stream counts steps and not positions, so each batch shares all "
        "but one of its positions with the batch before.",
        report="own imagination",
    ),
    "average of weights hardly moves": Slip(
        _slow_average,
        r"\bema\b|averag\w*.{0,30} (weight|network|parameter)|(weight|network|parameter)s?\b.{0,40"
        r"}averag|moving average|half.?life|decay of 0\.99|(evaluat|answer)\w*.{0,60}(initial|near"
        r" the start|behind|not the trained)",
        {"optimiser": {"ema_half_life": 1000}},
        cause="The averaged weights have a decay of 0.9999 for each step, not the half-life and "
        "without a correction, so the evaluated network is nearly the initial one.",
        report="own imagination",
    ),
    "turned answers joined in reverse order": Slip(
        _reversed_answers,
        r"(other|another|wrong|different|neighbour|rest of the) (position|row|sample|board|batch)s"
        r"?|revers|half.?turn|turned|misalign|shuffl|permut|mix(ed|es|ing)|(answer|evaluat|report)"
        r"\w*.{0,120}(depend|batch|order|position beside|alone|other|averag|not (those|the|what|it"
        r"s)|differ|disagree)|(batch|order).{0,80}(answer|evaluat)",
        cause="Evaluation averages each raw answer with that of the half-turned boards in reversed "
        "batch order, so that of another position.",
        report="own imagination",
    ),
}
