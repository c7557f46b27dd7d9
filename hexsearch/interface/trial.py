"""One trial of a study, and its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexsearch.errors import CheckpointError
from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import TrialHistory

if TYPE_CHECKING:
    from hexsearch.analysis.loading import LoadedCheckpoint
    from hexsearch.config.trial import TrialConfig


@dataclass(frozen=True)
class Answer:
    """The answer of a network for one position.

    Attributes:
        best_moves: moves with their probabilities, the likeliest first.
        to_move: `blue`, `red`, or None if the game is over.
    """

    position: str
    to_move: str | None
    win_prob_red: float
    best_moves: tuple[tuple[str, float], ...]

    @property
    def win_prob_blue(self) -> float:
        """The probability that Blue wins."""
        return 1.0 - self.win_prob_red


class NetworkAnswers:
    """Gives answers for positions that are written as text.

    Example:
        >>> hs.load_network("model.pt").answer(["#13,g7f8"])         # doctest: +SKIP
    """

    def __init__(self, loaded: LoadedCheckpoint) -> None:
        self.loaded = loaded

    def answer(
        self,
        positions: Sequence[str],
        *,
        symmetric: bool = False,
        look_ahead: int = 0,
        top: int = 3,
    ) -> list[Answer]:
        """Win probability and likeliest moves of each position.

        Args:
            positions: texts such as `#13,g7f8`, as for `predict`.
            symmetric: average over the symmetries of the board that the network sees apart.
            look_ahead: number of the likeliest next moves; each answer is averaged with those for
                the positions after them. True is 1.
            top: number of best moves.
        Raises:
            FaultyInput: a text is not a position, or has another board size.
        """
        from hexsearch.analysis.boards import mover_name, read_positions
        from hexsearch.analysis.predictor import best_moves

        read = read_positions(list(positions), self.loaded.data.board_size)
        answers = self.loaded.predictor.with_looks(symmetric, look_ahead).answer(read)
        return [
            Answer(
                position=text,
                to_move=mover_name(int(read.to_move[index])) if read.to_move[index] else None,
                win_prob_red=float(answers.win_prob_red[index]),
                best_moves=best_moves(answers.policy[index], read.size, top),
            )
            for index, text in enumerate(positions)
        ]


@dataclass(frozen=True)
class StudyTrial:
    """One setting that was trained once."""

    folder: StudyFolder
    history: TrialHistory

    @property
    def name(self) -> str:
        """The name of the trial, such as `t0007`."""
        return self.history.trial

    @property
    def variant(self) -> str:
        """The name of its variant in the leaderboard."""
        return variant_name(self.history)

    @property
    def status(self) -> str:
        """waiting, running, completed, pruned, stopped or failed."""
        return self.history.status

    @property
    def values(self) -> dict[str, Any]:
        """The values of its searched settings."""
        return self.history.values

    @property
    def config(self) -> TrialConfig:
        """Its whole configuration."""
        from hexsearch.config.section import build
        from hexsearch.config.trial import TrialConfig

        return build(TrialConfig, self.history.config, "trial")

    @property
    def value_loss(self) -> float | None:
        """The value loss at its last report; None before the first report."""
        return self.history.value_loss

    @property
    def positions_seen(self) -> int:
        """The positions seen at its last report."""
        return self.history.positions_seen

    @property
    def checkpoint(self) -> Path:
        """The path of its checkpoint, which exists if it was kept."""
        return self.folder.checkpoint(self.name)

    def predictor(self) -> NetworkAnswers:
        """Its network.

        Raises:
            CheckpointError: its checkpoint was not kept.
        """
        if not self.checkpoint.exists():
            raise CheckpointError(
                f"{self.checkpoint}: {self.name} ({self.status}) has no checkpoint; "
                "run.keep_checkpoints sets how many of the best trials keep theirs"
            )
        return load_network(self.checkpoint)

    def __repr__(self) -> str:
        loss = "no report yet" if self.value_loss is None else f"value loss {self.value_loss:.4f}"
        return f"StudyTrial({self.name}: {self.variant}, {self.status}, {loss})"


def load_network(checkpoint: str | Path) -> NetworkAnswers:
    """The network of a checkpoint (`model.pt` of `train`, `checkpoint.pt` of a trial).

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    from hexsearch.analysis.loading import load_network as load

    return NetworkAnswers(load(Path(checkpoint)))
