"""Jobs of the laboratory as jobs of Qiskit."""

from typing import TYPE_CHECKING, Any, Never

from qiskit.primitives import BasePrimitiveJob, PrimitiveResult
from qiskit.providers import JobError, JobStatus, JobV1
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData

from quledger_client.qiskit.outcomes import counts_of, estimated, number_of, sampled
from quledger_client.views import FINAL

if TYPE_CHECKING:
    from quledger_client.qiskit.backend import QuledgerBackend
    from quledger_client.runs import Run


def status_of(states: list[str]) -> JobStatus:
    """Return the status of a run from the states of its jobs; it has ended when all of them have."""
    if not all(state in FINAL for state in states):
        return JobStatus.QUEUED if all(state == "QUEUED" for state in states) else JobStatus.RUNNING
    if "ERROR" in states:
        return JobStatus.ERROR
    return JobStatus.CANCELLED if {"CANCELLED", "WITHDRAWN"} & set(states) else JobStatus.DONE


class _Asked:
    """What both kinds of jobs can be asked."""

    _run: "Run"

    @property
    def jobs(self) -> tuple[Any, ...]:
        """The jobs of the laboratory: their history, and why they stand where they do."""
        return self._run.jobs

    @property
    def labels(self) -> dict[str, str]:
        """Words to find it by."""
        return dict(self.jobs[0].labels) if self.jobs else {}

    def status(self) -> JobStatus:
        """Ask where it stands."""
        return status_of(self._run.states())

    def done(self) -> bool:
        """Return whether it has ended with a result."""
        return self.status() is JobStatus.DONE

    def running(self) -> bool:
        """Return whether it runs."""
        return self.status() is JobStatus.RUNNING

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self.status() is JobStatus.CANCELLED

    def in_final_state(self) -> bool:
        """Return whether it has ended."""
        return self.status() in (JobStatus.DONE, JobStatus.CANCELLED, JobStatus.ERROR)

    def withdrawn(self) -> list[str]:
        """Return why calibrations that the result stands on were withdrawn; empty where none was."""
        found = (each.calibration() for each in self.jobs)
        return list(dict.fromkeys(each.withdrawn for each in found if each is not None and each.withdrawn is not None))

    def cancel(self) -> bool:
        """Cancel it; return whether anything of it had not ended."""
        return self._run.cancel()


class QuledgerJob(_Asked, JobV1):  # type: ignore[misc]  # Qiskit is published without types
    """A run of circuits."""

    def __init__(self, backend: "QuledgerBackend", run: "Run") -> None:
        super().__init__(backend, run.jobs[0].id)
        self._run = run

    def submit(self) -> Never:
        """Refuse: it was handed in when it was made.

        Raises:
            JobError: always.
        """
        raise JobError("the job was handed in already")

    def result(self, timeout: float | None = None) -> Result:
        """Return what it has found, as soon as it has.

        Raises:
            JobFailed: it ended without a result.
            TimedOut: it has not ended after so many seconds, and goes on.
        """
        circuits = self._run.about["circuits"]
        found = self._run.experiments(timeout)
        return Result(
            backend_name=self.backend().name,
            backend_version=self.backend().backend_version,
            job_id=self.job_id(),
            success=True,
            results=[_result(each, said) for each, said in zip(found, circuits, strict=True)],
        )


class QuledgerPrimitiveJob(_Asked, BasePrimitiveJob):  # type: ignore[misc]  # as above
    """A run of a sampler or an estimator."""

    def __init__(self, run: "Run") -> None:
        super().__init__(run.jobs[0].id if run.jobs else "")
        self._run = run

    def result(self, timeout: float | None = None) -> PrimitiveResult:
        """Return what it has found, as soon as it has.

        Raises:
            JobFailed: it ended without a result.
            TimedOut: it has not ended after so many seconds, and goes on.
        """
        made = sampled if self._run.about["kind"] == "sampler" else estimated
        found = made(self._run.experiments(timeout), self._run.about["pubs"])
        return PrimitiveResult(found, metadata={"version": 2})


def _result(found: Any, said: dict[str, Any]) -> ExperimentResult:
    registers, order = said["registers"], said["bits"]
    memory = [hex(number_of(each, order)) for each in found.memory] or None
    slots = sum(place is not None for place in order)
    header = {
        "name": said["name"],
        # Qiskit cuts an outcome into registers of these sizes, which is wrong where a bit is in none or in two.
        "creg_sizes": [[name, len(bits)] for name, bits in registers if bits]
        if _side_by_side(registers, slots)
        else [],
        "memory_slots": slots,
        "metadata": said["metadata"],
    }
    data = ExperimentResultData(counts=counts_of(found.counts(), order), memory=memory)
    return ExperimentResult(found.shots, True, data, header=header)


def _side_by_side(registers: list[list[Any]], slots: int) -> bool:
    """Return whether each bit is in one register, and all of them are in their order."""
    return [place for _, bits in registers for place in bits] == list(range(slots))
