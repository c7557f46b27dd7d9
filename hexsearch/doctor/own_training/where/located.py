"""The lines of a user's code that a finding is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hexsearch.doctor.findings import Check, Finding
from hexsearch.doctor.foreign import ForeignNetwork
from hexsearch.doctor.own_training.outputs import Output, policy_of, value_of
from hexsearch.doctor.own_training.recording import Recording
from hexsearch.doctor.own_training.where.asked import (
    behind_call,
    behind_planes,
    behind_results,
    behind_targets,
    makers_of,
)
from hexsearch.doctor.own_training.where.lines import Kind, Line
from hexsearch.doctor.own_training.where.networks import (
    of_averages,
    of_named,
    of_plain_lists,
)
from hexsearch.doctor.own_training.where.ranking import First
from hexsearch.doctor.own_training.whole import WholeTraining
from hexsearch.model.readout import Readout
from hexsearch.training.trial import Trial

if TYPE_CHECKING:
    from hexsearch.doctor.pipeline import ExaminedPipeline

_MOST = 4  # lines that are shown
_WORD = re.compile(r"[a-z_]{4,}")
_NAMES = frozenset(
    "softmax log_softmax sigmoid tanh relu clamp flip transpose permute reshape roll detach "
    "dropout kl_div label_smoothing argmax argsort no_grad zero_grad inplace batch_first discount "
    "shuffle".split()
)
_BEHIND = 2  # of them, lines that targets come from
_MAKING: tuple[Kind, ...] = ("made", "schedule")
_STEPPING: tuple[Kind, ...] = ("cleared", "backward")
# What a finding of steps is about, by its root; else the step itself.
_OF_STEPS: dict[str, tuple[Kind, ...]] = {
    "rate": _MAKING,
    "steps rate": _MAKING,
    "decay": _MAKING,
    "setting": _MAKING,
    "frozen": _MAKING,
    "parameter groups": _MAKING,
    "steps remade": _MAKING,
    "steps sign": _MAKING,
    "steps half": _MAKING,
    "clipping": ("clip",),
    "steps clipped late": ("clip",),
    "steps accumulated": _STEPPING,
    "steps none": _STEPPING,
    "steps dropped": _STEPPING,
    "no step": _STEPPING,
}
_OF_VALUE = ("squashed", "training value", "reading", "no chance", "smoothing")
_OF_POLICY = ("policy targets", "policy smoothing", "policy cells", "detached policy")
_TURNED = ("turn", "mirror", "flip", "transposed", "exchanged)", "rotat", "shift")
_OF_ROWS = ("batches", "stages", "one side")
# Of a network's answers, without its training.
_OF_ENCODER = ("encoder", "planes", "blank planes", "random encoder", "plane scales", "written")
_OF_READOUTS = ("read-out", "perspective", "value loss", "label smoothing")
_OF_PARTS = (
    "structure",
    "modules",
    "independence",
    "randomness",
    "modes",
    "slopes",
    "gradient flow",
    "what is read",
    "layers of the value",
    "constant value",
    "linear value",
    "flat planes",
    "policy map",
    "settings of modules",
    "range of outputs",
)
_OF_NETWORK = (
    "batch",
    "repeated",
    "modes",
    "randomness",
    "structure",
    "cut",
    "computation",
    "overwritten",
    "unread",
)


def with_lines(
    found: Sequence[tuple[Check | None, Finding]], pipeline: ExaminedPipeline
) -> list[tuple[Check | None, Finding]]:
    """The same findings; those about a user's code say in which lines."""
    known = vars(pipeline)  # nothing is asked again that has failed
    foreign, own, watched = pipeline.foreign, known.get("own_training"), known.get("watched")
    training = None
    if own is not None and foreign is not None:
        training = _Training(own.recording, foreign, vars(own).get("whole"))
    located: list[tuple[Check | None, Finding]] = []
    for check, finding in found:
        lines: list[Line] = []
        if check is not None and training is not None and "own_training" in check.needs:
            lines = training.of(check.name, finding)
        elif check is not None and foreign is not None:
            lines = _of_functions(check.name, finding, foreign)
        elif check is not None and watched is not None:
            lines = _of_plugins(check.name, watched, known.get("readouts", {}).values())
        shown = [str(line) for line in dict.fromkeys(lines)]
        words = _NAMES & set(_WORD.findall(finding.cause.lower()))
        # Lines that use what the cause names come first.
        shown.sort(key=lambda line: not any(word in line.lower() for word in words))
        located.append((check, replace(finding, where=tuple(shown[:_MOST]))))
    return located


