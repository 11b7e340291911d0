"""Every error Quledger raises on purpose; those about users and tokens stand in `models/identity/errors.py`.

    QuledgerError
    ├── InputError            the caller can put it right
    │   ├── JobRejected           the job document has faults (all of them listed)
    │   ├── UnknownJob            no job has this id
    │   ├── UnknownBackend        no backend has this name
    │   ├── BadName               an id or name that may not become part of a path
    │   ├── IdempotencyConflict   one key, two different documents
    │   ├── NotRevivable          a job that cannot be given another chance
    │   ├── NotCancellable        a job that has ended
    │   ├── JobHeld               the mirror of the job knows more than the log: restore first
    │   ├── UnreadableFile        a file that the command line names
    │   ├── UnknownKey            there is no such key
    │   ├── KeyExists             there is a key already
    │   └── BadSetting            a setting that cannot be used
    ├── ResultMissing         the job has no result (yet)
    ├── SigningError          signing or checking a signature
    │   ├── KeyUnusable           the operator's key cannot be used: what is to be signed waits
    │   └── NotAuthentic          a document is unsigned, forged, or signed by a key that is not to be trusted
    ├── LogError              the event log said no
    │   ├── AppendConflict        somebody else appended first: read again, decide again
    │   ├── StaleAttempt          the attempt is over: its worker may not write any more
    │   ├── NotAllowed            the state machine has no such transition
    │   ├── LogBroken             a stored event is not what was written
    │   └── LogUnavailable        the database cannot be used now
    ├── StorageError          the storage said no
    │   ├── DocumentMissing, DocumentExists
    │   ├── StorageUnavailable    trying again later may help
    │   │   ├── StorageInactive       somebody has switched it off
    │   │   └── StorageFull           it has no room for this document now
    │   ├── StorageRefused        trying again does not help: credentials, rights, a bucket that is not there
    │   ├── DocumentTooLarge      it never takes a document of this size
    │   ├── MirrorAhead           the mirrored history of a job is no part of the log's: nothing of it is written
    │   ├── MirrorBroken          the log cannot be restored from this mirror (all that is wrong listed)
    │   └── StagedResultLost      the result of an earlier attempt is gone: run again
    └── SandboxError          the job's child process did not come through
        ├── LimitExceeded         out of CPU time, wall time, memory, output or processes
        ├── ChildDied
        └── BackendFailed         the backend raised something that is not the user's fault

The text of an InputError and of a SandboxError may be shown to a user; it holds no path, secret or traceback.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from models.characters import spelt_out

MAX_ECHO = 200
"""The most characters of a user's value that a message repeats."""

MAX_MESSAGE = 2000
"""The most characters of one fault's message."""

MAX_FAULTS_SHOWN = 50
"""The most faults that one message spells out; the rest are counted."""

Blame = Literal["user", "backend", "infrastructure"]


def echo(value: object) -> str:
    """Return `value` as it may be shown in a message: printable, on one line, at most 200 characters."""
    return printable(repr(value[: MAX_ECHO + 1]) if isinstance(value, str) else str(value))


