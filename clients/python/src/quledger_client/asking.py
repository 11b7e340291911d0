"""A request is sent until it is answered, again after a lost connection; answers that are no success are errors."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic, time
from typing import Any

from quledger_client.errors import (
    Conflict,
    Fault,
    NotAllowed,
    NotFound,
    QuledgerError,
    Refused,
    TooMany,
    Unreachable,
)
from quledger_client.wire import Answer, Call, Request, Step

PATIENCE = 60.0
"""Seconds for which a request is sent again and again."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0

SUCCESS, NOT_CHANGED = range(200, 300), 304
_NOT_DONE = frozenset({429, 503})
"""Nothing was changed, and it may be asked again."""

_PERHAPS_DONE = frozenset({502, 504})
"""A proxy has lost the answer."""

_KINDS: dict[int, type[QuledgerError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    502: Unreachable,
    503: Unreachable,
    504: Unreachable,
}
_ELSEWHERE = "this is no address of Quledger's pages and API; `quledger up` prints it beside that of Prefect"
_FAULTY = frozenset({400, 413, 422, 431})

Trouble = Callable[[str], None]


def ask(request: Request, patience: float = PATIENCE, trouble: Trouble | None = None) -> Call[Answer]:
    """Return the answer of a request that has succeeded.

    Args:
        patience: seconds.
        trouble: called with why it is sent again.

    Raises:
        QuledgerError: the answer is another one, or none came.
    """
    give_up, tries, may_be_done = monotonic() + patience, 0, False
    while True:
        answer = yield Step(request)
        if answer.status in SUCCESS or answer.status == NOT_CHANGED:
            return replace(answer, was_repeated=may_be_done)
        if not _may_repeat(request, answer):
            break
        wait = _pause(answer, tries)
        if monotonic() + wait > give_up:
            break
        if trouble is not None:
            trouble(str(error_of(answer)))
        may_be_done = may_be_done or (answer.was_sent and answer.status not in _NOT_DONE)
        yield Step(pause=wait)
        tries += 1
    error = error_of(answer)
    error.was_repeated = may_be_done
    raise error


def _may_repeat(request: Request, answer: Answer) -> bool:
    if answer.status in _NOT_DONE or (not answer.status and not answer.was_sent):
        return True
    return request.is_repeatable and (not answer.status or answer.status in _PERHAPS_DONE)


def _pause(answer: Answer, tries: int) -> float:
    said = retry_after(answer)
    if said is not None:
        return said
    # Programs that have lost the same server do not all come back at once.
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**tries) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def error_of(answer: Answer, problem: Any = None) -> QuledgerError:
    """Return the error that an answer is.

    Args:
        problem: the problem document, where it is a part of the body.
    """
    if not answer.status:
        return Unreachable(answer.lost)
    if problem is None:
        problem = _problem(answer)
        if answer.status == HTTPStatus.NOT_FOUND and "type" not in problem:
            return NotFound(_ELSEWHERE, status=answer.status)
    status = problem.get("status") if isinstance(problem.get("status"), int) else answer.status
    message = str(problem.get("detail") or problem.get("title") or f"the server answers {_named(status)}")
    kind = str(problem.get("type", ""))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooMany(message, retry_after=retry_after(answer), kind=kind)
    if status in _FAULTY:
        given = problem.get("faults")
        faults = fault_list(given) if isinstance(given, list) else []
        return Refused(message, faults, status=status, kind=kind)
    return _KINDS.get(status, QuledgerError)(message, status=status, kind=kind)


def fault_list(values: list[Any]) -> list[Fault]:
    """Return faults as they stand in a problem document, or in what is shown of a job."""
    return [Fault(_place(each), str(each.get("message", ""))) for each in values if isinstance(each, dict)]


def retry_after(answer: Answer) -> float | None:
    """Return after how many seconds the server wants to be asked again; None if it does not say."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError):
        return None


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _place(fault: dict[str, Any]) -> str:
    where = [str(fault["experiment"])] if fault.get("experiment") else []
    if fault.get("instruction") is not None:
        where.append(f"[{fault['instruction']}]")
    return ".".join([*where, *([str(fault["field"])] if fault.get("field") else [])])


def _named(status: int) -> str:
    try:
        return f"{status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)
