"""Looks at what a user's losses compute from the outputs: softmaxes, logarithms, activations."""

from __future__ import annotations

from collections.abc import Iterator

from hexsearch.doctor.findings import Finding
from hexsearch.doctor.own_training.outputs import Output
from hexsearch.doctor.own_training.ways import Op

_SOFTMAXES = ("Softmax", "LogSoftmax")
_LOGARITHMS = ("Log", "LogSoftmax", "Logsumexp", "Log1P", "Log2", "LogSigmoid", "Xlogy")
_ERRORS = ("MseLoss", "SmoothL1Loss", "HuberLoss", "Pow", "Abs", "BinaryCrossEntropy")
_SQUASHED = {"Tanh": "a tanh", "Sigmoid": "a sigmoid", "Softmax": "a softmax"}
_CUT = {"Relu": "a ReLU", "Relu6": "a ReLU", "Hardtanh": "a limit", "Clamp": "a limit"}
_OF_LOGITS = "BinaryCrossEntropyWithLogits"
_SINGLE = ("Select", "Unbind", "Index", "Squeeze", "Split")
_LOST, _DROPPED, _ALL = 0.05, 0.08, 0.9  # shares of values at an end, and of those that are 0
_NEAR = 4.0  # limit of a logit within which most chances lie
_SHOWN = 8  # operations that are listed


def of_policy(policy: Output) -> Iterator[Finding]:
    """Report a softmax over the batch, two of them, probabilities without a log, and a relu."""
    if any(_has(way, "Xlogy") for way in policy.ways) and not any(
        _has(way, "LogSoftmax", "NllLoss")
        for way in policy.ways  # an entropy beside another loss
    ):
        # kl_div computes xlogy of its second argument, which is a constant otherwise.
        yield _finding(
            _whole(policy, next(way for way in policy.ways if _has(way, "Xlogy"))),
            "the arguments of kl_div are swapped: the network's probabilities are given as the "
            "target, and the target as the input (the reverse divergence)",
            "use kl_div(log probabilities of the network, target), or a cross-entropy",
        )
        return
    for way in policy.ways:
        whole = _whole(policy, way)
        names = [op.name for op in whole]
        softmaxes = [op for op in whole if op.name in _SOFTMAXES]
        # Rows that are taken out one by one have their moves in dimension 0.
        if any(op.dim == 0 for op in softmaxes) and not _has(way, *_SINGLE):
            yield _finding(
                whole,
                "the softmax of the policy goes over the batch (dim=0) in place of the moves",
                "use dim=1, the dimension of the moves",
            )
            return
        # The logarithm of a softmax stays what it is under another one.
        if any(op.name == "Softmax" for op in softmaxes[:-1]):
            yield _finding(
                whole,
                "a softmax stands before another one (two softmaxes: cross_entropy applies one "
                "itself): the policy stays nearly uniform",
                "give the logits to cross_entropy; take the softmax at inference",
            )
            return
        if names and names[0] in ("Relu", "Relu6") and any(n in _SOFTMAXES for n in names):
            yield _finding(
                whole,
                "a ReLU stands behind the last layer of the policy: moves cannot become unlikely, "
                "and logits below 0 have no gradient",
                "return the last layer's numbers as they are",
            )
            return
    if policy.ways and all(_without_logarithm(_whole(policy, way)) for way in policy.ways):
        yield _finding(
            _whole(policy, policy.ways[0]),
            "the loss takes probabilities for log probabilities (nll_loss and kl_div want a "
            "log_softmax, and a cross-entropy the logarithm): it raises the probability and not "
            "its logarithm",
            "use log_softmax before the loss, or cross_entropy of the logits",
        )


