"""How Sphinx makes the pages (`make docs`)."""

import re
from pathlib import Path
from typing import Any

project = "Quledger"
author = "the authors of Quledger"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
extensions = ["myst_parser"]
exclude_patterns = ["_build", "generator"]
suppress_warnings = ["myst.xref_ambiguous"]

html_theme = "furo"
html_title = "Quledger"
html_static_path = ["_static"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

myst_heading_anchors = 4

ABOVE = {f"{name.upper()}.md": name for name in ("readme", "changelog", "contributing", "security")}
"""Pages that stand above docs/ -> the pages here that show them."""

HERE = Path(__file__).parent


def link_to_pages(_: Any, page: str, source: list[str]) -> None:
    """Show the pages above docs/ as pages of their own, and let links to them lead there."""
    up = "../" * page.count("/")
    for name in (name for name, shown in ABOVE.items() if page == shown):
        text = (HERE.parent / name).read_text("utf-8")
        source[0] = re.sub(r"\]\((?![a-z]+:|#)", "](../", text).replace("](../docs/", "](")
    for name, shown in ABOVE.items():
        source[0] = source[0].replace(f"]({up}../{name}", f"]({up}{shown}.md")


def setup(app: Any) -> None:
    """Register it."""
    app.connect("source-read", link_to_pages)
