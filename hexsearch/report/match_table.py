"""The standings of a match as tables and sentences."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hexsearch.play.standings import Standings


def render_standings(standings: Standings) -> RenderableType:
    """Tables of players and pairs, and conclusions."""
    parts: list[RenderableType] = [_players(standings), _pairs(standings)]
    parts += [Text(line) for line in match_sentences(standings)]
    return Group(*parts)


def _players(standings: Standings) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("player", overflow="fold")
    for name in ("Elo", "95% interval", "games", "score", "ms a move", "forfeits"):
        table.add_column(name, justify="right")
    table.add_column("")
    leader = standings.players[0]
    for player in standings.players:
        forfeits = sum(player.faults.values())
        table.add_row(
            Text(player.name),
            f"{player.elo:+.0f}",
            f"{player.elo_low:+.0f} to {player.elo_high:+.0f}",
            f"{player.games:,}",
            f"{player.score:.1%}",
            f"{player.milliseconds_per_move:.1f}",
            f"{forfeits:,}" if forfeits else "",
            "tied with the leader" if player.tied_with_leader and player is not leader else "",
        )
    return table


def _pairs(standings: Standings) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("pair", overflow="fold")
    for name in ("games", "score of the first", "95% interval"):
        table.add_column(name, justify="right")
    for pair in standings.pairs:
        table.add_row(
            Text(f"{pair.a} - {pair.b}"),
            f"{pair.games:,}",
            f"{pair.score:.1%}",
            f"{pair.low:.1%} to {pair.high:.1%}",
        )
    return table


def match_sentences(standings: Standings) -> list[str]:
    """Sentences on differences between the leader and others, and on openings that are needed."""
    leader, *others = standings.players
    lines = []
    tied = [player for player in others if player.tied_with_leader]
    if not tied:
        lines.append(f"{leader.name} is stronger than every other player.")
    for player in tied:
        more = player.openings_to_separate
        remedy = (
            "their ratings are equal"
            if more is None
            else f"about {more:,} more openings with the same results would separate them"
        )
        lines.append(f"{player.name} and {leader.name} are tied: {remedy}.")
    for player in standings.players:
        lines += [f"{count} games forfeited: {fault}" for fault, count in player.faults.items()]
    return lines
