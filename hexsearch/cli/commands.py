"""The commands in the order of the help, and the module that each one needs.

This table is all that `hexsearch --help` reads: Ray and torch take seconds to import. A new
command is a module with a function `register(commands)` and one line here.
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
    "resume": Command("studies", "study_commands", "go on where a study stopped"),
    "leaderboard": Command("studies", "leaderboard_command", "who leads a study, and how sure"),
    "report": Command(
        "studies", "report_command", "one HTML page about a study, which opens without a network"
    ),
    "dashboard": Command(
        "studies", "dashboard_command", "a live page about all studies of a folder"
    ),
    "compare": Command(
        "studies", "compare_command", "all value heads of a space, on shared trunks, in pairs"
    ),
    "ensemble": Command(
        "studies", "ensemble_command", "a study's networks answering together, on test games"
    ),
    "export": Command(
        "studies",
        "export_command",
        "a network as checkpoint and recipe, or as ONNX",
    ),
    "storage": Command(
        "studies", "study_commands", "write a study's Optuna storage anew, for optuna-dashboard"
    ),
    "train": Command(
        "networks", "networks.trial_commands", "train one configuration, without a search"
    ),
    "analyze": Command(
        "networks",
        "networks.analysis_commands",
        "how good a network is on games that it has not seen",
    ),
    "predict": Command(
        "networks", "networks.analysis_commands", "win probability and best moves of positions"
    ),
    "match": Command("networks", "networks.play_commands", "networks against each other, with Elo"),
    "engine": Command(
        "networks",
        "networks.play_commands",
        "play by the Hex Text Protocol, for HexGui and other programs",
    ),
    "doctor": Command("networks", "doctor_command", "name what is mis-wired, with evidence"),
    "games": Command(
        "games and files", "files.games_commands", "audit, convert, generate and show games"
    ),
    "spaces": Command(
        "games and files",
        "files.spaces_command",
        "list the search spaces that come along, or copy one",
    ),
    "schema": Command(
        "games and files", "files.spaces_command", "JSON Schema of search-space files, for editors"
    ),
    "completion": Command(
        "games and files", "files.completion_command", "complete commands and options in your shell"
    ),
}
