"""A job: where it stands, and what can be done with it."""

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quledger_client.asking import fault_list
from quledger_client.errors import Fault, JobFailed, QuledgerError
from quledger_client.views import FINAL, Calibration, Event, View, Why, moment, told

if TYPE_CHECKING:
    from quledger_client.client import Client
    from quledger_client.results import Result


class JobInfo:
    """A job as it stood when the server last said so.

    Attributes:
        id: names it everywhere; a program that has kept it finds the job again.
    """

    def __init__(self, view: View) -> None:
        self._take(view)
        self.id: str = self._view["job_id"]

    @property
    def backend(self) -> str:
        """Name of its backend."""
        return str(self._view["backend"])

    @property
    def state(self) -> str:
        """Where it stood last: QUEUED, CLAIMED, VALIDATED, COMPILED, EXECUTED, UPLOADED, or one of its four ends."""
        return str(self._view["state"])

    @property
    def is_final(self) -> bool:
        """Whether it has ended, as far as is known here: DONE, ERROR, CANCELLED or WITHDRAWN."""
        return self.state in FINAL

    @property
    def labels(self) -> dict[str, str]:
        """Words to find it by."""
        return dict(self._view["labels"])

    @property
    def group(self) -> str:
        """Name of the group that it belongs to; empty for none."""
        return str(self._view["group"])

    @property
    def project(self) -> str:
        """Name of the project whose members see it; empty for none."""
        return str(self._view["project"])

    @property
    def derived_from(self) -> str:
        """Id of the job that it follows from; empty for none."""
        return str(self._view["derived_from"])

    @property
    def reason(self) -> str:
        """Why it ended in ERROR, one line; else empty."""
        return str(self._view.get("reason", ""))

    @property
    def faults(self) -> list[Fault]:
        """What is wrong with its document."""
        return fault_list(self._view.get("faults", []))

    @property
    def submitted_at(self) -> datetime | None:
        """When it was handed in; None as long as the server has not been asked."""
        return moment(self._view.get("submitted_at"))

    def _take(self, view: View) -> None:
        self._view: dict[str, Any] = told(view, "job_id", "backend", "state")

    def _expect_result(self) -> None:
        if self.state != "DONE":
            raise JobFailed(self.id, self.state, self.reason, self.faults)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobInfo) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} on {self.backend}: {self.state}>"


class Job(JobInfo):
    """A job, which can be asked, waited for and acted on."""

    def __init__(self, client: "Client", view: View) -> None:
        super().__init__(view)
        self._client = client
        self._result: Result | None = None

    def status(self) -> str:
        """Ask where it stands now, and return its state."""
        self._take(self._client.run(self._client.calls.job(self.id)))
        return self.state

    def wait(self, timeout: float | None = None, progress: bool = True) -> "Job":  # noqa: FBT001, FBT002 - wait(60, False)
        """Wait until it has ended, however it does; the server may start again meanwhile.

        Args:
            timeout: seconds; None for as long as it takes.
            progress: show how far it has come, on a terminal and in a notebook.

        Raises:
            TimedOut: it has not ended by then, and goes on.
            Unreachable: no answer came for a quarter of an hour.
        """
        from quledger_client.progress import shown  # noqa: PLC0415 - waiting is not all that is done
        from quledger_client.waiting import wait  # noqa: PLC0415

        if not self.is_final or "version" not in self._view:
            with shown(self, wanted=progress) as bar:
                self._take(
                    self._client.run(
                        wait(self.id, self._view, timeout, poll=bar.poll, seen=bar.seen, trouble=bar.trouble)
                    )
                )
        return self

    def result(self, timeout: float | None = None, progress: bool = False) -> "Result":  # noqa: FBT001, FBT002
        """Return its result, as soon as it has one.

        Raises:
            JobFailed: it ended without one.
            TimedOut, Unreachable: as of `wait`.
        """
        from quledger_client.results import Result  # noqa: PLC0415

        if self._result is None:
            self.wait(timeout, progress)
            self._expect_result()
            self._result = Result.read(self._client.run(self._client.calls.result(self.id)))
        return self._result

    def cancel(self, reason: str = "") -> str:
        """Cancel it: at once where it waits; where it runs, within seconds. Return its state.

        Raises:
            Conflict: it has ended.
        """
        self._take(self._client.run(self._client.calls.cancel(self.id, reason)))
        return self.state

    def retry(self) -> str:
        """Give it another chance where it ended in ERROR through no fault of its own; return its state.

        Raises:
            Conflict: it did not.
        """
        self._take(self._client.run(self._client.calls.retry(self.id)))
        self._result = None
        return self.state

    def rerun(self, *, key: str | None = None, exact: bool = False) -> "Job":
        """Hand in its document again, and return the new job.

        Args:
            key: the same key is the same new job, however often.
            exact: with the seed that it had.
        """
        return Job(self._client, self._client.run(self._client.calls.rerun(self.id, key, exact=exact)))

    def label(self, **labels: str | None) -> dict[str, str]:
        """Set labels, take away those that are None, and return all."""
        self._take(self._client.run(self._client.calls.label(self.id, labels)))
        return self.labels

    def hide(self) -> None:
        """Take it out of your lists once it has ended; the log keeps it."""
        self._client.run(self._client.calls.hide(self.id))

    def history(self) -> list[Event]:
        """Return all that happened to it."""
        return self._client.run(self._client.calls.history(self.id))

    def why(self) -> Why:
        """Return why it stands where it does, and when it goes on."""
        return self._client.run(self._client.calls.why(self.id))

    def calibration(self) -> Calibration | None:
        """Return what its result stands on, which may be withdrawn; None without a result, or where none was kept."""
        return self._client.run(self._client.calls.stands_on(self.id))

    def document(self) -> dict[str, Any]:
        """Return its document as it was handed in."""
        return self._client.run(self._client.calls.document(self.id))

    @property
    def payload(self) -> str:
        """SHA-256 of its document, by which the server keeps it."""
        if "document_sha256" not in self._view:
            self.status()
        return str(self._view["document_sha256"])

    def _repr_html_(self) -> str:
        from quledger_client.notebook import job_html  # noqa: PLC0415 - in notebooks alone

        if not self.is_final:
            with contextlib.suppress(QuledgerError):  # what was known last is better than an error
                self.status()
        return job_html(self)
