"""The messages between a sandbox and the child of a job, and what either side makes of them.

A message is 12 bytes (length of the header, length of the body), a JSON header and a body of raw bytes. The first
request of a job carries the job itself in its header and the job document in its body. A batch is a job with several
documents, each of which is answered by a message of its own before the batch is.

What a child sends is untrusted: it is bounded, and of the expected shape or of none. Whatever is wrong with it is the
fault of the backend, whose process it is.
"""

import contextlib
import json
import logging
import socket
import struct
import traceback
from collections.abc import Iterator
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.errors import MAX_ECHO, BackendFailed, Fault, JobRejected, LimitExceeded
from tasks.sandbox.rlimits import MEGABYTE, Limits

log = logging.getLogger("quledger.sandbox")

PREFIX = struct.Struct("!IQ")
"""Before each message: bytes of the header, bytes of the body."""

MAX_HEADER = 2_000_000
"""The most bytes of a header; only the faults of a document make it long. It is parsed in the loop of the drain."""

MAX_PROGRESS = 200
"""The most bytes of a header that tells of progress."""

MAX_FAULTS = 5_000
"""The most faults that are told; the rest are counted."""

FEW_FAULTS = 50
"""So many of them where they make too long a header."""

MAX_TRACEBACK = 16_000
"""The most characters of a traceback that go to the operator's log."""

MAX_WORDS = 30
"""So many words about its progress a process may say at once, in one step."""

WORDS_A_SECOND = 10

_MOST = 2**53
_Count = Annotated[int, Field(ge=0, le=_MOST, strict=True)]
_Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_Word = Annotated[str, StringConstraints(max_length=MAX_ECHO, pattern=r"^[ -~]*$")]

Answer = tuple[dict[str, Any], bytes]
"""The header and the body of a message."""

MAX_TOLD = 64_000
"""The most bytes of an answer in a batch; a document with more faults is asked for alone."""

TOLD_ALONE = {"error": "alone"}
OUT_OF_MEMORY = {"error": "memory"}
TOO_LARGE = {"error": "answer"}


def receive(channel: socket.socket) -> Answer:
    """Read one message.

    Raises:
        EOFError: the other side is gone.
    """
    header_size, body_size = PREFIX.unpack(_received(channel, PREFIX.size))
    return json.loads(_received(channel, header_size)), _received(channel, body_size)


def _received(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, MEGABYTE))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def pack(header: dict[str, Any], size: int = 0) -> bytes:
    """Return the beginning of a message: everything but the body, which has so many bytes."""
    text = json.dumps(header).encode("ascii")
    return PREFIX.pack(len(text), size) + text


class BadAnswer(BackendFailed):
    """A process sent what no backend sends; it is ended."""

    def __init__(self, message: str = "its process gave an answer that cannot be read") -> None:
        super().__init__("BadAnswer", message)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Validated(_Answer):
    experiments: _Count
    shots: _Count
    cost: Annotated[float, Field(allow_inf_nan=False)] | None = None


class _Compiled(_Answer):
    program_sha256: _Sha256
    seed: _Count


class _Executed(_Answer):
    seconds: _Seconds
    cpu_seconds: _Seconds
    max_rss_mb: _Seconds
    is_small: bool
    versions: Annotated[dict[_Word, _Word], Field(max_length=50)]
    backend_config_sha256: _Sha256
    calibration_sha256: _Sha256


class _Described(_Answer):
    config_sha256: _Sha256
    calibration_sha256: _Sha256


class _Batch(_Answer):
    cpu_seconds: _Seconds
    is_small: bool


class _Checked(_Answer):
    fault: str | None
    cpu_seconds: _Seconds
    is_small: bool


_SHAPES: dict[str, type[_Answer]] = {
    "validate": _Validated,
    "compile": _Compiled,
    "execute": _Executed,
    "describe": _Described,
    "check": _Checked,
    "batch": _Batch,
}


