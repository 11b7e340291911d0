"""Backends are paused and resumed, each time by an event in the control stream of the backend."""

from collections.abc import Sequence
from datetime import datetime

from models import clock
from models.errors import LogBroken, printable
from models.identity.errors import NotChanged
from models.identity.facts import BackendPaused, BackendResumed, ControlFact
from models.identity.people import BackendRecord, Fold
from models.identity.streams import backend_stream
from models.pauses import MAX_REASON, Pause
from storage.identity.backend_records import record_of
from storage.identity.directory import Directory
from storage.log.database import reading


def pause(  # noqa: PLR0913 - what is said of a pause
    directory: Directory,
    backend: str,
    *,
    drain_down: bool = False,
    reason: str = "",
    until: datetime | None = None,
    actor: str,
) -> Pause:
    """Pause a backend, or say anew how it is paused; the caller knows that there is such a backend.

    Nothing of it is claimed from the moment on in which this has returned.

    Raises:
        BadName: no backend can have this name.
        NotChanged: the pause would be over already.
    """
    if until is not None and until <= clock.now():
        raise NotChanged("the pause would be over already; name a time to come")
    fact = BackendPaused(drain_down=drain_down, reason=printable(reason, MAX_REASON), until=until)
    fold = directory.append(backend_stream(backend), fact, actor=actor)
    if not isinstance(fold, BackendRecord) or fold.pause is None:
        msg = f"the events of {backend_stream(backend)} are damaged; run `quledger verify`"
        raise LogBroken(msg)
    return fold.pause


def resume(directory: Directory, backend: str, *, actor: str) -> Pause | None:
    """Serve a backend again.

    Returns:
        The pause that is over; None where there was none, which changes nothing.
    """
    stream = backend_stream(backend)
    with reading(directory.engine) as connection:
        if record_of(connection, stream) is None:
            return None
    before: Pause | None = None

    def decide(fold: Fold | None) -> Sequence[ControlFact]:
        nonlocal before
        before = fold.pause if isinstance(fold, BackendRecord) else None
        return (BackendResumed(),) if before else ()

    directory.change(stream, decide, actor=actor)
    return before
