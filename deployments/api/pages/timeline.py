"""What the events of a job say to the person who handed it in: a line each, in plain words."""

from datetime import datetime
from typing import Any, NamedTuple

from deployments.api.views import EventView
from models.errors import printable
from models.job import RUNNING, State
from models.labels import change_in_a_line
from models.words import count_of

_TITLES = {
    "submitted": "Handed in",
    "claimed": "Taken by a worker",
    "handed_over": "Begun by its process",
    "validated": "Checked",
    "compiled": "Compiled",
    "executed": "Executed",
    "uploaded": "Result stored",
    "completed": "Done",
    "failed": "Failed",
    "cancel_requested": "Cancel asked for",
    "cancelled": "Cancelled",
    "lease_expired": "The worker went silent",
    "retried": "Will be tried again",
    "revived": "Given another chance",
    "replaced": "A whole document came",
    "withdrawn": "Taken out of the queue",
    "refused": "A late write was refused",
    "hidden": "Put away",
    "labelled": "Labels changed",
    "result_removed": "Result taken away",
    "adopted": "Taken over from another spooler",
    "adopted_error": "Taken over from another spooler, in ERROR",
}

_TONES = {"completed": "good", "failed": "bad", "cancelled": "off", "lease_expired": "warn", "retried": "warn"}

_BLAME = {
    "user": "the document's fault",
    "backend": "the backend's fault",
    "infrastructure": "the laboratory's fault, and not the document's",
}


class Entry(NamedTuple):
    """One line of the timeline.

    Attributes:
        since: time after the event before it, in words.
        tone: class of the style sheet: good, bad, off, warn, or empty.
        data: what else the event holds, for those who want it all.
    """

    seq: int
    kind: str
    title: str
    text: str
    at: datetime
    since: str
    attempt: int
    tone: str
    data: dict[str, Any]


def timeline(events: list[EventView]) -> list[Entry]:
    """Return the lines for the events of a job, in their order."""
    before = [events[0].recorded_at, *(event.recorded_at for event in events)] if events else []
    return [
        Entry(
            seq=event.seq,
            kind=event.kind,
            title=_TITLES.get(event.kind, event.kind.replace("_", " ")),
            text=_text(event.kind, event.data) or _attempt(event),
            at=event.recorded_at,
            since=duration((event.recorded_at - earlier).total_seconds()) if event.seq else "",
            attempt=event.attempt,
            tone=_TONES.get(event.kind, ""),
            data=event.data,
        )
        for event, earlier in zip(events, before, strict=False)
    ]


def _text(kind: str, data: dict[str, Any]) -> str:  # noqa: PLR0911 - one line for each kind
    match kind, data:
        case "submitted", {"document_bytes": int(size), "document_sha256": str(digest)}:
            return f"{size_of(size)}, SHA-256 {digest[:12]}…"
        case "validated", {"experiments": int(experiments), "shots": int(shots)}:
            return f"{count_of(experiments, 'experiment')}, {count_of(shots, 'shot')}, no faults"
        case "compiled", {"program_sha256": str(digest), "seed": seed}:
            return f"program {digest[:12]}…, job's seed {seed}"
        case "executed", {"seconds": float() | int() as seconds}:
            versions = data.get("versions") or {}
            named = ", ".join(f"{name} {version}" for name, version in versions.items())
            return f"in {duration(seconds)}{f', with {named}' if named else ''}"
        case "uploaded", {"bytes": int(size)}:
            return f"{size_of(size)}, read back{', signed' if data.get('kid') else ''}"
        case "failed", {"stage": str(stage), "blame": str(blame)}:
            return f"in {stage}: {_BLAME.get(blame, blame)}"
        case "cancel_requested", {"reason": str(reason)} if reason:
            return printable(reason)
        case "labelled", {"by": str(by), "labels": dict(labels)}:
            return f"{change_in_a_line(labels, data.get('removed', ()))}, by {by}"
        case "retried", {"after_seconds": float() | int() as seconds}:
            return f"after {duration(seconds)}"
        case _:
            return ""


def _attempt(event: EventView) -> str:
    return f"attempt {event.attempt}" if event.kind == "claimed" and event.attempt > 1 else ""


def duration(seconds: float) -> str:
    """Return a time span as people say it."""
    for most, size, unit, digits in ((1, 0.001, "ms", 0), (10, 1, "s", 2), (60, 1, "s", 1)):
        if seconds < most:
            return f"{seconds / size:.{digits}f} {unit}"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size_of(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 - the next unit begins there
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.3g} GB"


class Step(NamedTuple):
    """One step of a job's way.

    Attributes:
        progress: done, now, or empty.
    """

    name: str
    progress: str


_STEPS = (
    ("queued", State.QUEUED),
    ("claimed", State.CLAIMED),
    ("checked", State.VALIDATED),
    ("compiled", State.COMPILED),
    ("executed", State.EXECUTED),
    ("stored", State.UPLOADED),
    ("done", State.DONE),
)


def steps(state: State) -> list[Step]:
    """Return how far along its way a job is; nothing for one that ended elsewhere than at the end of it."""
    order = [each for _, each in _STEPS]
    if state not in order:
        return []
    at = order.index(state)
    return [
        Step(name, "done" if place < at or state is State.DONE else "now" if place == at else "")
        for place, (name, _) in enumerate(_STEPS)
    ]


def tone(state: State) -> str:
    """Return the class of the style sheet for a state."""
    if state in RUNNING:
        return "run"
    return {State.DONE: "good", State.ERROR: "bad", State.QUEUED: "wait"}.get(state, "off")
