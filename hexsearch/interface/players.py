"""Players of a match from their texts: checkpoints, studies, reference players."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hexsearch.analysis.loading import load_network
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.game.board import MAX_SIZE, MIN_SIZE
from hexsearch.leaderboard.leaderboard import read_leaderboard
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.named import find_study
from hexsearch.play.spec import PlayerSpec, parse_player
from hexsearch.training.stored_trial import read_stored_trial

_SIZE = 13  # board size of a match without networks


def find_players(texts: Sequence[str], defaults: PlayerSpec) -> list[PlayerSpec]:
    """All players. A study's folder stands for its leaders.

    Raises:
        ConfigError: a text is not a player; one line for each.
    """
    problems: list[str] = []
    players: list[PlayerSpec] = []
    for text in texts:
        try:
            players += _players(text, defaults)
        except (ConfigError, CheckpointError) as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return players


def on_one_board(players: Sequence[PlayerSpec], asked: int | None) -> tuple[list[PlayerSpec], int]:
    """The players on a board that all of them share, and its size.

    Args:
        asked: board size; None is that of the networks.
    Raises:
        ConfigError: no game is played on a board of that size; or the networks' board sizes
            differ, and no size was requested.
        CheckpointError: a network cannot play on the requested board.
    """
    if asked is not None and not MIN_SIZE <= asked <= MAX_SIZE:
        raise ConfigError(f"size {asked}: board sizes from {MIN_SIZE} to {MAX_SIZE} are allowed")
    sizes = {
        player.name: read_stored_trial(Path(player.path)).data.board_size
        for player in players
        if player.kind == "network"
    }
    if asked is None and len(set(sizes.values())) > 1:
        known = ", ".join(f"{name} plays on {size}x{size}" for name, size in sizes.items())
        raise ConfigError(
            f"all players must share a board: {known}; --size N lets those play on another board "
            "whose layers allow it"
        )
    board = asked or next(iter(sizes.values()), _SIZE)
    placed = []
    for player in players:
        if player.kind == "network" and sizes[player.name] != board:
            load_network(Path(player.path), board_size=board)  # says why it cannot
            player = replace(player, size=board)
        placed.append(player)
    return placed, board


def _players(text: str, defaults: PlayerSpec) -> list[PlayerSpec]:
    folder, at, style = text.partition("@")
    study = StudyFolder(find_study(Path(folder)))
    if not study.path.is_dir():
        return [parse_player(text, defaults)]
    leading = [row for row in read_leaderboard(study).rows if row.rank == 1]
    players = []
    for row in leading:
        kept = [name for name in row.trial_ids if study.checkpoint(name).exists()]
        if not kept:
            continue
        checkpoint = study.checkpoint(kept[0])
        spec = parse_player(f"{checkpoint}{at}{style}", defaults)
        players.append(replace(spec, name=f"{study.name}/{row.name}{at}{style}"))
    if not players:
        raise ConfigError(f"{folder}: none of its leaders kept a checkpoint")
    return players
