"""A qubit backend of the laboratory as a backend of Qiskit."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target

from quledger_client.errors import Refused
from quledger_client.qiskit.jobs import QuledgerJob
from quledger_client.qiskit.options import checked
from quledger_client.qiskit.outcomes import registers_of
from quledger_client.qiskit.programs import program_of
from quledger_client.qiskit.target import target_of
from quledger_client.runs import Run, as_json, hand_in, seeded
from quledger_client.views import errors_of

if TYPE_CHECKING:
    from quledger_client.backends import Backend
    from quledger_client.client import Client
    from quledger_client.qiskit.provider import QuledgerProvider
    from quledger_client.views import Calibration


class QuledgerBackend(BackendV2):  # type: ignore[misc]  # Qiskit is published without types
    """A qubit backend; circuits need not be transpiled, the laboratory does so.

    Attributes:
        info: the backend as the client shows it, with its queue and its pause.
    """

    def __init__(self, provider: "QuledgerProvider", client: "Client", info: "Backend") -> None:
        super().__init__(
            provider=provider,
            name=info.name,
            description=info.description,
            backend_version=str(info.configuration["version"]),
        )
        self.info, self._client = info, client

    @classmethod
    def _default_options(cls) -> Options:
        return Options(shots=1024, memory=False, seed_simulator=None)

    @cached_property
    def target(self) -> Target:
        """What it can do, with the errors that hold now, if they were not withdrawn; they are asked for once."""
        measured = self._calibration
        if measured is None or measured.withdrawn is not None:
            return target_of(self.info.configuration)
        return target_of(self.info.configuration, measured.value)

    @property
    def is_exact(self) -> bool:
        """Whether it has exact expectation values: a simulator of which no errors are known."""
        measured = self._calibration
        return self.info.is_simulator and (measured is None or not errors_of(measured.value))

    @cached_property
    def _calibration(self) -> "Calibration | None":
        return self.info.calibration()

    @property
    def max_circuits(self) -> None:
        """None: a run of more circuits than a job takes is several jobs."""
        return

    def run(  # noqa: PLR0913 - one parameter an option
        self,
        run_input: QuantumCircuit | Sequence[QuantumCircuit],
        *,
        shots: int | None = None,
        memory: bool | None = None,
        seed_simulator: int | None = None,
        labels: Mapping[str, str] | None = None,
        group: str = "",
        key: str | None = None,
        project: str = "",
        **experiment: Any,
    ) -> QuledgerJob:
        """Hand in circuits; one that is transpiled for this backend keeps its qubits.

        Args:
            memory: keep the outcome of each shot.
            seed_simulator: of all random outcomes; the laboratory draws one if there is none.
            labels: words to find it by.
            key: the same key is the same job, however often it is handed in.
            experiment: further options of each experiment, such as `transpiler_info`.

        Raises:
            Refused: they have faults; all of them are listed.
        """
        options = checked(experiment)
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        wrong = [type(each).__name__ for each in circuits if not isinstance(each, QuantumCircuit)]
        if wrong or not circuits:
            raise Refused(f"run takes circuits; got {', '.join(wrong) or 'none'}")
        if unbound := [f"{one.name} of {each.name}" for each in circuits for one in each.parameters]:
            raise Refused(f"parameters without a value: {', '.join(unbound)}; assign them first")
        usual = self.options
        common = {
            "shots": usual.shots if shots is None else shots,
            "memory": bool(usual.memory if memory is None else memory),
        }
        experiments, said = [], []
        for circuit in circuits:
            program = program_of(circuit, self.target)
            experiments.append({"program": program.text(), **common, **program.options(), **options})
            said.append(
                {
                    "name": circuit.name,
                    "bits": list(program.bits),
                    "registers": registers_of(circuit),
                    "metadata": as_json(circuit.metadata),
                }
            )
        seed = usual.seed_simulator if seed_simulator is None else seed_simulator
        about = {"kind": "run", "circuits": said}
        run = self.hand_in(seeded(experiments, seed), about, labels=labels, group=group, key=key, project=project)
        return QuledgerJob(self, run)

    def hand_in(self, experiments: Sequence[Mapping[str, Any]], about: Mapping[str, Any], **options: Any) -> Run:
        """See `runs.hand_in`."""
        return hand_in(self._client, self.name, experiments, about, most=self.info.limits.experiments, **options)
