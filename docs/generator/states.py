"""The table of what may follow what, within docs/job-states.md."""

from docs.generator.markdown import table
from models.job import RUNNING, TRANSITIONS, State

START, END = "<!-- made by `python -m docs.generator` -->\n", "\n<!-- end -->"


def states(text: str) -> str:
    """Return the page with its table made anew."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError("docs/job-states.md has lost the comments around its table")
    return before + start + transitions() + end + after


def transitions() -> str:
    """Return the table."""
    order = list(State)
    rows = []
    for row in TRANSITIONS.values():
        sources = " ".join(state for state in order if state in row.sources)
        if row.sources == frozenset(State):
            sources = "any"
        elif row.sources == RUNNING:
            sources = "any running"
        rows.append((f"`{row.kind}`", sources, row.target or "the same", row.writer))
    return table(("event", "from", "to", "written by"), rows)
