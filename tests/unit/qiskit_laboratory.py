"""A laboratory of qubits in this process: its documents are checked, compiled and run as in a server, without one."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from quledger_client.backends import BackendInfo
from quledger_client.errors import Conflict, Fault, NotFound, Refused
from quledger_client.qiskit import QuledgerBackend, QuledgerProvider
from quledger_client.results import Result
from quledger_client.views import Calibration
from quledger_client.work import JobSpec, all_of

from models.errors import JobRejected
from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import DEFAULT


class RunHere:
    """A job that has run."""

    is_final = True

    def __init__(self, job_id: str, spec: JobSpec, results: list[Any]) -> None:
        self.id, self.spec, self.backend, self.labels = job_id, spec, spec.backend, dict(spec.labels)
        self.state = "DONE"
        self._result = Result({"job_id": job_id, "display_name": spec.backend, "results": results})

    def document(self) -> Any:
        """Return what was handed in, as JSON brings it back."""
        return json.loads(json.dumps(self.spec.work))

    def result(self, _timeout: float | None = None) -> Result:
        """Return what it has found."""
        return self._result

    def cancel(self) -> None:
        """Refuse."""
        raise Conflict("it has ended")


class Described(BackendInfo):
    """A backend of this process as the client shows one."""

    def __init__(self, backend: Qubits) -> None:
        config = backend.config.model_dump(mode="json")
        super().__init__(
            {"name": config["display_name"], "config": config, "waiting": 0, "running": 0, "pause": None, "eta": None}
        )
        self._value = getattr(backend, "calibration", None)
        self.withdrawn: str | None = None

    def calibration(self) -> Calibration:
        """Return what it simulates."""
        return Calibration(self.name, "", None, self.configuration, self._value, self.withdrawn)


class Here:
    """What Qiskit's part of the client asks of it."""

    def __init__(self, *backends: Qubits) -> None:
        self.known = {each.config.display_name: each for each in backends}
        self.done: list[RunHere] = []

    def backends(self) -> list[Any]:
        """List the backends."""
        return [self.backend(name) for name in self.known]

    def backend(self, name: str) -> Any:
        """Return one backend."""
        return Described(self.known[name])

    def submit(self, backend: str, work: Mapping[str, Any], **said: Any) -> RunHere:
        """Run a job."""
        runner = self.known[backend]
        try:
            program = runner.compile(runner.validate(json.loads(json.dumps(work))), seed=len(self.done) + 1)
        except JobRejected as error:
            faults = [Fault(str(each.field), str(each)) for each in error.faults]
        else:
            results = json.loads(json.dumps(list(runner.execute(program))))
            spec = JobSpec(backend, work, labels=said.get("labels") or {})
            self.done.append(RunHere(f"job{len(self.done)}", spec, results))
            return self.done[-1]
        raise Refused("the job has faults", faults)

    def submit_many(self, specs: Sequence[JobSpec]) -> list[RunHere]:
        """Run several; those that have faults keep out no other."""
        found: list[RunHere | Refused] = []
        for each in specs:
            try:
                found.append(self.submit(each.backend, each.work, labels=each.labels))  # type: ignore[arg-type]
            except Refused as error:
                found.append(error)
        return all_of([each if isinstance(each, RunHere) else None for each in found], found)

    def job(self, job_id: str) -> RunHere:
        """Return a job."""
        found = next((each for each in self.done if each.id == job_id), None)
        if found is None:
            raise NotFound("it is not there")
        return found

    def jobs(self, *, label: Mapping[str, str] | None = None, **_filters: Any) -> Iterator[RunHere]:
        """Go through the jobs, the newest first."""
        wanted = (label or {}).items()
        return iter([each for each in reversed(self.done) if wanted <= each.labels.items()])


def laboratory(*backends: Qubits) -> QuledgerProvider:
    """Return the provider of a laboratory with the two devices of twelve qubits, and others."""
    usual = [Qubits("qubits", DEFAULT, noisy=False), Qubits("noisyqubits", DEFAULT, noisy=True)]
    return QuledgerProvider(Here(*usual, *backends))  # type: ignore[arg-type]


def ideal() -> QuledgerBackend:
    """Return the device without errors."""
    return laboratory().backend("qubits")