def of_value(value: Output) -> Iterator[Finding]:
    """Report an activation before a loss that applies a sigmoid or a softmax itself."""
    for way in value.ways:
        whole = _whole(value, way)
        names = [op.name for op in whole]
        ends = [n for n in names if n == _OF_LOGITS or n in _SOFTMAXES]
        before = names[: names.index(ends[-1])] if ends else []
        scaled = {"Mul", "Div"}.intersection(before)
        squashed = [] if scaled else [_SQUASHED[n] for n in before if n in _SQUASHED]
        if any(op.dim == 0 and op.name in _SOFTMAXES for op in whole) and not _has(way, *_SINGLE):
            yield _of_value(
                whole,
                "the softmax of the value goes over the batch (dim=0): each value depends on the "
                "other positions of its batch",
                "use dim=1 for classes of one position, and no softmax for a single number",
            )
            return
        if ends and names[0] in _CUT and (whole[0].limit or 0.0) < _NEAR:
            yield _of_value(
                whole,
                f"{_CUT[names[0]]} stands behind the value, before a loss of logits: numbers "
                "beyond its ends have no gradient, and chances beyond them are never answered",
                "return the last layer's numbers as they are",
            )
            return
        if squashed:
            own = "a sigmoid" if ends[-1] == _OF_LOGITS else "a softmax"
            yield _of_value(
                whole,
                f"{squashed[-1]} stands behind the value, and the loss applies {own} itself (two, "
                "one behind the other): chances that the loss sees cannot be certain, and raw "
                "values are driven to the ends",
                "give the loss the last layer's numbers as they are (logits), or use the loss of "
                "chances (binary_cross_entropy, nll_loss of a logarithm, mse_loss)",
            )
            return


def cut_value(value: Output) -> Iterator[Finding]:
    """Report values that are cut off before an error of numbers, and values that are dropped."""
    raw, first = value.tensor.flatten().float(), value.made_by
    squared = any(_has(way, *_ERRORS) for way in value.ways)
    if first is not None and first.name in _CUT and squared:
        ends = float(((raw == raw.min()) | (raw == raw.max())).float().mean())
        yield Finding(
            "training outputs",
            "error" if ends > _LOST else "warning",
            f"the value is made by {_CUT[first.name]} at last, and an error of numbers is its "
            f"loss; {ends:.0%} of {len(raw):,} values lie at its ends",
            f"{_CUT[first.name]} cuts the value off before the loss (a clamp in forward()): "
            "values beyond its ends have no gradient, so wrong ones are never corrected",
            "compute the loss from the numbers as they are, and cut answers off at inference "
            "only, or put a sigmoid in place of the limit",
            root="squashed",
        )
        return
    zeros = float((raw == 0).float().mean())
    if _DROPPED < zeros < _ALL and float(raw.min()) < 0 < float(raw.max()):
        yield Finding.error(
            "training outputs",
            f"{zeros:.0%} of {len(raw):,} values are exactly 0 in training, and others are of both "
            "signs",
            "values themselves are set to 0 at random in training: dropout stands behind the last "
            "layer, on the output",
            "put dropout before the last layer, not behind it",
            root="squashed",
        )


def _of_value(way: tuple[Op, ...], cause: str, remedy: str) -> Finding:
    return Finding.error(
        "training outputs",
        f"from the network's last layer to the loss: {_listed(way)}",
        cause,
        remedy,
        root="squashed",
    )


def _whole(output: Output, way: tuple[Op, ...]) -> tuple[Op, ...]:
    """The way with the operation that computed the output, unless that is a layer."""
    first = output.made_by
    known = (*_SQUASHED, *_SOFTMAXES, *_CUT)
    return way if first is None or first.name not in known else (first, *way)


def _has(way: tuple[Op, ...], *names: str) -> bool:
    return any(op.name in names for op in way)


def _without_logarithm(way: tuple[Op, ...]) -> bool:
    names = [op.name for op in way]
    return "Softmax" in names and not any(n in _LOGARITHMS or n in _ERRORS for n in names)


def _listed(way: tuple[Op, ...]) -> str:
    names = [op.name if op.dim is None else f"{op.name} (dim={op.dim})" for op in way]
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _finding(way: tuple[Op, ...], cause: str, remedy: str) -> Finding:
    return Finding.error(
        "training outputs",
        f"from the policy's last layer to the loss: {_listed(way)}",
        cause,
        remedy,
        root="policy targets",
    )
