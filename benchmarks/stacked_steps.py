"""Trains networks of one shape stacked, by `torch.func`, beside the same networks one by one.

`python benchmarks/stacked_steps.py [--trunk small] [--batch 64]` says for 1, 2, 4 and 8 networks
how many operations a GPU would launch for a step of each, how long a step of each takes on this
CPU, and how far the weights of both are apart after 20 steps. It is an experiment: hexsearch trains
no stacked networks (docs/lab-log.md).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial

import torch
from operation_counts import counted
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from hexsearch.config.section import build
from hexsearch.config.trial import TrialConfig
from hexsearch.model.network import Network, build_network
from hexsearch.model.policy_head import policy_loss
from hexsearch.model.readout import build_readout
from hexsearch.training.optimisation.optimiser import build_optimiser, clip_gradients
from hexsearch.training.optimisation.schedule import set_learning_rate

SIZE, PLANES = 13, 4
STEPS = 20
Sample = tuple[Tensor, Tensor, Tensor]  # planes, next move, outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trunk", default="small", choices=("small", "resnet18", "tiny"))
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config = build(TrialConfig, {"trunk": args.trunk, "batch_size": args.batch}, "trial")
    print("| networks | operations, one by one | stacked | ms, one by one | stacked | apart |")
    print("|---:|---:|---:|---:|---:|---:|")
    for number in (1, 2, 4, 8):
        samples = samples_of(number, args.batch, STEPS)
        alone, stacked = OneByOne(config, number), Stacked(config, number)
        figures: list[float] = []
        for way in (alone, stacked):
            way.step(samples[0], 0.0)
            operations = counted(partial(way.step, samples[1], 1 / STEPS))
            began = time.process_time()
            for place in range(2, STEPS):
                way.step(samples[place], place / STEPS)
            each = (time.process_time() - began) / (STEPS - 2) / number
            figures += [operations / number, 1000 * each]
        apart = distance(alone.weights(), stacked.weights())
        print(
            f"| {number} | {figures[0]:.0f} | {figures[2]:.0f} | {figures[1]:.1f} | "
            f"{figures[3]:.1f} | {apart:.1e} |",
            flush=True,
        )
    return 0


class OneByOne:
    """Networks that are trained one after the other, by a plain loop."""

    def __init__(
        self, config: TrialConfig, number: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.config, self.readout = config, build_readout(config.readout)
        self.networks = [fresh(config, seed, dtype) for seed in range(number)]
        self.optimisers = [
            build_optimiser(network, config.optimiser, torch.device("cpu"))
            for network in self.networks
        ]

    def step(self, sample: Sample, progress: float) -> None:
        """A step of each network, on its own part of the sample."""
        config = self.config.optimiser
        for network, optimiser, *own in zip(self.networks, self.optimisers, *sample, strict=True):
            set_learning_rate(optimiser, config, progress)
            optimiser.zero_grad(set_to_none=True)
            output = network(own[0])
            loss = self.readout.loss(output.value_raw, own[2]).mean()
            everywhere = torch.ones_like(own[1], dtype=torch.bool)
            policy = policy_loss(output.policy_logits, own[1], everywhere)
            torch.autograd.backward(loss + self.config.policy_head.weight * policy)
            clip_gradients(network, config.clip)
            optimiser.step()

    def weights(self) -> dict[str, Tensor]:
        """All weights and statistics, stacked."""
        states = [network.state_dict() for network in self.networks]
        return {name: torch.stack([state[name] for state in states]) for name in states[0]}


class Stacked:
    """The same networks as one, whose weights have a further dimension in front."""

    def __init__(
        self, config: TrialConfig, number: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.config, self.readout = config, build_readout(config.readout)
        networks = [fresh(config, seed, dtype) for seed in range(number)]
        self.parameters, self.buffers = stack_module_state(networks)
        self.template = networks[0]
        # The groups are those of one network, since a stacked bias has two dimensions.
        self.optimiser = build_optimiser(self.template, config.optimiser, torch.device("cpu"))
        names = {id(parameter): name for name, parameter in self.template.named_parameters()}
        for group in self.optimiser.param_groups:
            group["params"] = [self.parameters[names[id(one)]] for one in group["params"]]

    def step(self, sample: Sample, progress: float) -> None:
        """A step of all networks together."""
        config = self.config.optimiser
        set_learning_rate(self.optimiser, config, progress)
        detached = {name: each.detach() for name, each in self.parameters.items()}
        gradients = vmap(grad(self._loss))(detached, self.buffers, *sample)
        squares = [each.flatten(1).square().sum(1) for each in gradients.values()]
        norms = torch.stack(squares).sum(0).sqrt()
        shares = (config.clip / (norms + 1e-6)).clamp(max=1.0)
        for name, parameter in self.parameters.items():
            own = shares.reshape(-1, *[1] * (parameter.ndim - 1))
            parameter.grad = gradients[name] * own
        self.optimiser.step()

    def _loss(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        planes: Tensor,
        move: Tensor,
        outcome: Tensor,
    ) -> Tensor:
        output = functional_call(self.template, (parameters, buffers), (planes,))
        loss = self.readout.loss(output.value_raw, outcome).mean()
        policy = nn.functional.cross_entropy(output.policy_logits, move)
        return loss + self.config.policy_head.weight * policy

    def weights(self) -> dict[str, Tensor]:
        """All weights and statistics."""
        return {name: each.detach() for name, each in {**self.parameters, **self.buffers}.items()}


def fresh(config: TrialConfig, seed: int, dtype: torch.dtype) -> Network:
    return build_network(config, PLANES, SIZE, seed).to(dtype).train()


def samples_of(
    number: int, batch: int, steps: int, dtype: torch.dtype = torch.float32
) -> Sequence[Sample]:
    """For each step, random planes, moves and outcomes of each network."""
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.rand((number, batch, PLANES, SIZE, SIZE), generator=generator, dtype=dtype),
            torch.randint(SIZE * SIZE, (number, batch), generator=generator),
            torch.randint(2, (number, batch), generator=generator).to(dtype),
        )
        for _ in range(steps)
    ]


def distance(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The largest difference of two weights or statistics."""
    return max(
        float((one - second[name]).abs().max())
        for name, one in first.items()
        if one.is_floating_point()
    )


if __name__ == "__main__":
    raise SystemExit(main())
