"""Networks inside a network: their own answers, without what the code round them does.

People wrap a network for inference: planes are scaled, turned or kept, answers of several boards or
networks are averaged, masked and turned back. Where the network inside answers better by itself,
the wrapping is wrong. What it does is told from the calls of the network inside: how many there
are, and of which planes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hexsearch.doctor.hypotheses.edits.edit import Edit, hooked
from hexsearch.doctor.hypotheses.general.plane_changes import all_changes

_CLOSE = 1e-5
# Dimensions over which flipud() and fliplr() flip a batch of boards.
_FLIPPED: dict[tuple[int, ...], str] = {
    (0,): "the positions of the batch",
    (1,): "the planes",
    (0, 1): "the positions of the batch and their planes",
}
_HALF_TURN = "given a half turn"


@dataclass(frozen=True)
class Call:
    """One call of a network inside: its planes [B, C, N, N] and its policy [B, cells]."""

    planes: Tensor
    policy: Tensor


def inner_edits(network: nn.Module, planes: Tensor) -> Iterator[Edit]:
    """The answers of each network inside, to the planes as they are given.

    Args:
        planes: [P, C, N, N] as the encoder gives them.
    """
    outer = type(network).__name__
    found, whole = inner_calls(network, planes)
    inside = {id(p) for name in found for p in network.get_submodule(name).parameters()}
    if any(id(parameter) not in inside for parameter in network.parameters()):
        return  # what is round it was trained, too, and is more than a wrapper
    for name, calls in found.items():
        inner = network.get_submodule(name)
        if len(found) > 1:
            yield Edit(
                "wrapping",
                f"what {name} ({type(inner).__name__}) answers when it is called first",
                f"what {outer}.forward() makes of the answers of {', '.join(found)} spoils them: "
                f"those of {name} alone are right (values of one network may be Red's, and of "
                "another the side to move's; they must mean the same before they are averaged)",
                "turn the values of all networks to one colour before they are put together, and "
                "their policies to one board",
                partial(_of_first_call, network, inner),
            )
        yield Edit(
            "wrapping",
            f"what {name} ({type(inner).__name__}) answers by itself to the planes of encode()",
            f"what {outer}.forward() does round {name} spoils the answers of {name}, which are "
            f"right by themselves: {told(calls, planes)}{_of_policies(whole, calls, planes)}",
            f"compare the answers of {outer} with those of {name} for one position, and give it "
            "planes, and read its answers, as training did",
            partial(_instead, network, inner),
        )


def inner_calls(network: nn.Module, planes: Tensor) -> tuple[dict[str, list[Call]], Any]:
    """Calls of the outermost modules inside that return a policy and a value, by name.

    The second is what the whole network returns.
    """
    cells, found = planes.shape[-1] ** 2, defaultdict(list)
    open_: list[str] = []

    def begin(module: nn.Module, inputs: Any, name: str) -> None:
        open_.append(name)

    def end(module: nn.Module, inputs: Any, output: Any, name: str) -> None:
        open_.pop()
        call = _call(inputs, output, cells)
        if call is not None and not any(other in found for other in open_):
            found[name].append(call)

    with ExitStack() as hooks, torch.no_grad():
        for name, module in network.named_modules():
            if name:
                named = partial(end, name=name), partial(begin, name=name)
                hooks.enter_context(hooked([module], *named))
        whole = network(planes.clone())
    outermost = [n for n in found if not any(n.startswith(f"{other}.") for other in found)]
    return {name: found[name] for name in outermost}, whole


def _call(inputs: Any, output: Any, cells: int) -> Call | None:
    """The call of a module, if it is a whole network's."""
    planes, answers = inputs[0] if inputs else None, _answers(output)
    if not isinstance(planes, Tensor) or planes.ndim != 4 or answers is None:
        return None
    policy, value = answers
    if not isinstance(policy, Tensor) or not isinstance(value, Tensor) or not len(planes):
        return None
    count = len(planes)
    if policy.shape[:1] != (count,) or value.shape[:1] != (count,):
        return None
    if policy.numel() // count < cells or value.numel() // count >= cells:
        return None
    return Call(planes.detach().clone(), policy.detach().reshape(count, -1))


