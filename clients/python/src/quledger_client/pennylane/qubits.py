"""A device of PennyLane for the qubit backends: circuits with shots, as sampling jobs of the laboratory."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pennylane.devices import ExecutionConfig
from pennylane.devices.preprocess import (
    decompose,
    no_analytic,
    validate_device_wires,
    validate_measurements,
)
from pennylane.measurements import ClassicalShadowMP, SampleMeasurement, ShadowExpvalMP
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting
from pennylane.transforms.core import CompilePipeline, transform

from quledger_client.pennylane.device import LaboratoryDevice
from quledger_client.pennylane.programs import GATES, NOTHING, is_known, program_of

NAME = "quledger.qubits"


def _is_of_shots(measurement: Any) -> bool:
    return isinstance(measurement, SampleMeasurement) and not isinstance(
        measurement, ClassicalShadowMP | ShadowExpvalMP
    )


def _is_exact(_measurement: Any) -> bool:
    return False


@transform  # type: ignore[untyped-decorator]  # PennyLane is published without types
def _turned(tape: Any) -> tuple[tuple[Any, ...], Any]:
    """Return a tape that ends in the eigenbases of its observables, no two of which share a wire."""
    return (tape.copy(operations=[*tape.operations, *tape.diagonalizing_gates]),), lambda results: results[0]


class QubitDevice(LaboratoryDevice):
    """A qubit backend: `qubits`, or the one that is named."""

    place: ClassVar[str] = NAME
    usual: ClassVar[str] = "qubits"

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Return what makes circuits of gates and measurements that the laboratory knows."""
        del execution_config
        pipeline = CompilePipeline()
        pipeline.add_transform(no_analytic, name=NAME)
        pipeline.add_transform(validate_device_wires, self.wires, name=NAME)
        pipeline.add_transform(defer_measurements, allow_postselect=False)
        pipeline.add_transform(split_non_commuting, grouping_strategy="wires")
        pipeline.add_transform(_turned)
        pipeline.add_transform(
            decompose,
            target_gates={*GATES, *NOTHING},
            stopping_condition=is_known,
            skip_initial_state_prep=False,
            name=NAME,
        )
        pipeline.add_transform(
            validate_measurements, analytic_measurements=_is_exact, sample_measurements=_is_of_shots, name=NAME
        )
        pipeline.add_transform(broadcast_expand)
        return pipeline

    def experiment(self, tape: Any, wires: Any) -> dict[str, Any]:
        """Return the program of a circuit and its shots."""
        return {"program": program_of(tape, wires), "shots": tape.shots.total_shots}

    def outcomes(self, memory: list[str], size: int) -> NDArray[np.int64]:
        """Return the bits of each shot, shape (shots, wires)."""
        read = np.frombuffer("".join(memory).encode(), dtype=np.uint8).reshape(len(memory), size)
        return (read[:, ::-1] - ord("0")).astype(np.int64)

    def value(self, measurement: Any, outcomes: Any, tape: Any, wires: Any) -> Any:
        """Return what PennyLane makes of these bits."""
        del tape
        return measurement.process_samples(outcomes, wires)
