"""The way into a laboratory."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from quledger_client.backends import Backend
from quledger_client.base import BaseClient
from quledger_client.calls import filters_of
from quledger_client.endpoint import Endpoint
from quledger_client.errors import QuledgerError
from quledger_client.jobs import Job
from quledger_client.views import Checked
from quledger_client.wire import Call, T
from quledger_client.work import Cell, JobSpec, Named, Payload, Work, all_of, merged, spec_of

if TYPE_CHECKING:
    from quledger_client.transport import Transport


class Client(BaseClient):
    """A laboratory, as the user of a token; several threads may use it at once.

    Args:
        url: of the server, such as `https://jobs.example.org`.
        token: from `quledger token new`, or from the page of your account.
        timeout: seconds for one answer.
        patience: seconds for which a request is sent again where none comes.

    Raises:
        ValueError: the address or the token cannot be right.
    """

    _transport: "Transport | None"

    def _begin(self, endpoint: Endpoint, timeout: float, patience: float) -> None:
        super()._begin(endpoint, timeout, patience)
        self._lock = threading.Lock()

    def run(self, call: Call[T]) -> T:
        """Do a call to its end."""
        if self._transport is None:
            with self._lock:
                if self._is_closed:
                    raise QuledgerError("this client is closed")
                if self._transport is None:
                    from quledger_client.transport import Transport  # noqa: PLC0415 - httpx is slow to import

                    self._transport = Transport(self._endpoint, self._timeout)
        return self._transport.run(call)

    def close(self) -> None:
        """Close the connections; what was handed in goes on."""
        with self._lock:
            transport, self._transport, self._is_closed = self._transport, None, True
        if transport is not None:
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def me(self) -> dict[str, Any]:
        """Return who you are here: role, projects, limits with what is used of them."""
        return self.run(self.calls.me())

    def backends(self) -> list[Backend]:
        """List the backends."""
        return [Backend(self, each) for each in self.run(self.calls.backends())]

    def backend(self, name: str) -> Backend:
        """Return one backend.

        Raises:
            NotFound: there is none of this name; the text says which there are.
        """
        return Backend(self, self.run(self.calls.backend(name)))

    def submit(  # noqa: PLR0913 - one parameter an option
        self,
        backend: str | Named,
        work: Work,
        *,
        shots: int | None = None,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        group: str | None = None,
        seed: int | None = None,
        parameters: Sequence[Mapping[str, Cell]] = (),
        project: str = "",
        priority: int = 0,
        derived_from: str = "",
    ) -> Job:
        """Hand in a job; it is one job, however often the connection is lost meanwhile.

        Args:
            work: a job document (or its JSON text), a circuit of `quledger_client.build` or several, instructions,
                OpenQASM text, or a payload.
            shots: of OpenQASM, and of experiments that have none of their own.
            key: the same key is the same job also for another call and another program; one is made if none is given.
            labels: words to find it by.
            group: name of the group that it belongs to.

        Raises:
            Refused: it has faults; all of them are listed.
        """
        spec = spec_of(
            backend,
            work,
            shots=shots,
            key=key,
            labels=labels,
            group=group,
            seed=seed,
            parameters=parameters,
            project=project,
            priority=priority,
            derived_from=derived_from,
        )
        return Job(self, self.run(self.calls.submit(spec)))

    def submit_many(
        self,
        jobs: Iterable[JobSpec | tuple[str | Named, Work]],
        *,
        shots: int | None = None,
        labels: Mapping[str, str] | None = None,
        group: str | None = None,
    ) -> list[Job]:
        """Hand in many jobs, a thousand in a request; each is stored once.

        Args:
            jobs: each a `JobSpec`, or a backend and what is to run there.
            shots, labels, group: of those that do not say their own.

        Raises:
            PartlyRefused: some were not taken; it holds the others, and why.
        """
        specs = [merged(each, shots, labels, group) for each in jobs]
        found = self.run(self.calls.submit_many(specs))
        return all_of([None if isinstance(each, QuledgerError) else Job(self, each) for each in found], found)

    def check(self, backend: str | Named, work: Work, *, shots: int | None = None, seed: int | None = None) -> Checked:
        """Say whether a job would be taken; nothing is stored.

        Raises:
            Refused: it would not; all of its faults are listed.
        """
        return self.run(self.calls.check(spec_of(backend, work, shots=shots, seed=seed)))

    def store(self, work: Work) -> Payload:
        """Store a document once, to hand it in many times."""
        return self.run(self.calls.store(work))

    def jobs(  # noqa: PLR0913 - one parameter a filter
        self,
        *,
        label: Mapping[str, str] | str | None = None,
        backend: str | None = None,
        status: str | Iterable[str] | None = None,
        group: str | None = None,
        project: str | None = None,
        since: Any = None,
        until: Any = None,
    ) -> Iterator[Job]:
        """Go through your jobs and those of your projects, the newest first; a page is asked for when it is needed.

        Args:
            label: `{"sample": "A7"}` or `"sample=A7"`; of several a job has them all.
            status: a state, or several.
            since, until: when they were handed in: times with their zone.
        """
        filters = filters_of(label, backend, status, group, project, since, until)
        cursor, is_first = "", True
        while cursor or is_first:
            views, cursor = self.run(self.calls.page(filters, cursor))
            is_first = False
            for each in views:
                yield Job(self, each)

    def job(self, job_id: str) -> Job:
        """Return a job by its id, or by as much of its beginning as tells it from others.

        Raises:
            NotFound: it is not there, or not yours to see.
        """
        return Job(self, self.run(self.calls.job(job_id)))
