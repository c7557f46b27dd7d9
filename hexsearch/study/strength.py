"""The phase `match`: networks of a study play each other in this process, after all training.

All players use one shared policy, so that they differ in their value heads alone. Games are stored
in the study's folder when they are played, so an interrupted match can be continued.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hexsearch.config.study import StudyConfig
from hexsearch.leaderboard.leaderboard import build_leaderboard
from hexsearch.leaderboard.rows import Row
from hexsearch.leaderboard.strength import PlayedMatch, Strength, read_match
from hexsearch.ledger.folder import StudyFolder
from hexsearch.ledger.history import SEARCHED, StudyHistory, TrialHistory
from hexsearch.progress import at_intervals
from hexsearch.training.atomic import write_atomically

_PLAINEST = 1  # number of arrows in the name of a head without a hidden layer, such as 512->1


def play_study_match(
    config: StudyConfig, history: StudyHistory, folder: StudyFolder, say: Callable[[str], None]
) -> PlayedMatch | None:
    """Play the missing games and store the result; None if fewer than two networks can play."""
    from hexsearch.play.match import MINUTE_S, OPENINGS_PLAYED, MatchSettings, play_match
    from hexsearch.play.spec import PlayerSpec, content_hash
    from hexsearch.play.standings import standings

    chosen = match_trials(config, history, folder)
    if len(chosen) < 2:
        say("match: fewer than two trials have a checkpoint; raise run.keep_checkpoints")
        return None
    paths = [folder.checkpoint(trial.trial) for _, trial in chosen]
    players = [
        PlayerSpec(
            name=trial.trial,
            kind="network",
            path=str(path),
            content=content_hash(path),
            style="value",
            policy=str(paths[0]),
            candidates=config.match.candidates,
        )
        for (_, trial), path in zip(chosen, paths, strict=True)
    ]
    settings = MatchSettings(
        size=config.data.board_size, openings=config.match.openings, seed=config.run.seed
    )
    known = read_match(folder.match)
    say(f"match: {len(players)} networks, {config.match.openings} openings for each pair")
    results = play_match(
        players,
        settings,
        games_file(folder, [asdict(player) for player in players]),
        on_result=at_intervals(say, OPENINGS_PLAYED, MINUTE_S),
    )
    found = standings([player.name for player in players], results)
    by_trial = {player.name: player for player in found.players}
    match = PlayedMatch(
        tuple(
            Strength(
                trial=trial.trial,
                name=row.name,
                value_loss=trial.value_loss or 0.0,
                elo=by_trial[trial.trial].elo,
                elo_low=by_trial[trial.trial].elo_low,
                elo_high=by_trial[trial.trial].elo_high,
                games=by_trial[trial.trial].games,
                score=by_trial[trial.trial].score,
                milliseconds_per_move=by_trial[trial.trial].milliseconds_per_move,
            )
            for row, trial in chosen
        ),
        config.match.openings,
    )
    if match != known:
        write_atomically(folder.match, (json.dumps(match.to_json(), indent=2) + "\n").encode())
    return match


def match_trials(
    config: StudyConfig, history: StudyHistory, folder: StudyFolder
) -> list[tuple[Row, TrialHistory]]:
    """Row and trial of each of the best variants, and of the simplest head."""
    board = build_leaderboard(history.only(SEARCHED), folder)
    able = []
    for row in board.rows:
        kept = [
            history.trials[name]
            for name in row.trial_ids
            if history.trials[name].status == "completed" and folder.checkpoint(name).exists()
        ]
        if row.rank is not None and kept:
            able.append((row, min(kept, key=lambda trial: (trial.value_loss or 0.0, trial.number))))
    chosen = able[: config.match.players]
    plainest = [(row, trial) for row, trial in able if row.head.count("->") == _PLAINEST]
    if plainest and not any(row.head.count("->") == _PLAINEST for row, _ in chosen):
        chosen[-1] = plainest[0]
    return chosen


def games_file(folder: StudyFolder, players: list[dict[str, object]]) -> Path:
    """The file of these players' games. Other players, after further trials, get another file."""
    contents = [(player["name"], player["content"]) for player in players]
    digest = hashlib.blake2b(repr(contents).encode(), digest_size=4).hexdigest()
    return folder.path / "match" / f"{digest}.jsonl"
