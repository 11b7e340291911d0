"""Numbers in sentences, and the words of pydantic."""

from datetime import timedelta

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


def count_of(number: int, what: str) -> str:
    """Return a number of things in words: 1 shot, 2 shots."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def no_or_count_of(number: int, what: str) -> str:
    """Return the same, but for nothing: no shots."""
    return count_of(number, what) if number else f"no {what}s"


def count_that(number: int, what: str, does: str, do: str) -> str:
    """Return the same with its verb: 1 job waits, 2 jobs wait."""
    return f"{count_of(number, what)} {does if number == 1 else do}"


def without_prefix(message: str) -> str:
    """Return what a check of ours said, without what pydantic puts before it."""
    return message.removeprefix("Value error, ")


def span_of(span: timedelta) -> str:
    """Return a length of time in its largest unit, cut off: 3 minutes; nothing is 0 seconds."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in _UNITS:
        if seconds >= length:
            return count_of(seconds // length, unit)
    return count_of(seconds, "second")
