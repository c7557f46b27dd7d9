"""Training one configuration without a search, for Python and for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.interface.given import Games, paths_of, settings_of
from hexsearch.interface.trial import NetworkAnswers, load_network

if TYPE_CHECKING:
    from hexsearch.config.trial import TrialConfig
    from hexsearch.data.archive import GameArchive
    from hexsearch.report.terminal import Console
    from hexsearch.search.space import SearchSpace
    from hexsearch.training.trial import Trial

_REPORTS = 10  # evaluations over a whole training, unless the space sets report_every


@dataclass(frozen=True)
class Training:
    """One configuration with its games, ready to be trained.

    Attributes:
        path: file of its network.
        points: positions at which it reports.
        warnings: of a checkpoint that was not used.
    """

    trial: Trial
    path: Path
    points: tuple[int, ...]
    warnings: tuple[str, ...] = ()


def prepare_training(
    space: SearchSpace,
    archive: GameArchive,
    data: Any,
    scheduler: Any,
    seed: int,
    output: Path,
    start_from: Path | None = None,
) -> Training:
    """Prepare the first enqueued configuration of a space, or its default, with its games.

    An unfinished `model.pt` of the same training in `output` is continued. If it is damaged, the
    checkpoint before it is.

    Args:
        start_from: a checkpoint whose weights a new training begins with.
    Raises:
        CheckpointError: the file there belongs to another training, or the weights do not fit.
        ConfigError: the training is finished.
    """
    import torch

    from hexsearch.data.dataset import Dataset
    from hexsearch.search.pruning import RungSchedule
    from hexsearch.search.space import position_unit
    from hexsearch.training.checkpoint import MODEL
    from hexsearch.training.report_points import PositionCount, report_points
    from hexsearch.training.trial import Trial

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    schedule = RungSchedule.of(scheduler, position_unit(space))
    dataset = Dataset(archive, data)
    config = first_configuration(space)
    every = schedule.report_every or max(1, schedule.max_positions // _REPORTS)
    points = report_points(schedule.max_positions, every, ())
    own = PositionCount.of(points, config, data, scheduler.equal_compute).own
    path = output / MODEL
    trial, warnings = _continued(lambda: Trial.of(config, dataset, own[-1], seed, device), path)
    if start_from is not None and not trial.positions_seen:
        _start(trial, start_from)
    return Training(trial, path, own, tuple(warnings))


def train(
    space: str | Path,
    games: Games | None = None,
    *,
    output: str | Path = "results/train",
    set: Mapping[str, Any] | None = None,
    seed: int | None = None,
    start_from: str | Path | None = None,
    progress: bool = True,
) -> NetworkAnswers:
    """Train one configuration of a space without a search, and save it in `output/model.pt`.

    Args:
        seed: seed of the training; by default the space's `run.seed`. The other arguments are
            those of `launch`.
        start_from: a checkpoint whose weights the training begins with.
    Returns:
        The network.

    Example:
        >>> hs.train("best_small", games="my_games/").answer(["#13,g7f8"])  # doctest: +SKIP
    """
    import io

    from hexsearch.data.collection.importing import import_games
    from hexsearch.interface.training_loop import train_to_end
    from hexsearch.report.terminal import Console
    from hexsearch.search.shipped import find_space
    from hexsearch.search.space_parsing import load_space

    config, loaded = load_space(find_space(str(space)), settings_of(set or {}))
    archive, _ = import_games(paths_of(games), config.data.board_size)
    chosen = config.run.seed if seed is None else seed
    first = None if start_from is None else Path(start_from)
    training = prepare_training(
        loaded, archive, config.data, config.scheduler, chosen, Path(output), first
    )
    console = Console(stderr=True) if progress else Console(file=io.StringIO())
    warn_of_checkpoints(training, console)
    train_to_end(training.trial, training.points, training.path, console, None)
    return load_network(training.path)


def first_configuration(space: SearchSpace) -> TrialConfig:
    """The first enqueued configuration that is still searched, or the default."""
    return space.resolve(space.enqueued[0]) if space.enqueued else space.default


def describe_training(training: Training, console: Console) -> None:
    """Print what will be trained."""
    from rich.text import Text

    trial, config = training.trial, training.trial.config
    warn_of_checkpoints(training, console)
    if trial.positions_seen:
        text = f"continuing from {trial.positions_seen:,} positions in {training.path}"
        console.print(Text(text))
    console.print(
        Text(
            f"training {_described(config)} "
            f"({trial.cost.parameters:,} parameters, {trial.cost.mflops:,.1f} MFLOPs and "
            f"{trial.cost.microseconds:,.0f} µs a position) for {trial.max_positions:,} "
            f"positions on {trial.device.type}"
        ),
        soft_wrap=True,
    )


def warn_of_checkpoints(training: Training, console: Console) -> None:
    """Print why a checkpoint was not used."""
    from rich.text import Text

    for line in training.warnings:
        console.print(Text(f"warning: {line}"), soft_wrap=True)


def _start(trial: Trial, path: Path) -> None:
    from hexsearch.training.stored_trial import read_stored_trial

    weights = read_stored_trial(path).answering_weights
    try:
        trial.start_from(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise CheckpointError(
            f"{path}: its weights do not fit the network that is to be trained: {first}"
        ) from error


def _described(config: TrialConfig) -> str:
    if config.network is not None:
        return config.network.name
    return f"{config.value_head.name} on {config.trunk.name}"


def _continued(make: Callable[[], Trial], path: Path) -> tuple[Trial, list[str]]:
    """A new trial, or one that continues from `path` or from the checkpoint before it.

    Returns:
        Also warnings about a checkpoint that cannot be used.
    """
    from hexsearch.training.checkpoint import load_last_good

    def resumed(content: dict[str, Any]) -> Trial:
        trial = make()
        trial.load_state(content["state"])
        return trial

    found, warnings = load_last_good(path, resumed)
    if found is None and warnings:
        raise CheckpointError(
            [f"{path.parent}: {line}; give another --output" for line in warnings]
        )
    trial = make() if found is None else found
    if trial.positions_seen >= trial.max_positions:
        raise ConfigError(f"{path}: this training is finished; give another --output")
    return trial, warnings
