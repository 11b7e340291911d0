"""Whose turn it is, by the documents alone (docs/architecture.md, `models.claims.fairest`): the slow and plain way."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

LONGEST_PAUSE = timedelta(minutes=10)
"""What lies further ahead than this was written by a clock that was wrong."""


class Standing(NamedTuple):
    """What the rules ask of a job that waits or runs; `not_before` is None where it does not pause."""

    job_id: str
    user: str
    backend: str
    storage: str
    priority: int
    received_at: datetime
    running: bool
    not_before: datetime | None
    held: bool


def whose_turn(
    jobs: Iterable[Standing],
    now: datetime,
    backends: Sequence[str],
    storages: Collection[str] | None = None,
    most: Mapping[str, int] | None = None,
) -> set[str | None]:
    """Return the jobs of which a claim has to return one; None among them where it may return none.

    It is one job, but where somebody was wrong about the time: a job that was received far in the future may come
    before those that were received in time, or have the place of what its user handed in before.
    """
    alive = [job for job in jobs if not job.held]
    by_user = Counter(job.user for job in alive if job.running)
    by_backend = Counter(job.backend for job in alive if job.running)
    free = {name for name in backends if by_backend[name] < (most or {}).get(name, by_backend[name] + 1)}
    heads: dict[tuple[str, str], Standing] = {}
    for job in alive:
        pauses = job.not_before is not None and now < job.not_before <= now + LONGEST_PAUSE
        served = job.backend in free and (storages is None or job.storage in storages)
        if job.running or pauses or not served:
            continue
        first = heads.get((job.user, job.backend), job)
        heads[job.user, job.backend] = min(first, job, key=lambda each: (-each.priority, each.received_at, each.job_id))
    far = {head for head in heads.values() if head.received_at > now + LONGEST_PAUSE}

    def turn(head: Standing) -> tuple[int, datetime, str]:
        return by_user[head.user], head.received_at, head.job_id

    least = min((by_user[head.user] for head in heads.values()), default=0)
    first = min(set(heads.values()) - far or far, key=turn, default=None)
    return {first and first.job_id} | {head.job_id for head in far if by_user[head.user] == least}
