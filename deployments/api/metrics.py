"""The laboratory's numbers in the text format of Prometheus."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby
from statistics import quantiles

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from models import clock
from models.health import Health
from storage.log import condition
from tasks.services import Services

HOUR = timedelta(hours=1)

MOST_JOBS = 500
"""Of so many jobs at most the steps are measured: the newest that are DONE."""

STEPS = {"validated": "validation", "compiled": "compilation", "executed": "execution", "uploaded": "upload"}
"""Event with which a step ends -> step."""

Times = dict[tuple[str, str], list[float]]
"""Backend and step -> seconds that it took each job."""

_Gauges = Callable[..., Gauge]


def text_of(services: Services, health: Health) -> str:
    """Return all numbers.

    Raises:
        LogError: the log does not answer.
    """
    log, now = services.log, clock.now()
    metrics = CollectorRegistry()

    def gauge(name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"quledger_{name}", says, labels, registry=metrics)

    jobs = gauge("jobs", "Jobs that have not ended.", "backend", "phase")
    for backend, phases in log.counts().items():
        for phase, number in phases.items():
            jobs.labels(backend, phase).set(number)
    recent = gauge("jobs_last_hour", "Jobs that were handed in within the last hour, by state.", "backend", "state")
    for backend, states in log.recent(now - HOUR).items():
        for state, number in states.items():
            recent.labels(backend, state).set(number)
    ages = gauge("queue_age_seconds", "For how long the first of the waiting jobs has waited.", "backend")
    for backend, since in condition.oldest_waiting(log.engine).items():
        ages.labels(backend).set(_seconds(now - since))
    _steps(gauge, condition.step_times(log.engine, now - HOUR, MOST_JOBS))
    lag = condition.lag(log.engine)
    gauge("mirror_jobs_behind", "Jobs with events that are not in the storages yet.").set(lag.behind)
    late = _seconds(now - lag.oldest) if lag.oldest else 0.0
    gauge("mirror_lag_seconds", "For how long the oldest of these events is in the log.").set(late)
    drains = gauge("drain_last_sign_seconds", "Since the last sign of life of a drain.", "drain")
    for sign, _ in condition.signs(log.engine):
        drains.labels(sign.worker).set(_seconds(now - sign.seen_at))
    parts = gauge("part_up", "Whether a part works, of those that are known.", "part")
    for part in health.parts:
        if part.status != "unknown":
            parts.labels(part.name).set(part.status != "down")
    gauge("up", "Whether jobs can be handed in and read.").set(health.is_open)
    return generate_latest(metrics).decode()


def _steps(gauge: _Gauges, events: list[tuple[str, str, str, datetime]]) -> None:
    seconds = gauge("step_seconds", "What a step took the jobs of the last hour.", "backend", "step", "quantile")
    counts = gauge("step_jobs", "Of how many jobs that is.", "backend", "step")
    for (backend, step), took in durations(events).items():
        counts.labels(backend, step).set(len(took))
        cuts = quantiles(took, n=20, method="inclusive") if len(took) > 1 else took * 19
        for quantile, value in (("0.5", cuts[9]), ("0.95", cuts[18])):
            seconds.labels(backend, step, quantile).set(value)


def durations(events: list[tuple[str, str, str, datetime]]) -> Times:
    """Return what each step took, from the events of jobs, job by job and in order.

    A step begins with the event before its own, whatever that is: `queue` is the time until the claim.
    """
    times: Times = defaultdict(list)
    for (backend, _), rows in groupby(events, key=lambda row: row[:2]):
        before: datetime | None = None
        for _, _, kind, at in rows:
            step = "queue" if kind == "claimed" else STEPS.get(kind)
            if step and before is not None:
                times[backend, step].append(_seconds(at - before))
            before = at
    return dict(times)


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())
