"""What this process holds: the token of each job that it has claimed, and what it owes back.

Whatever a claim, an append or a release ends in, its token is in here until it is known that the job is in other hands:
so what nobody works on any more can be given back as soon as the log answers, by nobody but its holder.
"""

import threading
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

from models.claims import holder_of, new_token
from models.job import Job

KEPT_SECONDS = 60.0
"""How long a token is kept at least whose claim was not answered: the server may still be about to commit it."""


class Claim(NamedTuple):
    """A job as it was claimed, and the token that lets its holder write."""

    job: Job
    token: str


@dataclass(frozen=True)
class _Held:
    token: str
    job: Job | None = None
    begun: bool = False
    owed_since: float | None = None


class Claims:
    """The tokens of one process; safe to use from several threads.

    Attributes:
        releasing: held by whoever gives a job back, so that no two do it at once.
    """

    def __init__(self) -> None:
        self.releasing = threading.RLock()
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}

    def new(self) -> str:
        """Return a token for a claim that is about to be made; from here on it counts as held."""
        token = new_token()
        with self._lock:
            self._held[token] = _Held(token)
        return token

    def keep(self, token: str, job: Job, *, begun: bool = False) -> Claim:
        """Note which job the token is for."""
        with self._lock:
            self._held[token] = _Held(token, job, begun=begun)
        return Claim(job, token)

    def begin(self, job_id: str, attempt: int) -> Claim | None:
        """Return the claim of an attempt to whoever begins it first in this process; None to everybody else."""
        with self._lock:
            for held in self._held.values():
                if held.job is not None and (held.job.job_id, held.job.attempt) == (job_id, attempt):
                    if held.begun or held.owed_since is not None:
                        return None
                    self._held[held.token] = replace(held, begun=True)
                    return Claim(held.job, held.token)
        return None

    def owe(self, token: str) -> None:
        """Say that nobody works on it any more, and that the log is still to hear of it."""
        with self._lock:
            held = self._held.get(token, _Held(token))
            if held.owed_since is None:
                self._held[token] = replace(held, owed_since=time.monotonic())

    def forget(self, token: str) -> None:
        """Say that the log knows of it: the job has ended, was given back, or is in other hands."""
        with self._lock:
            self._held.pop(token, None)

    def owe_all(self, *, begun: bool) -> None:
        """Say so of every claim that nobody has begun, and of those that are begun too if that is wanted."""
        with self._lock:
            tokens = [held.token for held in self._held.values() if held.job is not None and (begun or not held.begun)]
        for token in tokens:
            self.owe(token)

    def owed(self) -> dict[str, str]:
        """Return the tokens that are owed back, by their holder's name in the log."""
        with self._lock:
            return {holder_of(held.token): held.token for held in self._held.values() if held.owed_since is not None}

    def is_certain(self, token: str) -> bool:
        """Say whether the log's word that it knows no such holder can be taken: no claim may still be on its way."""
        with self._lock:
            held = self._held.get(token)
            if held is None or held.owed_since is None or held.job is not None:
                return True
            return time.monotonic() > held.owed_since + KEPT_SECONDS

    def holders(self) -> set[str]:
        """Return by what names the log knows those that are at work here."""
        with self._lock:
            return {holder_of(held.token) for held in self._held.values() if held.owed_since is None}
