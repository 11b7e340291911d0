"""A request is sent until it is answered: again after a lost connection, and when the server asks for that."""

import random
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from quledger_client.problems import error_of, retry_after
from quledger_client.wire import Answer, Call, Request, Step

PATIENCE = 60.0
"""Seconds for which a request is sent again and again."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0

SUCCESS, NOT_CHANGED = range(200, 300), 304
_NOT_DONE = frozenset({429, 503})
"""Nothing was changed, and it may be asked again."""

_PERHAPS_DONE = frozenset({502, 504})
"""A proxy has lost the answer."""

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
