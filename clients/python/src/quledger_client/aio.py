"""The same client for programs with an event loop: every call is a coroutine."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Self

from quledger_client.backends import AsyncBackend
from quledger_client.base import BaseClient
from quledger_client.calls import filters_of
from quledger_client.errors import QuledgerError
from quledger_client.jobs import JobInfo
from quledger_client.progress import shown
from quledger_client.results import Result
from quledger_client.transport import AsyncTransport
from quledger_client.views import Calibration, Checked, Event, View, Why
from quledger_client.waiting import wait
from quledger_client.wire import Call, T
from quledger_client.work import Cell, JobSpec, Named, Payload, Work, all_of, merged, spec_of

__all__ = ["AsyncClient", "AsyncJob"]


class AsyncClient(BaseClient):
    """A laboratory, as the user of a token, for one event loop; see `Client`, whose words hold here too.

    Making one is no coroutine, nor is `local`.
    """

    _transport: AsyncTransport | None

    async def run(self, call: Call[T]) -> T:
        """Do a call to its end."""
        if self._is_closed:
            raise QuledgerError("this client is closed")
        if self._transport is None:
            self._transport = AsyncTransport(self._endpoint, self._timeout)
        return await self._transport.run(call)

    async def close(self) -> None:
        """As `Client.close`."""
        transport, self._transport, self._is_closed = self._transport, None, True
        if transport is not None:
            await transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def me(self) -> dict[str, Any]:
        """As `Client.me`."""
        return await self.run(self.calls.me())

    async def backends(self) -> list[AsyncBackend]:
        """As `Client.backends`."""
        return [AsyncBackend(self, each) for each in await self.run(self.calls.backends())]

    async def backend(self, name: str) -> AsyncBackend:
        """As `Client.backend`."""
        return AsyncBackend(self, await self.run(self.calls.backend(name)))

    async def submit(  # noqa: PLR0913 - one parameter an option
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
    ) -> "AsyncJob":
        """As `Client.submit`."""
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
        return AsyncJob(self, await self.run(self.calls.submit(spec)))

    async def submit_many(
        self,
        jobs: Iterable[JobSpec | tuple[str | Named, Work]],
        *,
        shots: int | None = None,
        labels: Mapping[str, str] | None = None,
        group: str | None = None,
    ) -> "list[AsyncJob]":
        """As `Client.submit_many`."""
        specs = [merged(each, shots, labels, group) for each in jobs]
        found = await self.run(self.calls.submit_many(specs))
        return all_of([None if isinstance(each, QuledgerError) else AsyncJob(self, each) for each in found], found)

    async def check(
        self, backend: str | Named, work: Work, *, shots: int | None = None, seed: int | None = None
    ) -> Checked:
        """As `Client.check`."""
        return await self.run(self.calls.check(spec_of(backend, work, shots=shots, seed=seed)))

    async def store(self, work: Work) -> Payload:
        """As `Client.store`."""
        return await self.run(self.calls.store(work))

    async def jobs(  # noqa: PLR0913 - one parameter a filter
        self,
        *,
        label: Mapping[str, str] | str | None = None,
        backend: str | None = None,
        status: str | Iterable[str] | None = None,
        group: str | None = None,
        project: str | None = None,
        since: Any = None,
        until: Any = None,
    ) -> "AsyncIterator[AsyncJob]":
        """As `Client.jobs`: `async for job in client.jobs()`."""
        filters = filters_of(label, backend, status, group, project, since, until)
        cursor, is_first = "", True
        while cursor or is_first:
            views, cursor = await self.run(self.calls.page(filters, cursor))
            is_first = False
            for each in views:
                yield AsyncJob(self, each)

    async def job(self, job_id: str) -> "AsyncJob":
        """As `Client.job`."""
        return AsyncJob(self, await self.run(self.calls.job(job_id)))


class AsyncJob(JobInfo):
    """A job, which can be asked, waited for and acted on; see `Job`, whose words hold here too."""

    def __init__(self, client: AsyncClient, view: View) -> None:
        super().__init__(view)
        self._client = client
        self._result: Result | None = None
        self._reading = asyncio.Lock()

    async def status(self) -> str:
        """As `Job.status`."""
        self._take(await self._client.run(self._client.calls.job(self.id)))
        return self.state

    async def wait(self, timeout: float | None = None, progress: bool = True) -> Self:  # noqa: ASYNC109, FBT001, FBT002 - as of Job
        """As `Job.wait`."""
        if not self.is_final or "version" not in self._view:
            with shown(self, wanted=progress) as bar:
                call = wait(self.id, self._view, timeout, poll=bar.poll, seen=bar.seen, trouble=bar.trouble)
                self._take(await self._client.run(call))
        return self

    async def result(self, timeout: float | None = None, progress: bool = False) -> Result:  # noqa: ASYNC109, FBT001, FBT002
        """As `Job.result`."""
        async with self._reading:
            if self._result is None:
                await self.wait(timeout, progress)
                self._expect_result()
                self._result = Result.read(await self._client.run(self._client.calls.result(self.id)))
            return self._result

    async def cancel(self, reason: str = "") -> str:
        """As `Job.cancel`."""
        self._take(await self._client.run(self._client.calls.cancel(self.id, reason)))
        return self.state

    async def retry(self) -> str:
        """As `Job.retry`."""
        self._take(await self._client.run(self._client.calls.retry(self.id)))
        self._result = None
        return self.state

    async def rerun(self, *, key: str | None = None, exact: bool = False) -> "AsyncJob":
        """As `Job.rerun`."""
        return AsyncJob(self._client, await self._client.run(self._client.calls.rerun(self.id, key, exact=exact)))

    async def label(self, **labels: str | None) -> dict[str, str]:
        """As `Job.label`."""
        self._take(await self._client.run(self._client.calls.label(self.id, labels)))
        return self.labels

    async def hide(self) -> None:
        """As `Job.hide`."""
        await self._client.run(self._client.calls.hide(self.id))

    async def history(self) -> list[Event]:
        """As `Job.history`."""
        return await self._client.run(self._client.calls.history(self.id))

    async def calibration(self) -> Calibration | None:
        """As `Job.calibration`."""
        return await self._client.run(self._client.calls.stands_on(self.id))

    async def why(self) -> Why:
        """As `Job.why`."""
        return await self._client.run(self._client.calls.why(self.id))

    async def document(self) -> dict[str, Any]:
        """As `Job.document`."""
        return await self._client.run(self._client.calls.document(self.id))

    async def payload(self) -> str:
        """As `Job.payload`, and a call."""
        if "document_sha256" not in self._view:
            await self.status()
        return str(self._view["document_sha256"])

    def _repr_html_(self) -> str:
        from quledger_client.notebook import job_html  # noqa: PLC0415 - in notebooks alone

        return job_html(self)
