"""The commands in the order of the help, with the module of each command.

`hexsearch --help` needs only this table, since importing Ray and torch takes seconds. To add a
command, write a module with a function `register(commands)`, and add one line here.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """One command: the module of this package that adds it, and its line in the help."""

    group: str
    module: str
    summary: str


COMMANDS = {
    "launch": Command("studies", "study_commands", "start a study"),
    "resume": Command("studies", "study_commands", "continue a study that has stopped"),
    "leaderboard": Command(
        "studies", "leaderboard_command", "rank the variants of a study, with intervals"
    ),
    "report": Command(
        "studies", "report_command", "write an HTML page about a study, which works offline"
    ),
    "dashboard": Command(
        "studies", "dashboard_command", "a live page about all studies of a folder"
    ),
    "compare": Command(
        "studies", "compare_command", "compare all value heads of a space on shared trunks"
    ),
    "ensemble": Command(
        "studies",
        "networks.ensemble_command",
        "average a study's networks, or checkpoints, evaluated on test games",
    ),
    "export": Command(
        "studies",
        "export_command",
        "write a network as checkpoint and recipe, or as ONNX",
    ),
    "storage": Command(
        "studies", "study_commands", "write a study's Optuna storage again, for optuna-dashboard"
    ),
    "train": Command(
        "networks", "networks.trial_commands", "train one configuration, without a search"
    ),
    "analyze": Command(
        "networks",
        "networks.analysis_commands",
        "evaluate a network on games that it has not seen",
    ),
    "predict": Command(
        "networks", "networks.analysis_commands", "win probability and best moves for positions"
    ),
    "match": Command(
        "networks", "networks.play_commands", "let networks play each other, with Elo"
    ),
    "engine": Command(
        "networks",
        "networks.play_commands",
        "play with the Hex Text Protocol, for HexGui and other programs",
    ),
    "doctor": Command("networks", "doctor_command", "find faults of games, networks and training"),
    "games": Command(
        "games and files", "files.games_commands", "audit, convert, generate and show games"
    ),
    "spaces": Command(
        "games and files",
        "files.spaces_command",
        "list the shipped search spaces, or copy one",
    ),
    "schema": Command(
        "games and files",
        "files.spaces_command",
        "print the JSON Schema of search-space files, for editors",
    ),
    "completion": Command(
        "games and files", "files.completion_command", "print a script for completion in your shell"
    ),
}