def printable(text: str, most: int = MAX_ECHO) -> str:
    """Return `text` on one line of at most `most` characters, without control characters and lone surrogates."""
    text = spelt_out(text[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


class Fault(BaseModel):
    """One thing that is wrong with a job document.

    Attributes:
        experiment: key of the experiment in the document; None where the document itself is wrong.
        instruction: position in the experiment's list, from 0.
        name: the instruction's name as the user wrote it.
        field: the field below experiment or instruction, such as `shots` or `params[0]`.
        message: what is wrong and what would be right.
        code: what kind of fault it is; `cost` faults are answered with the contract's dimensionality text.
    """

    model_config = ConfigDict(frozen=True)

    message: str
    experiment: str | None = None
    instruction: int | None = None
    name: str | None = None
    field: str | None = None
    code: Literal["schema", "cost", "runtime"] = "schema"

    @field_validator("experiment", "name", "field")
    @classmethod
    def _one_bounded_line(cls, text: str | None) -> str | None:
        return None if text is None else printable(text)

    @field_validator("message")
    @classmethod
    def _bounded(cls, text: str) -> str:
        return printable(text.replace("\n", ".."), MAX_MESSAGE)

    def __str__(self) -> str:
        where = [] if self.experiment is None else [self.experiment]
        if self.instruction is not None:
            where.append(f"instruction {self.instruction}" + (f" ({self.name})" if self.name else ""))
        where += [] if self.field is None else [self.field]
        return f"{', '.join(where)}: {self.message}" if where else self.message


def describe(faults: "tuple[Fault, ...] | list[Fault]", beside: int = 0) -> str:
    """Return all faults in one bounded line: the first 50 in full, the rest and those `beside` them as a number."""
    shown = "; ".join(str(fault) for fault in faults[:MAX_FAULTS_SHOWN])
    more = max(0, len(faults) - MAX_FAULTS_SHOWN) + beside
    return f"{shown}; and {more} more" if more > 0 else shown


class QuledgerError(Exception):
    """The root of the tree above."""


class InputError(QuledgerError):
    """Something that the caller can put right."""


class JobRejected(InputError):
    """The job document has faults; `faults` holds them, and `more` says how many others were only counted."""

    def __init__(self, *faults: Fault, more: int = 0) -> None:
        super().__init__(describe(faults, more))
        self.faults = faults
        self.more = more


class UnknownJob(InputError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {echo(job_id)}; `quledger list` shows the jobs")


class UnknownBackend(InputError):
    """No backend has this name."""

    def __init__(self, name: str, known: list[str], why: str = "") -> None:
        said = f"no backend is called {echo(name)}; there are: {', '.join(known) or 'none'}"
        super().__init__(f"{said}; {why}" if why else said)


class BadName(InputError):
    """An id or a name that may not become part of a path."""


class IdempotencyConflict(InputError):
    """One idempotency key was used for two different documents."""


class BadSetting(InputError):
    """A setting that cannot be used."""


class NotRevivable(InputError):
    """The job cannot be given another chance."""

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id} cannot be tried again: {reason}")


class NotCancellable(InputError):
    """The job has ended already."""

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"job {job_id} cannot be cancelled: it is {state}")


class JobHeld(InputError):
    """The mirror of the job knows more than the log, so nothing is done with it until the log has been restored."""

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(f"job {job_id} is held: {why}; `quledger restore` brings the log up to its mirror")


class UnreadableFile(InputError):
    """A file that the command line names cannot be read."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"the file {echo(name)} cannot be read: {reason}")


class UnknownKey(InputError):
    """There is no such key."""


class KeyExists(InputError):
    """There is a key already; it is not written over."""


class ResultMissing(QuledgerError):
    """The job has no result (yet); the text says why."""


class SigningError(QuledgerError):
    """Signing or checking a signature failed; the text never holds a key."""


class KeyUnusable(SigningError):
    """The key that a backend signs with cannot be used: the operator has to do something, and jobs wait for it."""


class NotAuthentic(SigningError):
    """A document is not signed as it should be; the text says what is wrong."""


class LogError(QuledgerError):
    """The event log said no."""


class AppendConflict(LogError):
    """Somebody else appended first: read the job again and decide again."""


class StaleAttempt(LogError):
    """The attempt is over: its worker may not write any more."""


class NotAllowed(LogError):
    """The state machine has no such transition."""


class LogBroken(LogError):
    """A stored event is not what was written."""


class LogUnavailable(LogError):
    """The database cannot be used now."""


class StorageError(QuledgerError):
    """The storage said no."""


class DocumentMissing(StorageError):
    """No document lies there."""


class DocumentExists(StorageError):
    """A document lies there already."""


class StorageUnavailable(StorageError):
    """The storage cannot be used now."""


class StorageInactive(StorageUnavailable):
    """The storage is switched off: it is neither read nor written until somebody switches it on again."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the storage {echo(name)} is switched off (is_active): it is neither read nor written")


class StorageFull(StorageUnavailable):
    """The storage has no room for a document of `size` bytes now."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class StorageRefused(StorageError):
    """The storage denies access, or lacks what is needed: somebody has to change a setting or a right."""


class DocumentTooLarge(StorageError):
    """The storage takes no document of `size` bytes, however often it is asked."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class MirrorAhead(StorageError):
    """The mirrored history of a job is no part of the log's: the log went back in time, or another one was here.

    Attributes:
        why: how they differ.
    """

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(f"job {job_id} is held, nothing of it is written: {why}; run `quledger restore`")
        self.job_id = job_id
        self.why = why


class MirrorBroken(StorageError):
    """The log cannot be restored from this mirror; `faults` holds everything that is wrong, and nothing was changed."""

    def __init__(self, url: str, faults: "list[str]") -> None:
        said = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"the log cannot be restored from {url}, and nothing was changed; all faults:{said}")
        self.faults = tuple(faults)


class StagedResultLost(StorageError):
    """The result that an earlier attempt staged is gone or was changed: the job has to run again."""

    def __init__(self) -> None:
        super().__init__("the staged result of an earlier attempt is gone; the job runs again")


class SandboxError(QuledgerError):
    """The job's child process did not come through."""


class LimitExceeded(SandboxError):
    """The job used up its CPU time, wall time, memory, output or processes; `limit` says which."""

    def __init__(self, message: str, limit: Literal["cpu", "wall", "memory", "answer", "processes"]) -> None:
        super().__init__(message)
        self.limit = limit


class ChildDied(SandboxError):
    """The child process ended without an answer."""


class BackendFailed(SandboxError):
    """The backend raised an exception that is not the user's fault.

    Attributes:
        kind: the class name of the exception.
        retryable: whether the backend says that another attempt may succeed.
    """

    def __init__(self, kind: str, message: str = "", *, retryable: bool = False) -> None:
        super().__init__(f"the backend failed with {kind}" + (f": {message}" if message else ""))
        self.kind = kind
        self.retryable = retryable
