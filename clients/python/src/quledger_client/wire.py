"""What is sent and what comes back, without I/O.

A call is a generator: it yields steps, and whoever drives it sends back an answer for each. So requests are built and
answers read in one place, whether a thread or an event loop waits for them.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from quledger_client.errors import QuledgerError, Refused

T = TypeVar("T")

NOT_OURS = "the answer is none of a Quledger server; is this the address of one?"


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        path: below the address of the server, such as `/v1/jobs`.
        seconds: so long the server may wait before it answers.
        is_repeatable: to do it twice is to do it once, so that it is sent again where the answer was lost.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    is_repeatable: bool = True


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP code; 0 where no answer came.
        headers: their names in small letters.
        lost: why none came.
        was_sent: the server may have got the request.
        was_repeated: the request had been sent before, and may have been carried out then.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    lost: str = ""
    was_sent: bool = True
    was_repeated: bool = False

    def json(self) -> Any:
        """Return the value of a JSON body.

        Raises:
            QuledgerError: it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            message = "the answer is not JSON; is this the address of a Quledger server?"
        raise QuledgerError(message, status=self.status)


@dataclass(frozen=True)
class Step:
    """What a call wants done next: a request, or a pause of so many seconds."""

    request: Request | None = None
    pause: float = 0.0


Call = Generator[Step, Answer, T]


def json_body(value: Any) -> bytes:
    """Return a value as the body of a request; what numpy makes is as good as Python's own.

    Raises:
        Refused: JSON cannot say it.
    """
    try:
        return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        why = "it has a number that is not finite, or holds itself"
    except (TypeError, RecursionError) as error:
        why = str(error)
    raise Refused(f"this cannot be written as JSON: {why}")


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    msg = f"a value of the type {type(value).__name__}"
    raise TypeError(msg)
