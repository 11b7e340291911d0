"""The way from Qiskit into a laboratory."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from quledger_client.client import Client
from quledger_client.errors import NotFound
from quledger_client.jobs import Job
from quledger_client.qiskit.backend import QuledgerBackend
from quledger_client.qiskit.jobs import QuledgerJob, QuledgerPrimitiveJob
from quledger_client.qiskit.target import is_of_qubits
from quledger_client.runs import found_again, said_of


class QuledgerProvider:
    """The qubit backends of a laboratory, and the jobs that were run there from Qiskit.

    Args:
        client: of the laboratory; that of this machine if there is none.
    """

    def __init__(self, client: Client | None = None) -> None:
        self.client = Client.local() if client is None else client

    def backends(
        self,
        name: str | None = None,
        *,
        filters: Callable[[QuledgerBackend], bool] | None = None,
        min_num_qubits: int = 0,
        simulator: bool | None = None,
        operational: bool | None = None,
    ) -> list[QuledgerBackend]:
        """List the qubit backends.

        Args:
            filters: which of them.
            min_num_qubits: so many at least.
            simulator: whether they are no machines.
            operational: whether they are not paused.
        """
        found = [
            QuledgerBackend(self, self.client, each)
            for each in self.client.backends()
            if is_of_qubits(each.configuration)
            and name in (None, each.name)
            and each.limits.wires >= min_num_qubits
            and simulator in (None, each.is_simulator)
            and operational in (None, each.pause is None)
        ]
        return [each for each in found if filters is None or filters(each)]

    def backend(self, name: str) -> QuledgerBackend:
        """Return one backend.

        Raises:
            NotFound: there is none of this name, or it has no qubits.
        """
        found = self.client.backend(name)
        if not is_of_qubits(found.configuration):
            raise NotFound(f"the backend {name} has no gates of qubits")
        return QuledgerBackend(self, self.client, found)

    def job(self, job_id: str) -> QuledgerJob | QuledgerPrimitiveJob:
        """Return a job by its id, or the beginning of it.

        Raises:
            NotFound: it is not there, not yours to see, or was not handed in from Qiskit.
        """
        found = self._of(self.client.job(job_id))
        if found is None:
            raise NotFound(f"the job {job_id} was not handed in from Qiskit; the client has it")
        return found

    def jobs(
        self,
        *,
        label: Mapping[str, str] | str | None = None,
        backend: str | None = None,
        status: Any = None,
        group: str | None = None,
    ) -> Iterator[QuledgerJob | QuledgerPrimitiveJob]:
        """Go through the jobs that were handed in from Qiskit, the newest first; a run of several is there once.

        One whose jobs are not all there is left out.
        """
        names = {each.name for each in self.backends(backend)}
        for job in self.client.jobs(label=label, backend=backend, status=status, group=group):
            said = said_of(job) if job.backend in names else None
            if said is not None and said["part"] == 0:
                try:
                    found = self._of(job)
                except NotFound:
                    continue
                if found is not None:
                    yield found

    def _of(self, job: Job) -> QuledgerJob | QuledgerPrimitiveJob | None:
        run = found_again(self.client, job, ("run", "sampler", "estimator"))
        if run is None:
            return None
        return QuledgerJob(self.backend(job.backend), run) if run.about["kind"] == "run" else QuledgerPrimitiveJob(run)
