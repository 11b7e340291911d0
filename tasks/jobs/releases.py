"""Jobs are claimed here, and given back: whatever goes wrong, the token of a claim is kept until the log knows."""

import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from models import clock
from models.claims import holder_of
from models.errors import AppendConflict, LogError, StaleAttempt, UnknownJob
from models.job import FOR_THE_POOL, Job, Phase
from models.retry import given_back, unless_cancelled
from tasks.jobs.claims import Claim
from tasks.services import Services

_LOG = logging.getLogger("quledger.releases")


def claim(
    services: Services, backends: Sequence[str], job_id: str | None = None, *, storages: Sequence[str] | None = None
) -> Claim | None:
    """Claim the job whose turn it is, or this one. Noted in this thread: whoever waits for it may be cancelled.

    Args:
        storages: names of the storages whose jobs may run; None for all.
    """
    most = services.settings.most_at_once
    token = services.claims.new()
    try:
        if job_id is None:
            job = services.log.claim(backends, services.worker, _until(services), most, storages=storages, token=token)
        else:
            job = services.log.claim_job(job_id, services.worker, _until(services), most, token=token)
    except BaseException:
        # It may have been made, and only the answer be lost.
        services.claims.owe(token)
        raise
    if job is None:
        services.claims.forget(token)
        return None
    return services.claims.keep(token, job)


def claim_for_pool(
    services: Services, backends: Sequence[str], *, storages: Sequence[str] | None = None
) -> Claim | None:
    """Claim the job whose turn it is for a process that is still to start; if it never does, the lease runs out."""
    most = dict.fromkeys(backends, services.settings.concurrency) | services.settings.most_at_once
    token = services.claims.new()
    worker = f"{services.worker}{FOR_THE_POOL}"
    try:
        job = services.log.claim(
            backends, worker, _until(services), most, storages=storages, token=token, handed_on=True
        )
    except BaseException:
        services.claims.owe(token)
        raise
    if job is None:
        services.claims.forget(token)
        return None
    return services.claims.keep(token, job, begun=True)


def begin(services: Services, job_id: str, attempt: int) -> Claim | None:
    """Return the claim of an attempt to whoever begins it, which is one: it was made here, or for another process.

    Returns:
        None where somebody else has the attempt, or it is over.
    """
    ours = services.claims.begin(job_id, attempt)
    if ours is not None:
        return ours
    token = services.claims.new()
    try:
        job = services.log.take_over(job_id, attempt, services.worker, _until(services), token)
    except BaseException:
        services.claims.owe(token)
        raise
    if job is None:
        services.claims.forget(token)
        return None
    return services.claims.keep(token, job, begun=True)


def release(services: Services, claim: Claim) -> Job:
    """Give a job back if it still runs in our hands; return the job as it stands then.

    Raises:
        LogUnavailable: it is owed, and given back when the log answers.
    """
    services.claims.owe(claim.token)
    job_id, holder = claim.job.job_id, holder_of(claim.token)
    with services.claims.releasing:
        while True:
            try:
                now = services.log.get(job_id)
            except UnknownJob:
                services.claims.forget(claim.token)
                raise
            if now.phase is not Phase.RUNNING or now.holder != holder:
                services.claims.forget(claim.token)
                return now
            fact = unless_cancelled(now, given_back("the run was interrupted", clock.now()))
            with contextlib.suppress(AppendConflict, StaleAttempt):
                services.log.append(now, fact, attempt=now.attempt, actor=services.worker, token=claim.token)


def release_all(services: Services, *, begun: bool = True) -> None:
    """Give back whatever this process has claimed and not seen the end of.

    Args:
        begun: also what is being worked on, because the process ends.
    """
    services.claims.owe_all(begun=begun)
    with contextlib.suppress(LogError):
        give_back_owed(services)


def give_back_owed(services: Services) -> int:
    """Give back what nobody here works on any more, though the log was not told; return how many jobs that were.

    Raises:
        LogUnavailable: the log still does not answer.
    """
    owed = services.claims.owed()
    if not owed:
        return 0
    found = services.log.running(owed.keys())
    for job in found:
        # No warning: whoever could not tell the log has said so, and being stopped is no fault.
        _LOG.info("job_owed action=give_back job_id=%s attempt=%d", job.job_id, job.attempt)
        with contextlib.suppress(UnknownJob):
            release(services, Claim(job, owed[job.holder or ""]))
    for holder in owed.keys() - {job.holder for job in found}:
        if services.claims.is_certain(owed[holder]):
            services.claims.forget(owed[holder])
    return len(found)


def _until(services: Services) -> datetime:
    return clock.now() + timedelta(seconds=services.settings.lease_seconds)
