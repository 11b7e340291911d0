"""Times and spans as people write them: `2026-12-01T08:00Z`, `90m`, `1h30m`."""

from datetime import datetime, timedelta

from models.clock import in_utc
from models.errors import BadName, echo

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_LONGEST_TEXT = 40
_MAX_SPAN = timedelta(days=3650)
_AHEAD = timedelta(minutes=1)
"""So far the clock of whoever asks may be ahead of ours."""


def span_of(text: str) -> timedelta | None:
    """Return the span that a text says, such as `90m`, `1h30m` or `2d`; None where it says none."""
    if not 0 < len(text) <= _LONGEST_TEXT:
        return None
    seconds, digits, left = 0, "", "dhms"
    for character in text:
        if character in "0123456789":
            digits += character
        elif character in left and digits:
            seconds += int(digits) * _SECONDS[character]
            # Each unit once, the longer one first.
            digits, left = "", left[left.index(character) + 1 :]
        else:
            return None
    return None if digits or seconds > _MAX_SPAN.total_seconds() else timedelta(seconds=seconds)


def moment_of(text: str, what: str, now: datetime, *, ago: bool = False) -> datetime:
    """Return the time (UTC) that a text says: a time with its zone, or a span from now.

    Args:
        what: whose value it is, for the message.
        ago: a span is counted back.

    Raises:
        BadName: it says neither.
    """
    span = span_of(text)
    try:
        if span is not None:
            return now - span if ago else now + span
        # A number alone would be read as a day.
        return in_utc(datetime.fromisoformat(text)) if "-" in text[:_LONGEST_TEXT] else _refuse(text, what)
    except (ValueError, OverflowError):
        return _refuse(text, what)


def past_moment_of(text: str, what: str, now: datetime) -> datetime:
    """Return the time (UTC) that a text says, no later than now: a time with its zone, or a span ago.

    Raises:
        BadName: it says neither, or a time to come.
    """
    moment = moment_of(text, what, now, ago=True)
    if moment > now + _AHEAD:
        raise BadName(f"{what}: {echo(text)} is still to come; nobody knows where a job will stand then")
    return moment


def window_of(since: str, until: str, now: datetime, *, dashes: str = "") -> tuple[datetime | None, datetime | None]:
    """Return the times from which on and before which; None where nothing is said.

    Args:
        dashes: what stands before their names where these are options.

    Raises:
        BadName: one of them is no time; both are named.
    """
    found: list[datetime | None] = []
    wrong: list[str] = []
    for name, text in (("since", since), ("until", until)):
        try:
            found.append(moment_of(text, f"{dashes}{name}", now, ago=True) if text else None)
        except BadName as error:
            wrong.append(str(error))
    if wrong:
        raise BadName("; ".join(wrong))
    return found[0], found[1]


def _refuse(text: str, what: str) -> datetime:
    raise BadName(
        f"{what}: {echo(text)} is no time; write one with its zone, such as 2026-12-01T08:00Z, or a span such as"
        " 90m, 1h30m or 2d"
    )
