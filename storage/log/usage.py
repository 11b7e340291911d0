"""The view of what was used, written with the events that it counts; and the limits, asked in the same transaction.

Whoever asks for a limit holds the row of all days together first, so that no two exceed it at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, text

from models.errors import LogBroken
from models.facts import Fact, Submitted, fact_from_json
from models.job import Phase
from models.submissions import owner_of
from models.usage import Amount, Bounds, LimitReached, Used, amount_of, counted_for, day_of, why_too_much
from storage.log.database import reading
from storage.log.tables import PROVEN, PROVEN_OPEN, EventRow, JobRow, PayloadRow, UsageRow

_EVENT: Any = EventRow.__table__  # type: ignore[attr-defined]
_JOB: Any = JobRow.__table__  # type: ignore[attr-defined]
_PAYLOAD: Any = PayloadRow.__table__  # type: ignore[attr-defined]
_USAGE: Any = UsageRow.__table__  # type: ignore[attr-defined]

ALL_DAYS = ""

_ADD = text(
    "INSERT INTO usage (who, day, jobs, shots, microseconds, bytes)"
    " VALUES (:who, :day, :jobs, :shots, :microseconds, :bytes) ON CONFLICT (who, day) DO UPDATE SET"
    " jobs = usage.jobs + excluded.jobs, shots = usage.shots + excluded.shots,"
    " microseconds = usage.microseconds + excluded.microseconds, bytes = usage.bytes + excluded.bytes"
)
_OF = select(_USAGE.c.day, _USAGE.c.shots, _USAGE.c.microseconds, _USAGE.c.bytes).where(
    _USAGE.c.who == bindparam("who"), _USAGE.c.day.in_([ALL_DAYS, bindparam("today")])
)
_COUNTED = (
    select(_JOB.c.owner, _JOB.c.project, _EVENT.c.data, _EVENT.c.recorded_at)
    .join(_EVENT, _EVENT.c.job_id == _JOB.c.job_id)
    .where(PROVEN, _EVENT.c.kind.in_(["submitted", "executed"]))
    .execution_options(yield_per=500)
)

Rows = Mapping[tuple[str, str], Amount]
"""(who, day) -> what was used, as the rows of the view."""


def sum_up(used: Iterable[tuple[str, str, datetime, Fact]]) -> Rows:
    """Return the rows of owners, projects, times and facts."""
    rows: defaultdict[tuple[str, str], Amount] = defaultdict(Amount)
    for owner, project, moment, fact in used:
        if (amount := amount_of(fact)) is not None:
            for who in counted_for(owner, project):
                for day in (ALL_DAYS, day_of(moment)):
                    rows[who, day] = rows[who, day].plus(amount)
    return rows


def add(connection: Connection, rows: Rows) -> None:
    """Add to what was used; in the order of their keys, as everybody who holds several rows."""
    if rows:
        connection.execute(_ADD, [_row(key, rows[key]) for key in sorted(rows)])


def used(engine: Engine, owner: str, project: str, now: datetime) -> tuple[Used, Used]:
    """Return what stands against the limits of a user, and of a project; nothing for an empty name."""
    with reading(engine) as connection:
        both = [
            _used(connection, who, now) if name else Used()
            for name, who in ((owner, f"user/{owner}"), (project, f"project/{project}"))
        ]
    return both[0], both[1]


class Allowance:
    """What may still be used, within a transaction that holds whatever it decides about.

    Args:
        limits: `user/NAME` or `project/NAME` -> limits; whoever is missing has none.
        counted: for whom something will be added, in the end, whether he has limits or not.
    """

    def __init__(
        self, connection: Connection, limits: Mapping[str, Bounds], now: datetime, counted: Iterable[str] = ()
    ) -> None:
        self._limits, self._now = limits, now
        if limits:
            # All at once, in the order in which everybody comes upon them: no two wait for each other.
            add(connection, {(who, ALL_DAYS): Amount() for who in {*limits, *counted}})
        self._used = {who: _used(connection, who, now) for who in limits}

    def take(self, fact: Submitted) -> LimitReached | None:
        """Take what a job needs from what is left; return why that is too much, and take nothing then."""
        more = amount_of(fact)
        if not self._limits or more is None:
            return None
        return self.take_for(counted_for(owner_of(fact), fact.project), more)

    def take_for(self, whose: Iterable[str], more: Amount) -> LimitReached | None:
        """Take so much for those who are named; return why that is too much, and take nothing then."""
        concerned = [who for who in whose if who in self._limits]
        for who in concerned:
            if (refusal := why_too_much(who, self._limits[who], self._used[who], more, self._now)) is not None:
                return refusal
        for who in concerned:
            old = self._used[who]
            self._used[who] = Used(
                old.jobs_queued + more.jobs, old.shots_today + more.shots, old.seconds_today, old.bytes + more.bytes
            )
        return None


def expected(connection: Connection) -> Rows:
    """Return the rows that the events of all owned jobs make.

    Raises:
        LogBroken: an event cannot be read.
    """
    try:
        return sum_up(
            (owner, project, datetime.fromisoformat(recorded_at), fact_from_json(data))
            for owner, project, data, recorded_at in connection.execute(_COUNTED)
        )
    except (ValueError, AttributeError, RecursionError):
        raise LogBroken("what was used cannot be counted: an event is damaged; run `quledger verify`") from None


def remake(connection: Connection) -> None:
    """Make the view anew from the events."""
    rows = expected(connection)
    connection.execute(delete(_USAGE))
    if rows:
        connection.execute(insert(_USAGE), [_row(key, amount) for key, amount in rows.items()])


def differences(connection: Connection) -> list[str]:
    """Return where the view is not what the events make, a sentence each."""
    try:
        right = expected(connection)
    except LogBroken as error:
        return [str(error)]
    columns = (_USAGE.c.who, _USAGE.c.day, _USAGE.c.jobs, _USAGE.c.shots, _USAGE.c.microseconds, _USAGE.c.bytes)
    stored = {(row[0], row[1]): Amount(*row[2:]) for row in connection.execute(select(*columns))}
    wrong = (key for key in sorted(right.keys() | stored) if right.get(key, Amount()) != stored.get(key, Amount()))
    return [f"`usage` differs from the events for {who}{f' on {day}' if day else ''}" for who, day in wrong]


def _used(connection: Connection, who: str, now: datetime) -> Used:
    kind, _, name = who.partition("/")
    found = {row.day: row for row in connection.execute(_OF, {"who": who, "today": day_of(now)})}
    total, today = found.get(ALL_DAYS), found.get(day_of(now))
    column = _JOB.c.owner if kind == "user" else _JOB.c.project
    waiting = select(func.count()).select_from(_JOB)
    waiting = waiting.where(PROVEN_OPEN, column == name, _JOB.c.phase == Phase.WAITING.value)
    kept = 0
    if kind == "user":
        kept = connection.execute(select(func.sum(_PAYLOAD.c.size)).where(_PAYLOAD.c.owner == name)).scalar() or 0
    return Used(
        connection.execute(waiting).scalar() or 0,
        today.shots if today else 0,
        today.microseconds / 1e6 if today else 0.0,
        (total.bytes if total else 0) + int(kept),
    )


def _row(key: tuple[str, str], amount: Amount) -> dict[str, Any]:
    return {"who": key[0], "day": key[1], **amount._asdict()}
