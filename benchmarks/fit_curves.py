"""Fits the surrogate of a recorded space with floats, and says how honest it is.

`nice python benchmarks/fit_curves.py` reads the recording of `record_curves.py`, chooses the length
scales and the noise of a Gaussian process for each report by marginal likelihood, looks for the
lowest true final value, and writes all of it beside the recording. It prints a leave-one-out check:
each trial's values are predicted from the trials of all other configurations.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from curve_surrogate import Array, Recording, Surrogate, covariance
from learning_curves import key
from scipy.optimize import minimize
from scipy.stats import spearmanr

from hexsearch.search.forecasting.draws import coordinates, mutated, random_values
from hexsearch.search.space import SearchSpace
from hexsearch.search.space_parsing import load_space

HERE = Path(__file__).parent / "curves"
SAMPLE, STEPS = 20_000, 40  # configurations, and rounds around the best one, for the lowest value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", type=Path, default=HERE / "floats.yaml")
    parser.add_argument("--recording", type=Path, default=HERE / "starter-13x13.jsonl")
    args = parser.parse_args()
    space = load_space(args.space)[1]
    recording = Recording.load(space, args.recording)
    scales, noise = [], []
    for level in range(len(recording.levels)):
        found = fitted(recording.points, recording.values[:, level])
        scales.append([round(float(scale), 4) for scale in found[0]])
        noise.append(round(found[1], 5))
    trials = len(args.recording.read_text().splitlines()) - 1
    fit: dict[str, Any] = {"trials": trials, "levels": recording.levels, "scales": scales}
    fit |= {"noise": noise, "least": 0.0, "typical": 0.0}
    surrogate = Surrogate(space, recording, fit)
    fit["least"], fit["typical"] = extremes(space, surrogate)
    text = json.dumps(fit, indent=1)
    args.recording.with_suffix(".fit.json").write_text(text + "\n")
    print(f"{trials} trials, {len(recording.pairs)} of them a second seed")
    print(f"lowest true value {fit['least']:.5f}, of random ones {fit['typical']:.5f} on average")
    print(check(space, recording, surrogate, fit))
    return 0


def fitted(points: Array, values: Array) -> tuple[Array, float]:
    """Length scales, and the noise's variance in units of the signal's."""
    x = torch.tensor(points)
    y = torch.tensor((values - values.mean()) / values.std())
    eye = torch.eye(len(y), dtype=torch.float64)

    def evidence(raw: Array) -> tuple[float, Array]:
        theta = torch.tensor(raw, requires_grad=True)
        scaled = x / theta[:-1].exp()
        apart = (scaled[:, None] - scaled).square().sum(-1)
        far = (5 * apart + 1e-12).sqrt()
        matrix = (1 + far + far * far / 3) * (-far).exp() + theta[-1].exp() * eye
        root = torch.linalg.cholesky(matrix)
        white = torch.linalg.solve_triangular(root, y[:, None], upper=False)
        signal = white.square().mean()  # its best value in closed form
        loss = 0.5 * len(y) * signal.log() + root.diagonal().log().sum()
        # Weak priors: length scales around 1 within a factor of e^1.5, noise around a tenth.
        loss = loss + (theta[:-1] ** 2).sum() / 4.5 + (theta[-1] + 2.3) ** 2 / 8
        (gradient,) = torch.autograd.grad(loss, theta)
        return float(loss.detach()), gradient.numpy()

    starts = [np.append(np.zeros(points.shape[1]), noise) for noise in (-1.0, -3.0)]
    best = min((minimize(evidence, s, jac=True, method="L-BFGS-B") for s in starts),
               key=lambda found: float(found.fun))  # fmt: skip
    return np.exp(best.x[:-1]), float(np.exp(best.x[-1]))


def extremes(space: SearchSpace, surrogate: Surrogate) -> tuple[float, float]:
    """The lowest true final value, and the mean of random configurations."""
    rng = np.random.default_rng(0)
    drawn = [random_values(space, rng) for _ in range(SAMPLE)]
    finals = surrogate.values(drawn)[:, -1]
    best, least = drawn[int(finals.argmin())], float(finals.min())
    floats = [place for place, d in enumerate(space.dimensions) if d.kind != "choice"]
    point = coordinates(space, best)
    for step in range(STEPS):
        near = np.array([coordinates(space, mutated(space, best, rng)) for _ in range(50)])
        width = 0.3 * 0.85**step
        moved = np.repeat(point[None], 400, axis=0)
        moved[:, floats] += width * rng.normal(size=(400, len(floats)))
        near = np.concatenate([near, np.clip(moved, 0, None)])
        near[:, floats] = np.clip(near[:, floats], 0, 1)
        values = surrogate.at(near)[:, -1]
        if values.min() < least:
            least, point = float(values.min()), near[int(values.argmin())]
    return round(least, 6), round(float(finals.mean()), 6)


def check(
    space: SearchSpace, recording: Recording, surrogate: Surrogate, fit: dict[str, Any]
) -> str:
    """Errors and rank correlations at each report, in a table."""
    left_out = predicted(recording, fit)
    first = [place for place, seed in enumerate(recording.seeds) if seed == 0]
    known, told = recording.values[first], left_out[first]
    pairs = np.array(recording.pairs).reshape(-1, 2)
    seeds = (recording.values[pairs[:, 1]] - recording.values[pairs[:, 0]]) / np.sqrt(2)
    rng = np.random.default_rng(1)
    drawn = [random_values(space, rng) for _ in range(300)]
    replayed = np.array(
        [surrogate.losses_of_games(values, 0) @ recording.weights for values in drawn]
    )
    lines = [
        "| positions | sd | noise of a seed | error left out | rank correlation left out | "
        "rank correlation with the final value: recorded | replayed |",
        "|--|--|--|--|--|--|--|",
    ]
    for level, positions in enumerate(recording.levels):
        error = np.sqrt(np.square(known - told)[:, level].mean())
        cells = [
            f"{positions:,}",
            f"{known[:, level].std():.4f} / {replayed[:, level].std():.4f}",
            f"{np.sqrt(np.square(seeds[:, level]).mean()):.4f}",
            f"{error:.4f}",
            *(
                f"{float(spearmanr(a, b).statistic):.2f}"
                for a, b in (
                    (known[:, level], told[:, level]),
                    (known[:, level], known[:, -1]),
                    (replayed[:, level], replayed[:, -1]),
                )
            ),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def predicted(recording: Recording, fit: dict[str, Any]) -> Array:
    """[T, levels] values predicted without all trials of the same configuration."""
    groups: dict[str, list[int]] = {}
    for trial, values in enumerate(recording.configurations):
        groups.setdefault(key(values), []).append(trial)
    told = np.empty_like(recording.values)
    for level, (scales, noise) in enumerate(zip(fit["scales"], fit["noise"], strict=True)):
        matrix = covariance(recording.points, recording.points, np.array(scales))
        inverse = np.linalg.inv(matrix + noise * np.eye(len(matrix)))
        losses = recording.values[:, level]
        solved = inverse @ (losses - losses.mean())
        for group in groups.values():
            part = np.linalg.solve(inverse[np.ix_(group, group)], solved[group])
            told[group, level] = losses[group] - part
    return told


if __name__ == "__main__":
    raise SystemExit(main())
