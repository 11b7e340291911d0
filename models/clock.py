"""UTC everywhere: the one place that reads the clock, and the one way to write a time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, PlainSerializer


def now() -> datetime:
    """Return the time in UTC, aware, to the microsecond."""
    return datetime.now(UTC)


def ascending(clock: Callable[[], datetime] = now) -> Iterator[datetime]:
    """Yield the time, again and again; each is later than the one before, by a microsecond at least."""
    last = None
    while True:
        moment = clock()
        last = moment if last is None else max(moment, last + timedelta(microseconds=1))
        yield last


def to_text(moment: datetime) -> str:
    """Return an aware time as ISO 8601 in UTC with six decimals, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def in_words(moment: datetime) -> str:
    """Return an aware time to the second in UTC, as sentences for people have it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def in_utc(moment: datetime) -> datetime:
    """Return an aware time in UTC.

    Raises:
        ValueError: it has no zone, or is of no year that there is.
    """
    if moment.tzinfo is None:
        msg = "a time needs its zone"
        raise ValueError(msg)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        msg = "in UTC it is of no year from 1 to 9999"
        raise ValueError(msg) from None


UtcDatetime = Annotated[datetime, AfterValidator(in_utc), PlainSerializer(to_text, when_used="json")]
"""An aware datetime, always in UTC, written by `to_text`."""
