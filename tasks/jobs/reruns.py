"""A job run again exactly: with the seed that is on record, and a word on what is otherwise now."""

import hashlib
import platform
from importlib import metadata

from models.calibrations import UnknownCalibration
from models.errors import BadSetting, UnknownBackend
from models.events import Event
from models.facts import Executed
from models.job import Job
from models.reruns import Change, NotRepeatable, since
from tasks.backends import registry
from tasks.calibrating import version_now
from tasks.jobs.programs import Wanted, compiled, programs_again
from tasks.services import Services


def executed_of(job: Job) -> Executed:
    """Return the execution whose seed is on record.

    Raises:
        NotRepeatable: there was none, or somebody else has drawn the seeds.
    """
    if registry.knows(job.backend) and registry.served_outside(job.backend):
        raise NotRepeatable(job.job_id, "an engine outside runs it, and does not say which seeds it draws")
    if job.executed is None:
        raise NotRepeatable(job.job_id, "it was never executed")
    return job.executed


def changes_since(services: Services, job: Job, *, compile_again: bool = False) -> list[Change]:
    """Return what is otherwise now than when a job was run.

    Args:
        compile_again: look also whether the document still compiles to the same program.

    Raises:
        NotRepeatable: as `executed_of`.
    """
    executed = executed_of(job)
    try:
        version = version_now(services, job.backend)
    except (UnknownBackend, BadSetting):
        version = None
    try:
        old = services.calibrations.find(executed.stands_on).calibration
    except UnknownCalibration:
        old = None
    found = [*since(executed, {name: installed(name) for name in executed.versions}, version, old)]
    if compile_again and version is not None:
        found += _program(services, job, services.log.history(job.job_id))
    return found


def installed(package: str) -> str:
    """Return the version of Python or of a package that is installed here; `-` if it is not."""
    try:
        return platform.python_version() if package == "python" else metadata.version(package)
    except metadata.PackageNotFoundError:
        return "-"


def _program(services: Services, job: Job, events: list[Event]) -> list[Change]:
    then, document = compiled(events), services.log.document(job.job_id)
    if then is None or document is None:
        return []
    (program,) = programs_again(services, [Wanted(job.backend, document, then.seed)])
    now = program if isinstance(program, str) else hashlib.sha256(program).hexdigest()
    return [] if now == then.program_sha256 else [Change("program", then.program_sha256[:16], now[:200])]
