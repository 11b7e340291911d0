"""Times and spans as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from models.errors import BadName
from models.moments import moment_of, span_of, window_of

NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("90m", 90),
        ("1h30m", 90),
        ("2d", 2880),
        ("30s", 0.5),
        ("1d2h3m4s", 1563 + 4 / 60),
        ("0s", 0),
        ("3650d", 5256000),
    ],
)
def test_spans(text: str, minutes: float):
    """Each unit once, the longer one first."""
    assert span_of(text) == timedelta(minutes=minutes)
    assert moment_of(text, "--until", NOW) == NOW + timedelta(minutes=minutes)
    assert moment_of(text, "--since", NOW, ago=True) == NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-27T12:00Z", 12),
        ("2026-11-27T12:00:00+00:00", 12),
        ("2026-11-27T12:00+02:00", 10),
        ("2026-11-27 12:00+01:00", 11),
    ],
)
def test_times(text: str, hour: int):
    """With their zone, in UTC."""
    assert moment_of(text, "--until", NOW) == datetime(2026, 11, 27, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "90", "m", "1m1h", "1m1m", "-5m", "1.5h", "3651d", "\u0661m", "20261127T120000Z", "9" * 39 + "d"),
        *("2026-11-27T12:00", "2026-11-27", "2026-13-01T00:00Z", "0001-01-01T00:00+14:00", "1m" * 10_000),
    ],
)
def test_what_is_none_is_refused(text: str):
    """By name, in one line that says how to write it."""
    with pytest.raises(BadName, match=r"^--until: .* is no time; write one with its zone") as raised:
        moment_of(text, "--until", NOW)
    assert len(str(raised.value)) < 400


def test_both_ends_of_a_window_are_named_where_both_are_wrong() -> None:
    """And nothing said is no end."""
    with pytest.raises(BadName, match=r"--since: 'then' is no time.*--until: 'now' is no time"):
        window_of("then", "now", NOW, dashes="--")
    assert window_of("2d", "", NOW) == (NOW - timedelta(days=2), None)
