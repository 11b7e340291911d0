"""Waiting for a job: long polls, one after the other, through restarts of the server."""

from collections.abc import Callable
from time import monotonic

from quledger_client.asking import NOT_CHANGED, Trouble, ask
from quledger_client.calls import path_of
from quledger_client.errors import TimedOut
from quledger_client.views import FINAL, View, told
from quledger_client.wire import Call, Request, Step

LONG_POLL = 50.0
"""Seconds for which the server holds a request; it takes up to 60."""

OUTAGE = 900.0
"""Seconds without an answer after which nobody waits any more."""

_LEAST_PAUSE = 0.5

Seen = Callable[[View], None]


def wait(  # noqa: PLR0913 - what is told whom
    job_id: str,
    view: View | None,
    timeout: float | None,
    *,
    poll: float = LONG_POLL,
    seen: Seen | None = None,
    trouble: Trouble | None = None,
) -> Call[View]:
    """Return a job that has ended.

    Args:
        view: what is known of it; None for nothing.
        timeout: seconds; None to wait for as long as it takes.
        poll: seconds after which `seen` is told that nothing has changed.
        seen: called with the job after each answer.
        trouble: called with why the server is asked again.

    Raises:
        TimedOut: it has not ended in this time.
        Unreachable: no answer came for a quarter of an hour, or until the time was over.
    """
    give_up = None if timeout is None else monotonic() + timeout
    while True:
        if view is not None:
            if seen is not None:
                seen(view)
            if view["state"] in FINAL:
                return view
        left = OUTAGE if give_up is None else give_up - monotonic()
        if left <= 0 and view is not None and view.get("version") is not None:
            raise TimedOut(f"the job {job_id} is {view['state']} after {timeout:g} s, and goes on; wait again")
        asked = monotonic()
        version = None if view is None else view.get("version")
        held = 0.0 if version is None else max(0.0, min(poll, left))
        answer = yield from ask(_poll(job_id, version, held), max(0.0, min(left, OUTAGE)), trouble)
        if answer.status != NOT_CHANGED:
            view = told(answer.json(), "state")
        pause = min(left if version is None else held, _LEAST_PAUSE)
        if view is not None and view.get("version") == version and monotonic() - asked < pause:
            # A server that is about to stop holds nobody, nor does one behind a proxy that leaves out our conditions.
            yield Step(pause=pause)


def _poll(job_id: str, version: int | None, seconds: float) -> Request:
    if version is None:
        return Request("GET", path_of(job_id))
    query = (("wait", f"{seconds:.3f}"),)
    return Request("GET", path_of(job_id), query, headers={"If-None-Match": f'"{version}"'}, seconds=seconds)
