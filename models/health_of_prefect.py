"""How the schedules that Prefect keeps are judged; no clock, no I/O."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from models.health import SCHEDULES, Part
from models.words import span_of


class Schedule(NamedTuple):
    """A deployment that Prefect is to run by itself.

    Attributes:
        next_at: of the runs that Prefect has made, the last one; None if there is none to come.
        late_since: when the oldest run was due that nobody has taken; None if there is none.
        every: seconds between two runs; None where they follow a calendar.
    """

    name: str
    next_at: datetime | None
    late_since: datetime | None
    every: float | None = None


LATE = timedelta(minutes=2)
"""So long a run that is due may wait for a worker."""


def judge_schedules(schedules: Sequence[Schedule], now: datetime, ahead: timedelta, *, enabled: bool) -> Part:
    """Say whether what Prefect is to run by itself is scheduled and taken.

    Args:
        ahead: so far Prefect's scheduler plans at least, less what it may be late.
        enabled: whether the server says that it has a scheduler.
    """
    restart = "start Prefect's server again: its scheduler has to run"
    if schedules and not enabled:
        says = "Prefect's scheduler is switched off, so no schedule fires"
        return Part(name=SCHEDULES, status="down", says=says, do="set PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED=true")
    unplanned = [each.name for each in schedules if each.next_at is None or _ends_early(each, now, ahead)]
    if unplanned:
        says = f"Prefect's scheduler makes no more runs of {', '.join(unplanned)}"
        return Part(name=SCHEDULES, status="down", says=says, do=restart)
    late = {each.name: now - each.late_since for each in schedules if each.late_since is not None}
    late = {name: since for name, since in late.items() if since > LATE}
    if late:
        says = ", ".join(f"{name} has been due for {span_of(since)}" for name, since in late.items())
        do = "start a worker: `quledger up` or `quledger worker`"
        return Part(name=SCHEDULES, status="down", says=f"nobody runs what Prefect schedules: {says}", do=do)
    if not schedules:
        return Part(name=SCHEDULES, status="ok", says="Prefect has no schedules of ours")
    return Part(name=SCHEDULES, status="ok", says=f"runs are planned of {', '.join(each.name for each in schedules)}")


def _ends_early(schedule: Schedule, now: datetime, ahead: timedelta) -> bool:
    """Return whether the plan of a frequent run ends too soon; rare ones are planned three at a time."""
    if schedule.next_at is None or schedule.every is None:
        return False
    return schedule.next_at < now + ahead - timedelta(seconds=schedule.every)