class Words:
    """What a process says of its progress in one step: little, and not too often.

    Args:
        now: when the step began, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._said = 0

    def progress(self, header: dict[str, Any], size: int, now: float) -> tuple[int, int]:
        """Return how much of how much is done.

        Args:
            size: of the whole word, in bytes.

        Raises:
            BadAnswer: it is no such word, or one too many.
        """
        self._said += 1
        if self._said > MAX_WORDS + WORDS_A_SECOND * (now - self._began):
            raise BadAnswer("its process tells of its progress without end")
        match header:
            case {"progress": {"done": int(done), "of": int(of)}} if size <= MAX_PROGRESS and 0 <= done <= of <= _MOST:
                return done, of
        raise BadAnswer


def read_header(text: bytes) -> dict[str, Any]:
    """Return the header of a message.

    Raises:
        BadAnswer: it is none.
    """
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise BadAnswer from None
    if not isinstance(header, dict):
        raise BadAnswer
    return header


def read_answer(step: str, header: dict[str, Any]) -> dict[str, Any]:
    """Return what a step has answered, and nothing beside.

    Raises:
        BadAnswer: it is not what this step answers.
    """
    try:
        return _SHAPES[step].model_validate(header).model_dump()
    except ValidationError:
        raise BadAnswer from None


def read_count(value: object) -> int:
    """Return a count, 0 for anything else."""
    return value if type(value) is int and 0 <= value <= _MOST else 0


def clean(text: str) -> str:
    """Return a backend's text as it may be shown to a user: one bounded line without paths."""
    line = " ".join(_without_paths(text[: 10 * MAX_ECHO]).split())
    line = "".join(c for c in line if c.isprintable())
    return line if len(line) <= MAX_ECHO else line[: MAX_ECHO - 1] + "…"


def _without_paths(text: str) -> str:
    """Put … in place of each path. Each character is looked at once."""
    parts: list[str] = []
    start = 0
    for place, sign in enumerate(f"{text} "):
        if not (sign.isalnum() or sign in "_.~@+-/\\"):
            word = text[start:place]
            parts += ["…" if _is_path(word) else word, sign]
            start = place + 1
    return "".join(parts)


def _is_path(word: str) -> bool:
    steps = [step for step in word.replace("\\", "/").split("/") if step]
    slashes = word.count("/") + word.count("\\")
    begins = word[:1] in {"/", "\\", "~"} and len(word) > 1 and bool(steps)
    return begins or (slashes > 1 and len(steps) > 1)


def pack_error(error: BaseException) -> bytes:
    """Return an exception as a message; of very many faults only the first are told, and the rest are counted."""
    refusal = _refusal(error)
    head = pack(refusal)
    if len(head) <= MAX_HEADER or "faults" not in refusal:
        return head
    told = refusal["faults"][:FEW_FAULTS]
    return pack(refusal | {"faults": told, "more": refusal["more"] + len(refusal["faults"]) - len(told)})


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(20):  # a chain may be a ring
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _refusal(error: BaseException) -> dict[str, Any]:
    """Return the exception as data, whatever it is."""
    try:
        return _described(error)
    except MemoryError:
        return OUT_OF_MEMORY
    except BaseException:  # noqa: BLE001 - its own methods are broken
        return {"error": "failed", "kind": type(error).__name__, "message": "", "retryable": False}


def _described(error: BaseException) -> dict[str, Any]:
    if any(isinstance(cause, MemoryError) for cause in _causes(error)):
        error.__traceback__ = None  # its frames hold the memory
        return OUT_OF_MEMORY
    faults = getattr(error, "faults", None)
    if isinstance(faults, list | tuple) and faults:
        told = [_fault(fault) for fault in faults[:MAX_FAULTS]]
        return {"error": "rejected", "faults": told, "more": len(faults) - len(told)}
    return {
        "error": "failed",
        "kind": type(error).__name__,
        "message": str(error)[:2000],
        "retryable": getattr(error, "retryable", False) is True,
        "traceback": "".join(traceback.format_exception(error))[-MAX_TRACEBACK:],
    }


def _fault(fault: object) -> dict[str, Any]:
    try:
        return Fault.model_validate(fault, from_attributes=True).model_dump(exclude_none=True)
    except ValueError:
        return {"message": str(fault)}


def raise_error(header: dict[str, Any], limits: Limits, job_id: str) -> NoReturn:
    """Raise what a child answered instead of a result.

    Raises:
        JobRejected: the document has faults.
        BackendFailed: the backend raised something else; `BadAnswer` if no backend answers like this.
        LimitExceeded: the job needs more memory than it may, or its answer is too large.
    """
    match header:
        case {"error": "memory"}:
            raise LimitExceeded(f"the job needed more than {limits.memory_mb:g} MB of memory", "memory")
        case {"error": "answer"}:
            raise LimitExceeded(f"the job's answer is larger than {limits.answer_mb:g} MB", "answer")
        case {"error": "rejected", "faults": list(faults)}:
            with contextlib.suppress(ValueError):
                told = [Fault.model_validate(fault) for fault in faults[:MAX_FAULTS]]
                raise JobRejected(*told, more=read_count(header.get("more", 0)))
        case {"error": "failed", "kind": str(kind), "message": str(message), "retryable": bool(retryable)}:
            trace = str(header.get("traceback", ""))[:MAX_TRACEBACK]
            log.debug("job %s: the backend failed\n%s", job_id, trace)
            raise BackendFailed(clean(kind), clean(message), retryable=retryable)
    raise BadAnswer