def told(calls: list[Call], planes: Tensor) -> str:
    """How often, and with which planes, a network inside is called."""
    changes = [_change(call.planes, planes) for call in calls]
    counted = Counter(changes)
    times = "once" if len(calls) == 1 else f"{len(calls)} times"
    parts = [
        change if count == 1 else f"{change} ({count} times)" for change, count in counted.items()
    ]
    return f"it is called {times}, with {', '.join(parts)}"


def _of_policies(whole: Any, calls: list[Call], planes: Tensor) -> str:
    """Says so where the policies of turned boards are averaged as they are."""
    turned = [_change(call.planes, planes).startswith("the board ") for call in calls]
    answers = _answers(whole)
    if len(calls) < 2 or not any(turned) or answers is None:
        return ""
    asked = answers[0].detach().flatten(1)
    policies = torch.stack([call.policy for call in calls])
    pairs = (
        (asked, policies),
        (asked, policies.softmax(dim=2)),
        (asked.softmax(dim=1), policies.softmax(dim=2)),
        (asked.log_softmax(dim=1), policies.log_softmax(dim=2)),
    )
    for given, each in pairs:
        mean = each.mean(dim=0)
        if mean.shape == given.shape and torch.allclose(mean, given, atol=_CLOSE):
            return "; the policies of turned boards are averaged without being turned back"
    return ""


def _answers(output: Any) -> tuple[Any, Any] | None:
    """Policy and value of what a network returns, if there are both."""
    if isinstance(output, Mapping) and {"policy", "value"} <= set(output):
        return output["policy"], output["value"]
    if isinstance(output, tuple | list) and len(output) > 1:
        return output[0], output[1]
    return None


def _change(given: Tensor, planes: Tensor) -> str:
    """What the planes of a call are, from those of encode()."""
    if given.shape[1:] == planes.shape[1:] and len(given) > len(planes):
        return f"{len(given) / len(planes):.3g} boards for each position"
    if given.shape != planes.shape:
        return f"planes {list(given.shape)} made from {list(planes.shape)}"
    given = given.to(planes.dtype)
    if torch.allclose(given, planes, atol=_CLOSE):
        return "the planes as they are"
    if torch.allclose(given, planes.flip(2, 3), atol=_CLOSE):
        return f"the board {_HALF_TURN}"
    for name, change in all_changes(planes):
        if torch.allclose(change(planes), given, atol=_CLOSE):
            return name
    for dims, names in _FLIPPED.items():
        if torch.allclose(given, planes.flip(dims), atol=_CLOSE):
            return f"{names} in reverse order"
    other = (given - planes).abs().amax(dim=(0, 2, 3)) > _CLOSE
    places = [str(place) for place in torch.nonzero(other).flatten().tolist()]
    rows = (given - planes).abs().flatten(1).amax(dim=1) > _CLOSE
    of = "" if rows.all() else f" in {int(rows.sum())} of {len(rows)} positions"
    return f"other numbers on plane{'s' if len(places) > 1 else ''} {', '.join(places)}{of}"


def _kept_in(answers: list[Any]) -> Callable[[nn.Module, Any, Any], None]:
    return lambda module, inputs, output: answers.append(output)


@contextmanager
def _of_first_call(network: nn.Module, inner: nn.Module) -> Iterator[None]:
    """Let the network give what a part of it answers to its first call."""
    forward, answers = network.forward, list[Any]()

    def first(planes: Tensor) -> Any:
        answers.clear()
        forward(planes)
        return answers[0]

    with (
        hooked([inner], _kept_in(answers)),
        _giving(network, first),
    ):
        yield


def _instead(network: nn.Module, inner: nn.Module) -> AbstractContextManager[None]:
    """Let the network give the answers of a part of it."""
    return _giving(network, inner.forward)


@contextmanager
def _giving(network: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    own = network.__dict__.get("forward")
    network.__dict__["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del network.__dict__["forward"]
        else:
            network.__dict__["forward"] = own
