"""Races over one storage: threads of this process, and processes of their own that go through all rounds together."""

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier as Line
from typing import Any

from models.errors import DocumentExists, DocumentMissing
from storage import layout
from storage.providers.protocol import StorageProvider
from storage.providers.registry import open_storage
from tests.processes import CONTEXT, SECONDS, process, run_together

ROUNDS = 24
"""All racers begin a round at the same moment, so a rule that can be broken is broken within a few of them."""

LOST, WON, BROKE = 0, 1, 2

Work = Callable[[StorageProvider, int, int], None]
"""What racer number so does in round number so; it raises when it loses."""


def job(turn: int) -> str:
    """Return the id of the job that round number so is about."""
    return f"{turn:024x}"


def queued(turn: int) -> str:
    """Return the document that movers race for."""
    return layout.queued("rydberg", job(turn))


def own_place(racer: int, turn: int) -> str:
    """Return where racer number so moves it, when each has a place of its own."""
    return (layout.taken(job(turn)), layout.running(job(turn)))[racer]


def create(storage: StorageProvider, racer: int, turn: int) -> None:
    """Claim by a conditional create."""
    storage.create(layout.status("rydberg", job(turn)), b'{"racer": %d}' % racer)


def move_apart(storage: StorageProvider, racer: int, turn: int) -> None:
    """Claim by moving the document to a place of one's own."""
    storage.move(queued(turn), own_place(racer, turn))


def move_together(storage: StorageProvider, racer: int, turn: int) -> None:
    """Claim by moving the document to the place that all racers move it to."""
    storage.move(queued(turn), layout.taken(job(turn)))


def by_threads(storage: StorageProvider, work: Work, racers: int = 2, rounds: int = ROUNDS) -> list[list[int]]:
    """Let threads race over all rounds; return the winners of each round."""
    outcomes = [[LOST] * rounds for _ in range(racers)]
    line = threading.Barrier(racers)
    threads = [
        threading.Thread(target=_race, args=(storage, work, racer, outcomes[racer], line)) for racer in range(racers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _winners(outcomes)


def by_processes(url: str, work: Work, racers: int = 2, rounds: int = ROUNDS) -> list[list[int]]:
    """Let processes of their own race over all rounds; return the winners of each round."""
    line = CONTEXT.Barrier(racers)
    return _winners(run_together(_race_there, *((url, work, racer, rounds, line) for racer in range(racers))))


def kill_a_mover(url: str, number: int, passages: int) -> None:
    """Move queued documents, up to so many, in another process, and kill it as soon as it has moved `passages`."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    child = process(_move_all, theirs, url, number)
    child.start()
    theirs.close()
    try:
        for _ in range(passages):
            assert ours.poll(SECONDS)
            ours.recv()
    finally:
        child.kill()
        child.join()
        child.close()
        ours.close()


def _move_all(done: Connection, url: str, number: int) -> None:
    storage = open_storage(url)
    for turn in range(number):
        move_together(storage, 0, turn)
        done.send(turn)


def _race_there(  # noqa: PLR0913 - what a racer has to know
    go: Callable[[], object], url: str, work: Work, racer: int, rounds: int, line: Line
) -> list[int]:
    storage, outcomes = open_storage(url), [LOST] * rounds
    go()
    _race(storage, work, racer, outcomes, line)
    return outcomes


def _race(storage: StorageProvider, work: Work, racer: int, outcomes: Any, line: Any) -> None:
    for turn in range(len(outcomes)):
        line.wait(SECONDS)
        try:
            work(storage, racer, turn)
        except (DocumentExists, DocumentMissing):
            outcomes[turn] = LOST
        except Exception:
            outcomes[turn] = BROKE
            line.abort()
            raise
        else:
            outcomes[turn] = WON


def _winners(outcomes: list[list[int]]) -> list[list[int]]:
    assert not any(BROKE in each for each in outcomes)
    return [[racer for racer, won in enumerate(turn) if won == WON] for turn in zip(*outcomes, strict=True)]
