"""What an audit asks of a control stream: is it what was written."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from models.errors import LogBroken, echo, printable
from models.events import GENESIS
from models.identity.control_events import ControlEvent
from models.identity.people import Fold, apply


class CheckedStream(NamedTuple):
    """A stream that was checked.

    Attributes:
        fold: of the events before the fault; None if the first one is wrong.
        fault: the first thing that is wrong; None if nothing is.
    """

    fold: Fold | None
    fault: str | None


def check_stream(stream: str, rows: Iterable[Mapping[str, Any]]) -> CheckedStream:
    """Check the events of one stream: each is what was written, follows the one before, and was allowed.

    Args:
        rows: the events' fields as they are stored, in the order of their seq.
    """
    fold: Fold | None = None
    for row in rows:
        step = _follow(stream, fold, row)
        if isinstance(step, str):
            return CheckedStream(fold, step)
        fold = step
    return CheckedStream(fold, None if fold else "it has no events")


def _follow(  # noqa: PLR0911 - one line for each thing that may be wrong
    stream: str, fold: Fold | None, row: Mapping[str, Any]
) -> Fold | str:
    """Return the fold after one more event; or what is wrong with it."""
    seq = fold.seq + 1 if fold else 0
    try:
        event = ControlEvent.model_validate(dict(row))
    except (ValidationError, UnicodeError):
        return f"event {seq} is no event"
    if event.seq != seq:
        return f"event {seq} is missing"
    if event.stream != stream:
        return f"event {seq} belongs to {echo(event.stream)}"
    try:
        kind = event.fact.kind
    except LogBroken:
        return f"the data of event {seq} are not what was written: they hold no fact"
    # The hash covers neither the kind nor how a time was written, so the fields are compared as stored too.
    if event.digest() != event.hash or event.kind != kind or event.model_dump(mode="json") != dict(row):
        return f"event {seq} is not what was written: its hash does not fit"
    if event.prev_hash != (fold.last_hash if fold else GENESIS):
        return f"event {seq} does not carry the hash of the one before it"
    try:
        return apply(fold, event)
    except ValueError as error:
        return f"event {seq} was not allowed: {printable(str(error))}"
