"""The other phases than the search, and how to repeat a study, as HTML."""

from __future__ import annotations

from html import escape

from hexsearch.config.files.yaml_text import dump_yaml
from hexsearch.leaderboard.cells import difference, loss, plus_minus
from hexsearch.leaderboard.phase_sentences import comparison_sentences, confirmation_sentences
from hexsearch.leaderboard.strength import match_sentences
from hexsearch.report.confirmation_table import TITLES, confirmed_cells
from hexsearch.report.html.markup import bullets, definition, paragraph, table
from hexsearch.report.html.study import Study
from hexsearch.statistics.pruning_check import PruningCheck


def confirmation_part(study: Study) -> str:
    """The winners with fresh seeds on test games; empty without a confirmation."""
    confirmation = study.board.confirmation
    if confirmation is None:
        return ""
    rows = [confirmed_cells(row) for row in confirmation.rows]
    return (table(TITLES, rows) if rows else "") + bullets(confirmation_sentences(confirmation))


def pruning_part(study: Study) -> str:
    """The result of the pruning check; empty without one."""
    finding = study.board.findings.get("pruning_check")
    check = None if finding is None else finding.found
    if not isinstance(check, PruningCheck) or not check.checked:
        return ""
    return definition(
        [
            ("pruned trials", f"{check.pruned:,}"),
            ("run to the end, drawn at random", f"{check.checked:,}"),
            ("of these better than the winner", f"{check.beat_the_winner:,}"),
            (
                "rate, with its 95% interval",
                f"{check.rate:.0%} ({check.low:.0%} to {check.high:.0%})",
            ),
            ("pruned trials that may have won, at most", f"{check.most:,}"),
        ]
    )


def comparison_part(study: Study) -> str:
    """The heads on shared trunks, the best first; empty without a comparison."""
    board = study.comparison
    if board is None:
        return ""
    rows = [
        (
            row.name,
            loss(row.value_loss) + plus_minus(row.value_loss_low, row.value_loss_high),
            difference(row),
            str(row.seeds),
        )
        for row in board.rows
        if row.rank is not None
    ]
    return table(("head", "value loss", "behind", "seeds"), rows) + bullets(
        comparison_sentences(board)
    )


def match_part(study: Study) -> str:
    """The playing strength of the networks; empty without a match."""
    match = study.board.match
    if match is None:
        return ""
    rows = [
        (
            player.name,
            player.trial,
            f"{player.elo:+.0f}",
            f"{player.elo_low:+.0f} to {player.elo_high:+.0f}",
            f"{player.score:.1%}",
            f"{player.games:,}",
            loss(player.value_loss),
            f"{player.milliseconds_per_move:.1f}",
        )
        for player in sorted(match.players, key=lambda player: -player.elo)
    ]
    heads = ("network", "trial", "Elo", "95% interval", "score", "games", "value loss", "ms a move")
    return table(heads, rows) + bullets(match_sentences(match))


def repeat_part(study: Study) -> str:
    """Versions, games, seeds, and the command that repeats the study."""
    opening, config = study.opening, study.config
    if not config:
        return paragraph("The first record of the study holds no configuration.")
    games = opening.games
    versions = ", ".join(f"{name} {number}" for name, number in opening.versions.items())
    name = study.folder.name
    paths = "".join(f" --games {path}" for path in games.get("paths", ()))
    command = f"hexsearch launch {name}.yaml{paths} --name {name}-again"
    facts = [
        ("hexsearch", f"{opening.hexsearch or 'unknown'}, commit {opening.git or 'unknown'}"),
        ("versions", versions),
        ("games", ", ".join(map(str, games.get("paths", ())))),
        ("content hash of the games", str(games.get("content_hash", ""))),
        ("seed of the study", str(config.get("run", {}).get("seed", ""))),
        ("folder", str(study.folder.path)),
    ]
    return (
        definition([(name, text) for name, text in facts if text])
        + paragraph(f"Save the configuration below as {name}.yaml, then run:")
        + f"<pre><code>{escape(command)}</code></pre>"
        + paragraph(
            "A trial with the same number, configuration and seed gives the same figures. Which "
            "trials go on also depends on the order of their reports, and so on the speed of the "
            "workers, unless run.max_concurrent is 1."
        )
        + "<details><summary>configuration</summary>"
        f"<pre>{escape(dump_yaml(config))}</pre></details>"
    )
