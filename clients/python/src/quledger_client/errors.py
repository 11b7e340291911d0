"""What goes wrong, as one tree below `QuledgerError`; its messages are for people, and none holds a token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_SHOWN = 20
"""So many faults are written out in a message; `faults` has them all."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        field: where it stands: a field of the request, or a place in the job document; empty if it is the whole.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class QuledgerError(Exception):
    """Something went wrong between this program and the laboratory.

    Attributes:
        status: HTTP code of the answer; None where none came.
        type: what kind of problem the server says it is, such as `urn:quledger:job-rejected`; may be empty.
        was_repeated: the request was sent more than once, and an earlier one may have been carried out.
    """

    def __init__(self, message: str, *, status: int | None = None, kind: str = "") -> None:
        super().__init__(message)
        self.status, self.type, self.was_repeated = status, kind, False

    def __reduce__(self) -> "tuple[Any, ...]":
        # Another process that gets it makes it from its values, whatever its kind was made of.
        return _remade, (type(self), self.args, vars(self))


class Refused(QuledgerError):
    """What was asked has faults; nothing was stored.

    Attributes:
        faults: all of them.
    """

    def __init__(
        self, message: str, faults: Sequence[Fault] = (), *, status: int | None = None, kind: str = ""
    ) -> None:
        self.faults = list(faults) or [Fault("", message)]
        super().__init__(_listed(message, self.faults), status=status, kind=kind)


class NotFound(QuledgerError):
    """It is not there, or not yours to see."""


class NotAllowed(QuledgerError):
    """The token lets nobody in, or does not allow this."""


class Conflict(QuledgerError):
    """It cannot be done with a job that stands so, or the key belongs to another job."""


class TooMany(QuledgerError):
    """A limit is reached.

    Attributes:
        retry_after: seconds after which it may be free again; None if the server does not say.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, kind: str = "") -> None:
        super().__init__(message, status=429, kind=kind)
        self.retry_after = retry_after


class Unreachable(QuledgerError):
    """No answer came, however often it was asked."""


class TimedOut(QuledgerError, TimeoutError):
    """The job has not ended in the time that was given; it goes on."""


class JobFailed(QuledgerError):
    """A job ended without a result.

    Attributes:
        state: ERROR, CANCELLED or WITHDRAWN.
        faults: what is wrong with its document, if that is why.
    """

    def __init__(self, job_id: str, state: str, reason: str, faults: Sequence[Fault] = ()) -> None:
        self.job_id, self.state, self.reason, self.faults = job_id, state, reason, list(faults)
        said = f"the job {job_id} ended in {state}" + (f": {reason}" if reason else "")
        super().__init__(_listed(said, self.faults) if len(self.faults) > 1 else said)


class PartlyRefused(Refused):
    """Of many jobs some were not taken; the others were.

    Attributes:
        jobs: in the order in which they were given, the jobs that were taken; None for each other.
        errors: why, by their places.
    """

    def __init__(self, jobs: Sequence[Any], errors: Mapping[int, QuledgerError]) -> None:
        self.jobs, self.errors = list(jobs), dict(errors)
        faults = [
            Fault(f"jobs[{place}].{fault.field}" if fault.field else f"jobs[{place}]", fault.message)
            for place, error in self.errors.items()
            for fault in (error.faults if isinstance(error, Refused) else [Fault("", str(error))])
        ]
        jobs = "1 job was" if len(self.jobs) == 1 else f"{len(self.jobs)} jobs were"
        super().__init__(f"{len(self.errors)} of {jobs} not taken", faults)


def _remade(kind: type[QuledgerError], args: tuple[Any, ...], values: dict[str, Any]) -> QuledgerError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(values)
    return error


def _listed(message: str, faults: Sequence[Fault]) -> str:
    """Return a message with its faults, a line for each where there are several."""
    if len(faults) == 1:
        return message if faults[0].message in message else f"{message}: {faults[0]}"
    lines = [f"  - {fault}" for fault in faults[:MAX_SHOWN]]
    more = [f"  and {len(faults) - MAX_SHOWN} more"] if len(faults) > MAX_SHOWN else []
    first = f"{len(faults)} faults" if faults[0].message in message else message
    return "\n".join([f"{first}:", *lines, *more])
