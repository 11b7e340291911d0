"""What a drain leaves behind when it ends, and why: a sentence for each reason."""

from collections.abc import Sequence

from flows.draining.inbox_poller import InboxPoller
from models.job import Phase
from models.words import count_of, count_that
from storage.log.pauses import pauses
from tasks.services import Services

MAX_NAMED = 10
"""So many jobs that are held are named; the rest are counted."""


def unserved(services: Services, poller: InboxPoller) -> list[str]:
    """Return why jobs were left that somebody has to do something about; empty where there is nothing to do.

    A storage that somebody has switched off is no reason: that was meant.
    """
    said = []
    waiting: dict[str, int] = {}
    for name, number in services.log.open_by_storage().items():
        full = services.stores.full(name)
        waiting[full] = waiting.get(full, 0) + number
    for name in sorted(poller.left_out() - poller.inactive):
        trouble = poller.trouble.get(name, "it does not answer")
        waits = count_that(waiting.get(name, 0), "job", "waits", "wait")
        said.append(f"the storage {name} was left out, {waits} for it: {trouble}")
    said += [
        f"{count_that(number, 'job', 'waits', 'wait')} for the storage {name},"
        " which is not among the settings any more; QULEDGER_STORAGE has to name it"
        for name, number in sorted(waiting.items())
        if name not in services.stores.names
    ]
    if number := services.holds.count():
        shown = [f"{held.job_id} ({held.why})" for held in services.holds.all(limit=MAX_NAMED)]
        more = f" and {number - len(shown)} more" if number > len(shown) else ""
        said.append(
            f"the log is behind its mirror, and {count_that(number, 'job', 'is', 'are')} held:"
            f" {', '.join(shown)}{more};"
            " run `quledger restore`, which takes over what the mirror knows"
        )
    return said


def left_paused(services: Services, backends: Sequence[str]) -> list[str]:
    """Return what waits for backends that are paused, a sentence each; that was meant."""
    counts, paused = services.log.counts(), pauses(services.log.engine)
    waiting = {name: counts.get(name, {}).get(Phase.WAITING, 0) for name in backends if name in paused}
    return [f"{count_of(number, 'job')} left waiting, {paused[name]}" for name, number in waiting.items() if number]
