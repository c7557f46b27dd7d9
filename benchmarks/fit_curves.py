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
from curve_surrogate import STUCK, Array, Recording, Surrogate, covariance
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
    points, values = recording.points[recording.learned], recording.values[recording.learned]
    fits = [fitted(points, values[:, level]) for level in range(len(recording.levels))]
    fit: dict[str, Any] = {
        "trials": len(args.recording.read_text().splitlines()) - 1,
        "scales": [[round(float(scale), 4) for scale in scales] for scales, _ in fits],
        "noise": [round(noise, 5) for _, noise in fits],
    }
    surrogate = Surrogate(space, recording, {**fit, "least": 0.0, "typical": 0.0})
    fit["least"], fit["typical"] = extremes(space, surrogate)
    text = json.dumps(fit, indent=1)
    args.recording.with_suffix(".fit.json").write_text(text + "\n")
    print(f"{fit['trials']} trials, {len(recording.pairs)} of them a second seed that learned")
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
    finals = surrogate.truths(np.array([coordinates(space, values) for values in drawn]))
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
        values = surrogate.truths(near)
        if values.min() < least:
            least, point = float(values.min()), near[int(values.argmin())]
    return round(least, 6), round(float(finals.mean()), 6)


def check(
    space: SearchSpace, recording: Recording, surrogate: Surrogate, fit: dict[str, Any]
) -> str:
    """Errors and rank correlations at each report, in a table."""
    learned, told = recording.values[recording.learned], predicted(recording, fit)
    firsts = recording.values[[place for place, seed in enumerate(recording.seeds) if seed == 0]]
    seeds = recording.noise @ recording.weights
    rng = np.random.default_rng(1)
    drawn = [random_values(space, rng) for _ in range(1_000)]
    replayed = np.array(
        [surrogate.losses_of_games(values, 0) @ recording.weights for values in drawn]
    )
    chance = surrogate.stuck(recording.points, leave_out=True)
    apart = [chance[which].mean() for which in (~recording.learned, recording.learned)]
    lines = [
        f"stuck: recorded {(firsts[:, -1] > STUCK).mean():.1%}, replayed "
        f"{(replayed[:, -1] > STUCK).mean():.1%}; left out, stuck trials have a probability of "
        f"{apart[0]:.2f}, others of {apart[1]:.2f}",
        "| positions | sd recorded | sd replayed | noise of a seed | error left out | rank "
        "correlation left out | with the final value, recorded | replayed |",
        "|--|--|--|--|--|--|--|--|",
    ]
    for level, positions in enumerate(recording.levels):
        cells = [
            f"{positions:,}",
            f"{firsts[:, level].std():.4f}",
            f"{replayed[:, level].std():.4f}",
            f"{np.sqrt(np.square(seeds[:, level]).mean()):.4f}",
            f"{np.sqrt(np.square(learned - told)[:, level].mean()):.4f}",
            f"{float(spearmanr(learned[:, level], told[:, level]).statistic):.2f}",
            f"{float(spearmanr(firsts[:, level], firsts[:, -1]).statistic):.2f}",
            f"{float(spearmanr(replayed[:, level], replayed[:, -1]).statistic):.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def predicted(recording: Recording, fit: dict[str, Any]) -> Array:
    """Values of trials that learned, without all trials of the same configuration."""
    points, values = recording.points[recording.learned], recording.values[recording.learned]
    _, group = np.unique(points, axis=0, return_inverse=True)
    told = np.empty_like(values)
    for level, (scales, noise) in enumerate(zip(fit["scales"], fit["noise"], strict=True)):
        matrix = covariance(points, points, np.array(scales)) + noise * np.eye(len(points))
        inverse = np.linalg.inv(matrix)
        solved = inverse @ (values[:, level] - values[:, level].mean())
        for number in range(group.max() + 1):
            here = np.flatnonzero(group == number)
            part = np.linalg.solve(inverse[np.ix_(here, here)], solved[here])
            told[here, level] = values[here, level] - part
    return told


if __name__ == "__main__":
    raise SystemExit(main())
