"""The parts of a dashboard that a report does not have, as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from hexsearch.leaderboard.rows import variant_name
from hexsearch.ledger.kinds import stored_number
from hexsearch.progress import duration
from hexsearch.report.dashboard.watched import Look
from hexsearch.report.html.markup import bullets, paragraph
from hexsearch.report.live_view import (
    Shown,
    clock_time,
    progress_line,
    seconds_left,
    until_report,
)

_STATES = {
    "running": "running",
    "interrupted": "interrupted; go on with: hexsearch resume {path}",
    "finished": "finished",
    "killed": "its process has ended without a record: it was killed, or its machine stopped. "
    "Go on with: hexsearch resume {path}",
    "damaged": "cannot be read: {fault}",
}
_STALE_S = 10.0  # age of the progress from which it is stated; a driver writes it every second


def state_sentence(look: Look) -> str:
    """The state of a study, and how to continue it."""
    text = _STATES[look.state].format(path=look.folder.path, fault=look.fault)
    if look.state == "finished" and look.history.all_failed:
        text += ", without a result: every trial failed"
    if look.state == "running" and not look.progress.trials:
        text += ": no trial is with a worker yet; workers start, or a phase is planned"
    return text


def live_part(look: Look, now: float) -> str:
    """The state of a study, its progress as a bar, its running trials and last decisions.

    Args:
        now: time in Unix seconds.
    """
    history = look.history
    shown = Shown(history, look.progress, _max_positions(look))
    kind = "lost" if look.state in ("killed", "damaged") else look.state
    parts = [paragraph(f"{look.folder.name}: {state_sentence(look)}", f"state {look.state}")]
    if look.fault is None:
        parts.append(
            f'<div class="whole"><span>study</span>{_bar(shown.share)}'
            f"<span>{shown.share:.0%}</span></div>"
        )
        parts.append(paragraph(_numbers(look, shown)))
    if look.state == "running":
        parts.append(_trials(look, shown))
        if look.progress.at and now - look.progress.at > _STALE_S:
            parts.append(paragraph(f"last progress {duration(now - look.progress.at)} ago", "note"))
    if look.decisions:
        parts.append(paragraph("Last decisions:", "note") + bullets(look.decisions))
    return f'<section id="live" class="{kind}" aria-live="polite">{"".join(parts)}</section>'


def studies_part(looks: Mapping[str, Look]) -> str:
    """A table of all studies, each a link to its page."""
    if not looks:
        return (
            '<section id="live">'
            + paragraph("There is no study in this folder yet.")
            + "</section>"
        )
    rows = "".join(_study_row(name, look) for name, look in looks.items())
    heads = ("study", "question", "state", "progress", "trials", "best value loss", "time")
    titles = "".join(f"<th>{title}</th>" for title in heads)
    return (
        '<section id="live" aria-live="polite"><div class="scroll"><table><thead><tr>'
        f"{titles}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _study_row(name: str, look: Look) -> str:
    history = look.history
    losses = [t.value_loss for t in history.trials.values() if t.value_loss and not t.is_control]
    shown = Shown(history, look.progress, _max_positions(look))
    cells = [
        f'<td><a href="study/{quote(name)}/">{escape(name)}</a></td>',
        f'<td class="wide">{escape(str(history.study.config.get("question", "")))}</td>',
        f'<td class="state {look.state}">{escape(look.state)}</td>',
        f"<td>{_bar(shown.share)}{shown.share:.0%}</td>",
        f'<td class="wide">{escape(progress_line(history) if not look.fault else look.fault)}</td>',
        f'<td class="number">{f"{min(losses):.4f}" if losses else "-"}</td>',
        f'<td class="number">{duration(history.seconds)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _max_positions(look: Look) -> int:
    """The budget of a trial of the search."""
    return int(stored_number(look.history.study.config, "scheduler", "max_t", 1))


def _numbers(look: Look, shown: Shown) -> str:
    text = progress_line(look.history)
    if look.state == "running":
        text += f"; {shown.speed:,.0f} positions/s"
        left = seconds_left(shown)
        text += f"; about {clock_time(left)} left" if left is not None else ""
    return text


def _trials(look: Look, shown: Shown) -> str:
    rows = []
    for trial in shown.running:
        one, seen = look.progress.trials.get(trial.trial), shown.seen(trial)
        share = seen / shown.budget(trial)
        loss = "" if trial.value_loss is None else f"{trial.value_loss:.4f}"
        rows.append(
            f'<tr data-trial="{escape(trial.trial)}"><td>{escape(trial.trial)}</td>'
            f'<td class="wide">{escape(variant_name(trial))}</td>'
            f'<td class="number seen">{seen:,}</td><td>{_bar(share)}{share:.0%}</td>'
            f"<td>{escape(until_report(one) if one else '')}</td>"
            f'<td class="number">{loss}</td></tr>'
        )
    if not rows:
        return ""
    heads = ("trial", "variant", "positions", "of its budget", "next report", "value loss")
    titles = "".join(f"<th>{title}</th>" for title in heads)
    return (
        f'<div class="scroll"><table id="running"><thead><tr>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _bar(share: float) -> str:
    width = 100 * min(1.0, max(0.0, share))
    return f'<div class="bar"><div style="width:{width:.1f}%"></div></div>'
