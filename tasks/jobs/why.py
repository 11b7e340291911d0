"""Why a job waits and when it is served, by the log: its queue is played through."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any

from models import clock
from models.durations import Durations, slots
from models.facts import Retried
from models.forecast import ROUNDS, Forecast, Span, drained, forecast, span
from models.job import FINAL, Job, Phase
from models.pauses import Pause
from models.retry import is_due
from models.service_order import Scene
from models.why import Attempt, Expected, Hold, Queue, Why, turn
from storage.log import waiting
from storage.log.pauses import pauses
from storage.log.waiting import Running, Stand
from tasks.services import Services

PATIENCE = timedelta(seconds=15)
"""A job that is next and has waited for longer is perhaps waited for by nobody."""


def why(services: Services, job: Job) -> Why:
    """Return why a job stands where it does, and when it goes on."""
    now = clock.now()
    about: dict[str, Any] = {"job_id": job.job_id, "backend": job.backend, "state": job.state, "at": now}
    if job.state in FINAL:
        return Why(**about, reason=job.reason)
    engine = services.log.engine
    stand, paused = waiting.stand(engine), pauses(engine, now)
    durations = Durations(stand.runs)
    about["known_runs"] = durations.knows(job.backend)
    if job.phase is Phase.RUNNING:
        return Why(**about, **_under_way(services, job, stand, durations, now))
    if held := services.holds.why(job.job_id):
        return Why(**about, holds=(Hold(kind="held", text=f"nothing is done with it: {held}"),))
    scene = _scene(services, stand, paused, durations, now, job.backend)
    found = forecast(
        scene, durations, job.job_id, durations.like(job.backend, job.user, job.document_bytes), about["known_runs"]
    )
    queue, found = _place(services, job, stand, scene, found)
    holds = _holds(services, job, queue, paused.get(job.backend), now)
    known = durations.knows(job.backend) and not any(hold.kind == "pause" and hold.until is None for hold in holds)
    late = max([0.0, *((hold.until - now).total_seconds() for hold in holds if hold.until is not None)])
    late = max(0.0, late - found.start.expected)
    start, end = (_expected(each, now, late) if known else None for each in (found.start, found.end))
    return Why(**about, holds=holds, queue=queue, start=start, end=end)


def drained_at(services: Services) -> dict[str, datetime]:
    """Return when each backend has done what waits for it and runs now; none for one that has nothing, or is paused.

    A backend is left out too if nothing is known of how long its jobs take.
    """
    now = clock.now()
    engine = services.log.engine
    stand, paused = waiting.stand(engine), pauses(engine, now)
    durations = Durations(stand.runs)
    scene = _scene(services, stand, paused, durations, now, "")
    busy = {backend for backend, _ in scene.queues} | {each.backend for each in scene.running}
    more = sum(stand.counts.values()) / max(1, sum(map(len, stand.queues.values())))
    return {
        backend: now + timedelta(seconds=drained(scene, durations, backend) * max(1.0, more))
        for backend in busy
        if durations.knows(backend)
    }


def _scene(  # noqa: PLR0913 - what a queue depends on
    services: Services,
    stand: Stand,
    paused: Mapping[str, Pause],
    durations: Durations,
    now: datetime,
    backend: str,
) -> Scene:
    """Return the scene as a forecast for a backend takes it: others that are paused for good are left out."""
    opens = {name: (each.until - now).total_seconds() if each.until else math.inf for name, each in paused.items()}
    queues = {
        lane: heads for lane, heads in stand.queues.items() if opens.get(lane[0]) != math.inf or lane[0] == backend
    }
    if opens.get(backend) == math.inf:
        del opens[backend]  # what comes before what is told all the same
    settings = services.settings
    at_once = slots(durations.runs, len(stand.running), settings.concurrency)
    running = [(each.worker, each.job.backend) for each in stand.running]
    cold = durations.warming.to_come(running, {name for name, _ in queues})
    return Scene(queues, stand.under(now, durations.warming), at_once, settings.most_at_once, opens, cold)


def _place(services: Services, job: Job, stand: Stand, scene: Scene, found: Forecast) -> tuple[Queue, Forecast]:
    """Return the place of a job, and what is expected where it is behind all that was looked at."""
    served, place = found.served, sum(found.served.values()) + 1
    if not found.is_met:
        # As many come before it as were received before; they are served as those that were looked at.
        engine, looked_at = services.log.engine, max(1, place - 1)
        own = waiting.own_before(engine, job)
        place = max(waiting.older(engine, job), own) + 1
        others = {user: number for user, number in served.items() if user != job.user}
        more = (place - 1 - own) / max(1, sum(others.values()))
        served = {user: round(number * more) for user, number in others.items()} | {job.user: own}
        start, end = (Span(*(each * (place - 1) / looked_at for each in when)) for when in (found.start, found.end))
        found = Forecast(start, end, served, is_met=False)
    before = {user: number for user, number in served.items() if number}
    queue = Queue(
        place=place,
        is_exact=found.is_met and stand.is_whole,
        own_before=before.get(job.user, 0),
        users_before=len(before.keys() - {job.user}),
        waiting=sum(number for lane, number in stand.counts.items() if lane[0] == job.backend),
        running=sum(each.backend == job.backend for each in scene.running),
        at_once=scene.slots,
        before=before,
    )
    return queue, found


def _holds(services: Services, job: Job, queue: Queue, pause: Pause | None, now: datetime) -> tuple[Hold, ...]:
    holds = []
    if pause is not None:
        holds.append(Hold(kind="pause", text=str(pause), until=pause.until))
    if job.not_before is not None and not is_due(job.not_before, now):
        text = f"it is tried again at {job.not_before:%H:%M:%S} UTC: {_reason(services, job)}"
        holds.append(Hold(kind="retry", text=text, until=job.not_before))
    most = services.settings.most_at_once.get(job.backend)
    if most is not None and queue.running >= most:
        holds.append(Hold(kind="limit", text=f"{job.backend} runs {most} at once, and does"))
    if not holds and queue.place == 1 and now - max(job.updated_at, job.not_before or job.updated_at) > PATIENCE:
        text = "it is next, and nobody takes it: perhaps no drain runs, or not for its backend and storage"
        return (Hold(kind="nobody", text=text),)
    return (*holds, turn(queue))


def _reason(services: Services, job: Job) -> str:
    events = services.log.history(job.job_id)
    return next((event.fact.reason for event in reversed(events) if isinstance(event.fact, Retried)), "")


def _under_way(services: Services, job: Job, stand: Stand, durations: Durations, now: datetime) -> dict[str, Any]:
    found = (each for each in stand.running if each.job.job_id == job.job_id)
    _, since, worker = next(found, Running(job, job.updated_at, ""))
    elapsed, more = (
        max(0.0, (now - since).total_seconds()),
        durations.warming.cost(worker, job.backend, since.timestamp()),
    )
    seconds, chance = durations.like(job.backend, job.user, job.document_bytes), Random(job.job_id)  # noqa: S311
    known = durations.knows(job.backend)
    longer = [] if more else [each for each in seconds if each > elapsed]
    drawn = [each - elapsed for each in longer] or [
        durations.left(job.backend, job.user, elapsed, chance, more) for _ in range(ROUNDS)
    ]
    left = span(drawn, known)
    attempt = Attempt(
        number=job.attempt,
        since=since,
        lease_until=waiting.lease_until(services.log.engine, job),
        worker=job.worker,
    )
    return {"attempt": attempt, "end": _expected(left, now) if known else None}


def _expected(found: Span, now: datetime, late: float = 0.0) -> Expected:
    at = [now + timedelta(seconds=each + late) for each in found]
    return Expected(expected=at[0], earliest=at[1], latest=at[2])
