"""What users and projects have used, and the limits that hold it; of jobs alone that have an owner."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from models import clock
from models.errors import InputError, echo
from models.facts import Executed, Fact, Submitted


class Bounds(Protocol):
    """The most of each; None is no limit. `models.identity.limits.Limits` is one."""

    @property
    def jobs_queued(self) -> int | None:
        """Jobs that wait at one time."""

    @property
    def shots_a_day(self) -> int | None:
        """Shots of the jobs that were handed in on one day, in UTC."""

    @property
    def seconds_a_day(self) -> int | None:
        """Seconds that jobs ran on one day, in UTC."""

    @property
    def bytes(self) -> int | None:
        """Of all documents and payloads that are kept."""


class Amount(NamedTuple):
    """What is counted of jobs: whole numbers, so that no order of adding matters."""

    jobs: int = 0
    shots: int = 0
    microseconds: int = 0
    bytes: int = 0

    def plus(self, other: "Amount") -> "Amount":
        """Return both together."""
        return Amount(*(one + another for one, another in zip(self, other, strict=True)))


class Used(NamedTuple):
    """What stands against the limits of one user or project.

    Attributes:
        shots_today: since midnight in UTC, as the seconds.
        bytes: of the documents of all jobs, and of a user's payloads.
    """

    jobs_queued: int = 0
    shots_today: int = 0
    seconds_today: float = 0.0
    bytes: int = 0


class LimitReached(InputError):
    """What was asked for would exceed a limit.

    Attributes:
        limit: its name.
        whose: `user/NAME` or `project/NAME`.
        used: how much of it is used.
        most: how much there is.
        free_at: when some of it is free again (UTC); None where that is up to the user.
    """

    def __init__(  # noqa: PLR0913 - what a limit says of itself
        self, whose: str, limit: str, words: str, used: float, most: int, free_at: datetime | None
    ) -> None:
        kind, _, name = whose.partition("/")
        again = f"free again at {clock.to_text(free_at)[:16]} UTC" if free_at else "less has to wait or be kept first"
        super().__init__(f"the {kind} {echo(name)} may have {most} {words}, and has used {used:g}; {again}")
        self.whose, self.limit, self.used, self.most, self.free_at = whose, limit, used, most, free_at


def counted_for(owner: str, project: str) -> Iterator[str]:
    """Yield under whose names the jobs of an owner in a project are counted."""
    if owner:
        yield f"user/{owner}"
        if project:
            yield f"project/{project}"


def amount_of(fact: Fact) -> Amount | None:
    """Return what a fact adds to what was used; None for one that adds nothing."""
    match fact:
        case Submitted():
            return Amount(jobs=1, shots=fact.shots or 0, bytes=fact.document_bytes)
        case Executed():
            return Amount(microseconds=max(0, round(fact.seconds * 1e6)))
    return None


def day_of(moment: datetime) -> str:
    """Return the day in UTC, as YYYY-MM-DD."""
    return clock.to_text(moment)[:10]


def why_too_much(whose: str, limits: Bounds, used: Used, more: Amount, now: datetime) -> LimitReached | None:
    """Return which limit would be exceeded; None if none would.

    Args:
        used: so far.
        more: what is asked for; `jobs` of it wait.
    """
    midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
    for limit, words, most, stands, asked, free_at in (
        ("jobs_queued", "jobs that wait", limits.jobs_queued, used.jobs_queued, more.jobs, None),
        ("shots_a_day", "shots a day", limits.shots_a_day, used.shots_today, more.shots, midnight),
        # Nobody knows beforehand how long a job runs: the last one may exceed what is left.
        ("seconds_a_day", "seconds of run time a day", limits.seconds_a_day, used.seconds_today, more.jobs, midnight),
        ("bytes", "bytes of documents and payloads", limits.bytes, used.bytes, more.bytes, None),
    ):
        if most is None or not asked:
            continue
        if stands >= most if limit == "seconds_a_day" else stands + asked > most:
            return LimitReached(whose, limit, words, stands, most, free_at)
    return None
