"""The front door's own relay: a thread beside the requests, which no submission waits for."""

import contextlib
import logging
import threading
from collections.abc import Iterator

from models.errors import QuledgerError
from models.policy import MAX_PAUSE, back_off
from tasks.mirroring import LOOK_SECONDS, follow_log
from tasks.services import Services

_LOG = logging.getLogger("quledger.api")

END_SECONDS = 5.0
"""So long the job that is being relayed is waited for at the end; whatever is cut off is written by the next relay."""


@contextlib.contextmanager
def mirrored(services: Services, look_seconds: float = LOOK_SECONDS) -> Iterator[None]:
    """Bring the storages up to the log now and then while the block runs; what fails is logged and tried again."""
    ended = threading.Event()
    thread = threading.Thread(target=_follow, args=(services, ended, look_seconds), name="mirror", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(END_SECONDS)


def _follow(services: Services, ended: threading.Event, look_seconds: float) -> None:
    failures = 0
    while not ended.wait(back_off(look_seconds, failures, MAX_PAUSE)):
        try:
            failed = follow_log(services, ended)
        except Exception as error:  # noqa: BLE001 - it has to go on, whatever happened this time
            said = error if isinstance(error, QuledgerError) else type(error).__name__
            _LOG.warning("mirror_failed action=try_again: %s", said)
            failed = 1
        failures = failures + 1 if failed else 0
    with contextlib.suppress(QuledgerError):
        services.marks.end()
