"""Which pages are made, and by what."""

from collections.abc import Callable
from pathlib import Path

from docs.generator.commands import commands
from docs.generator.events import events
from docs.generator.http_api import http_api
from docs.generator.layout import layout
from docs.generator.settings import settings
from docs.generator.states import states

ROOT = Path(__file__).parents[2]

PAGES: dict[str, Callable[[str], str]] = {
    "reference/commands.md": lambda _: commands(),
    "reference/settings.md": lambda _: settings(),
    "reference/events.md": lambda _: events(),
    "reference/storage-layout.md": lambda _: layout(),
    "reference/http-api.md": lambda _: http_api(),
    "job-states.md": states,
}
"""Name below docs/ -> what makes its text of the one that is there."""