@dataclass
class _Training:
    """Where the parts of a user's training are written."""

    recording: Recording
    foreign: ForeignNetwork
    whole: WholeTraining | None

    def of(self, check: str, finding: Finding) -> list[Line]:
        """The lines that a finding of a check is about."""
        root = finding.root
        if check == "validation":
            return _known(self.recording.evaluations.line)
        if check == "whole training" and root != "rate":
            return self._of_whole(root)
        output = {"training value": self.value, "training policy": self.policy}.get(check)
        if root == "loss weights" and output is not None:
            weights = behind_targets(output.lines, self.call, output.name, later=True)
            alone = self._alone(output)
            return [*weights[:1], *makers_of(alone)[:1], *alone[:2], *self._shared, *weights]
        if root in _OF_ROWS:
            first: First = "picking" if root == "batches" else "choosing"
            return behind_planes(self.call, first) or _known(self.call)
        if root in _OF_VALUE or root in _OF_POLICY:
            output = self.value if root in _OF_VALUE else self.policy
        if output is not None and check == "training outputs":
            alone = self._alone(output)
            inside = self._forward(output) if "behind the last layer" in finding.cause else []
            return [*alone[:2], *inside[:_BEHIND], *makers_of(alone), *alone]
        if output is not None:
            # A reading may be wrong in the loss's targets, or where the value is read.
            is_read = root == "reading" and "target" not in finding.cause.split(":")[0]
            return self._of_output(output, is_read)
        if root == "structure":
            return of_plain_lists(self.foreign.model)
        if check in ("training steps", "whole training"):
            return self._of_steps(root)
        is_turned = any(word in finding.cause for word in _TURNED)
        lines = behind_planes(self.call, "turns" if is_turned else "numbers")
        right = behind_results(self.foreign.encoder)
        own = [line for line in lines if line not in right]
        other = [line for line in right if line not in lines]
        return [*own[:_BEHIND], *other[:_BEHIND], *own, *lines] or _known(self.call)

    @cached_property
    def call(self) -> Line | None:
        """Where the network is called."""
        return next((each.line for each in self.recording.passes), None)

    @cached_property
    def value(self) -> Output | None:
        return value_of(self._outputs, self.foreign.size)

    @cached_property
    def policy(self) -> Output | None:
        return policy_of(self._outputs, self.foreign.size)

    @cached_property
    def _outputs(self) -> list[Output]:
        return next((each.outputs for each in self.recording.passes if each.outputs), [])

    def _of_output(self, output: Output, is_read: bool) -> list[Line]:
        """Lines that its target comes from, or that read it at inference, and those of its loss."""
        behind = behind_targets(output.lines, self.call, output.name)
        if is_read:
            behind = behind_results(getattr(self.foreign.model, "win_prob_red", None))
        return [*behind[:_BEHIND], *self._alone(output)[:1], *self._shared[:1], *behind]

    def _forward(self, output: Output) -> list[Line]:
        """Lines of the network that compute an output."""
        network = next(iter(self.recording.network.values()), None)
        return behind_results(getattr(type(network), "forward", None), output.name)

    def _of_whole(self, root: str) -> list[Line]:
        if self.whole is None:
            return []
        if root == "references":
            return _known(*(line for each in self.whole.reloaded for line in each.lines))
        return _known(self.whole.asked) if root == "train mode" else []

    def _of_steps(self, root: str) -> list[Line]:
        kinds = _OF_STEPS.get(root, ())
        lines = self.recording.lines.among(kinds)
        if kinds == _MAKING:
            lines += [line for made in lines for line in behind_call(made) if line not in lines]
        return lines or _known(*(each.line for each in self.recording.steps[:1]))

    def _alone(self, output: Output) -> list[Line]:
        """Lines of the loss of one output, without those of another one's."""
        shared = set(self._shared)
        return [line for line in output.lines if line not in shared] or output.lines

    @cached_property
    def _shared(self) -> list[Line]:
        """Lines that compute the losses of both outputs."""
        of_policy = set(self.policy.lines) if self.policy is not None else set()
        return [line for line in self.value.lines if line in of_policy] if self.value else []


def _of_functions(check: str, finding: Finding, foreign: ForeignNetwork) -> list[Line]:
    """Lines of the user's encoder, read-out or network, for a finding about it."""
    model, root = foreign.model, finding.root
    if check == "read-out":
        return _of_methods(model, "loss", "win_prob_red")
    if root == "reading":
        is_read = check != "strength"
        return behind_results(getattr(model, "win_prob_red", None)) if is_read else []
    if root == "initial statistics":
        return of_averages(model)
    if check == "encoder" or root in _OF_ENCODER:
        return behind_results(foreign.encoder)
    forward: Any = getattr(type(model), "forward", None)
    if root == "policy cells":
        return behind_results(forward, "0")
    if root not in _OF_NETWORK:
        return []
    return of_named(model, finding.cause) or behind_results(forward)


def _of_plugins(check: str, trial: Trial, readouts: Iterable[Readout]) -> list[Line]:
    """Lines of a user's read-out or of the parts of a network, if a space names such."""
    if check in _OF_READOUTS:
        return [line for each in readouts for line in _of_methods(each, "loss", "win_prob")]
    if check not in _OF_PARTS:
        return []
    for module in trial.network.modules():  # the outermost ones first
        if lines := behind_results(type(module).forward):
            return lines
    return []


def _of_methods(owner: object, *names: str) -> list[Line]:
    """The last line of what each method returns."""
    functions = [getattr(owner, name, None) for name in names]
    return [line for each in functions for line in behind_results(each)[:1]]


def _known(*lines: Line | None) -> list[Line]:
    return [line for line in lines if line is not None]
