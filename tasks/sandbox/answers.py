"""What comes out of a job's process, read as what a stranger sends: bounded, and of the expected shape or of none.

Whatever is wrong here is the fault of the backend, whose process it is.
"""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from models.errors import MAX_ECHO, BackendFailed
from tasks.sandbox.child import MAX_PROGRESS

MAX_WORDS = 30
"""So many words about its progress a process may say at once, in one step."""

WORDS_A_SECOND = 10

_MOST = 2**53
_Count = Annotated[int, Field(ge=0, le=_MOST, strict=True)]
_Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_Word = Annotated[str, StringConstraints(max_length=MAX_ECHO, pattern=r"^[ -~]*$")]


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


class _Checked(_Answer):
    fault: str | None
    cpu_seconds: _Seconds
    is_small: bool


_SHAPES: dict[str, type[_Answer]] = {
    "validate": _Validated,
    "compile": _Compiled,
    "execute": _Executed,
    "check": _Checked,
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
