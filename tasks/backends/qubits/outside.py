"""A qubit device that is not simulated here: an engine outside asks for its jobs and brings their results."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from models.backend import JSON, BackendConfig
from models.errors import Fault, JobRejected
from tasks.backends.qubits.backend import Qubits
from tasks.backends.qubits.device import Device

if TYPE_CHECKING:
    from tasks.backends.qubits.compiling import Checked


class OutsideDevice(Qubits):
    """The backend of such a device: its documents are checked here, and nothing is computed."""

    def __init__(self, name: str, device: Device) -> None:
        super().__init__(name, device, noisy=True)
        # A machine errs, whether its description says how much or not.
        self.noisy = True
        self._config = self._config.model_copy(
            update={
                "description": f"The qubit device {device.device_id}, run by an engine of its own. It runs OpenQASM 3.",
                "simulator": False,
                "max_experiments": 1,
            }
        )

    @property
    def config(self) -> BackendConfig:
        """The configuration as published."""
        return self._config

    def validate(self, document: JSON) -> "tuple[Checked, ...]":
        """Return the one experiment of a job document.

        Raises:
            JobRejected: with all faults of the document.
        """
        if isinstance(document, dict) and "program" not in document and len(document) > 1:
            raise JobRejected(Fault(message=f"got {len(document)} experiments; this device takes one in a job"))
        return super().validate(document)

    def predicted_cost(self, checked: "Sequence[Checked]") -> float:
        """Return that nothing is computed here."""
        del checked
        return 0.0

    def compile(self, checked: "Sequence[Checked]", seed: int) -> NoReturn:
        """Refuse: the engine does this."""
        del checked, seed
        raise TypeError(f"jobs of {self.name} are run by an engine outside")

    def execute(self, program: JSON) -> Iterator[JSON]:
        """Refuse: the engine does this."""
        del program
        raise TypeError(f"jobs of {self.name} are run by an engine outside")
