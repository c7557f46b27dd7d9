"""Players by their texts on the command line, and how they are built."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from hexsearch.analysis.loading import load_network
from hexsearch.errors import CheckpointError, ConfigError
from hexsearch.play.guided.search import SearchSettings
from hexsearch.play.htp.client import HtpPlayer
from hexsearch.play.network_players import PolicyPlayer, SearchPlayer, ValuePlayer
from hexsearch.play.player import Player, RandomPlayer, ShortestPathPlayer
from hexsearch.play.spiel_player import SpielPlayer
from hexsearch.training.checkpoint import find_checkpoint

Style = Literal["value", "policy", "search"]
STYLES: tuple[Style, ...] = get_args(Style)
_SUFFIX = re.compile(r"@(?P<style>policy|value|search)(?::(?P<number>[0-9]{1,9})(?P<unit>ms)?)?\Z")
_MCTS = re.compile(r"mcts:([0-9]{1,9})\Z")
SYNTAX = (
    "a checkpoint, a study's folder, random, shortest-path, or mcts:PLAYOUTS; a network may be "
    "followed by @policy, @value:K, @search:NODES or @search:Nms"
)


@dataclass(frozen=True, kw_only=True)
class PlayerSpec:
    """A player before it is built. It can be sent to other processes.

    Attributes:
        path: a network's checkpoint.
        size: board that a network plays on; None is its own.
        content: hash of the checkpoint's content.
        style: whether a network plays with its value head, its policy, or a tree search.
        nodes, milliseconds: limits of the search for each move.
        policy: checkpoint whose likeliest moves a value player examines; None examines all moves.
        candidates: number of these moves.
        playouts: playouts of OpenSpiel's MCTS for each move.
        command: command that starts an engine.
        timeout_s: seconds that an engine has for each answer.
    """

    name: str
    kind: Literal["network", "random", "shortest-path", "mcts", "engine"]
    path: str = ""
    size: int | None = None
    content: str = ""
    style: Style = "search"
    nodes: int = 64
    milliseconds: float | None = None
    policy: str | None = None
    candidates: int = 6
    playouts: int = 0
    command: str = ""
    timeout_s: float = 60.0


def parse_player(text: str, defaults: PlayerSpec) -> PlayerSpec:
    """The player of a text on the command line.

    Args:
        defaults: settings of networks whose text does not state them.
    Raises:
        ConfigError: the text is not a player.
        CheckpointError: the checkpoint cannot be read.
    """
    if text == "random":
        return PlayerSpec(name=text, kind="random")
    if text == "shortest-path":
        return PlayerSpec(name=text, kind="shortest-path")
    if match := _MCTS.match(text):
        if not int(match[1]):
            raise ConfigError(f"player '{text}': MCTS needs at least one playout")
        return PlayerSpec(name=text, kind="mcts", playouts=int(match[1]))
    suffix = _SUFFIX.search(text)
    path = Path(text[: suffix.start()] if suffix else text)
    if not find_checkpoint(path).exists():
        raise ConfigError(f"player '{text}': no such file; a player is {SYNTAX}")
    style, nodes, milliseconds = defaults.style, defaults.nodes, defaults.milliseconds
    candidates = defaults.candidates
    if suffix:
        style = next(known for known in STYLES if known == suffix["style"])
        number = int(suffix["number"]) if suffix["number"] else None
        if number == 0 or (suffix["unit"] and style != "search") or (number and style == "policy"):
            raise ConfigError(
                f"player '{text}': '{suffix[0]}' has no meaning; a player is {SYNTAX}"
            )
        if style == "search" and number:
            nodes, milliseconds = (nodes, float(number)) if suffix["unit"] else (number, None)
        elif number:
            candidates = number
    return PlayerSpec(
        name=text,
        kind="network",
        path=str(path),
        content=content_hash(path),
        style=style,
        nodes=nodes,
        milliseconds=milliseconds,
        policy=defaults.policy,
        candidates=candidates,
    )


def content_hash(path: Path) -> str:
    """Hash of a checkpoint's file, as 16 hexadecimal digits.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        found = find_checkpoint(path)
        if not found.is_file():
            raise CheckpointError(f"{path}: no such checkpoint")
        return hashlib.blake2b(found.read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error


def build_player(spec: PlayerSpec) -> Player:
    """Build a player.

    Raises:
        CheckpointError: a network cannot be loaded.
    """
    if spec.kind == "random":
        return RandomPlayer(spec.name)
    if spec.kind == "shortest-path":
        return ShortestPathPlayer(spec.name)
    if spec.kind == "mcts":
        return SpielPlayer(spec.name, spec.playouts)
    if spec.kind == "engine":
        return HtpPlayer(spec.name, spec.command, spec.timeout_s)
    return build_network_player(spec)


def build_network_player(spec: PlayerSpec) -> PolicyPlayer | ValuePlayer | SearchPlayer:
    """Build a network that plays in the style of its specification.

    Raises:
        CheckpointError: it cannot be loaded, or the shared policy is for another board size.
    """
    predictor = load_network(Path(spec.path), board_size=spec.size).predictor
    if spec.style == "policy":
        return PolicyPlayer(spec.name, predictor)
    if spec.style == "search":
        settings = SearchSettings(nodes=spec.nodes, milliseconds=spec.milliseconds)
        return SearchPlayer(spec.name, predictor, settings)
    if spec.policy is None:
        return ValuePlayer(spec.name, predictor)
    policy = load_network(Path(spec.policy), board_size=spec.size).predictor
    if policy.encoder.size != predictor.encoder.size:
        raise CheckpointError(f"{spec.policy}: is for another board size than {spec.path}")
    return ValuePlayer(spec.name, predictor, policy, spec.candidates)
