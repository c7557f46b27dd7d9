"""The two pages of a dashboard: the studies of a folder, and one study."""

from __future__ import annotations

from html import escape
from pathlib import Path

from hexsearch.report.html.markup import paragraph
from hexsearch.report.html.page import PageParts, asset, render_page

_OPTUNA = "https://github.com/optuna/optuna-dashboard"


def studies_page(results: Path, live: str) -> str:
    """All studies of a folder; the script keeps the table up to date."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>studies in {escape(str(results))}</title><style>{asset('report.css')}</style>"
        f"</head><body><header><h1>Studies in {escape(str(results))}</h1></header>"
        f"<main>{live}</main><footer>hexsearch dashboard, read only.</footer>"
        f"<script>{asset('dashboard.js')}</script></body></html>"
    )


def study_page(parts: PageParts, live: str, journal: Path | None, stamp: str) -> str:
    """The page of one study: its live part at the top, then the sections of its report.

    Args:
        journal: the file for optuna-dashboard, if the study has one.
        stamp: stamp of the ledger from which the parts were made.
    """
    back = f'<p id="stamp" data-stamp="{escape(stamp)}"><a href="../../">all studies</a></p>'
    return render_page(parts, live=back + live + optuna_part(journal), script=asset("dashboard.js"))


def broken_page(name: str, live: str) -> str:
    """The page of a study that cannot be read, with the reason."""
    nothing = PageParts(name, "", "", "null")
    page = render_page(nothing, live='<p><a href="../../">all studies</a></p>' + live)
    return page.partition('<script type="application/json"')[0] + "</body></html>"


def optuna_part(journal: Path | None) -> str:
    """How to open the same trials with Optuna's own dashboard."""
    if journal is None:
        return ""
    return (
        paragraph("Optuna's own dashboard shows the trials of the search as well. Run:", "note")
        + f"<pre><code>optuna-dashboard {escape(str(journal))}</code></pre>"
        + f'<p class="note">and open <a href="http://127.0.0.1:8080">http://127.0.0.1:8080</a> '
        f'(<a href="{_OPTUNA}">optuna-dashboard</a> is a separate package).</p>'
    )
