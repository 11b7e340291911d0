"""`quledger pause` and `quledger resume`: whether anything of a backend begins."""

from deployments.cli.existing import existing
from deployments.cli.operator import actor
from deployments.cli.output import Json, print_output
from models import clock
from models.moments import moment_of
from storage.identity import pauses
from storage.log.pauses import pauses as in_force
from tasks.backends import registry
from tasks.mirroring import mirror_streams
from tasks.services import current


def pause(backend: str, *, reason: str = "", until: str = "", drain_down: bool = False, as_json: Json = False) -> int:
    """Pause a backend: nothing of it begins any more, and jobs are still taken.

    What is executing comes to its end. What was claimed and does not execute yet is given back and keeps its place;
    only an engine outside keeps what it has, and brings it to its end.

    Args:
        backend: Display name of the backend.
        reason: Why; everybody reads it.
        until: When it is over by itself: a time with its zone, or a span such as 90m, 1h30m or 2d.
        drain_down: Let all come to its end that was claimed, also what does not execute yet.
    """
    _expect(backend)
    moment = moment_of(until, "--until", clock.now()) if until else None
    paused = pauses.pause(
        current().directory, backend, drain_down=drain_down, reason=reason, until=moment, actor=actor()
    )
    mirror_streams(current())
    counts = current().log.counts().get(backend, {})
    running = counts.get("running", 0)
    text = f"{paused}\n{running} of its jobs under way, {counts.get('waiting', 0)} wait"
    if registry.served_outside(backend):
        text += "\nIts engine is given none any more, and brings to their end those that it has"
    value = paused.model_dump(mode="json") | {"running": running, "waiting": counts.get("waiting", 0)}
    print_output(value, lambda: print(text), as_json=as_json)
    return 0


def resume(backend: str, *, as_json: Json = False) -> int:
    """Serve a backend again that is paused; one that is not stays as it is.

    Args:
        backend: Display name of the backend.
    """
    known = in_force(existing().log.engine)
    if backend not in known:
        _expect(backend)
    before = pauses.resume(current().directory, backend, actor=actor())
    mirror_streams(current())
    was = before is not None and not before.is_over(clock.now())
    text = f"{backend} is served again" if was else f"{backend} was not paused"
    print_output({"backend": backend, "was_paused": was}, lambda: print(text), as_json=as_json)
    return 0


def _expect(backend: str) -> None:
    """Make sure that there is such a backend; one that does not load can be paused too.

    Raises:
        UnknownBackend: there is none.
    """
    if not registry.knows(backend):
        raise registry.unknown(backend)
