"""Adds files from outside of docs/ to the site, so that links work on a code forge and in the site.

MkDocs calls `on_files` and `on_page_markdown`, as `mkdocs.yml` states.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
_OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages at the top of the repository, and every file there that a page links to."""
    linked = {
        name
        for page in (ROOT / "docs").glob("*.md")
        for name in _OUTSIDE.findall(page.read_text("utf-8"))
        if (ROOT / name).is_file()
    }
    for name in sorted(linked | set(PAGES)):
        files.append(File.generated(config, name, content=(ROOT / name).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links from docs/ to the top of the repository, and back, within one folder."""
    if page.file.src_uri == "cluster/README.md":
        return markdown.replace("](../docs/", "](../")
    if page.file.src_uri in PAGES:
        return re.sub(r"\]\(docs/", "](", markdown)
    return markdown.replace("](../", "](")
