"""A device of PennyLane for the qubit backends: circuits with shots are sampling jobs, others estimations."""

from copy import copy
from functools import cached_property
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
from pennylane.measurements import ClassicalShadowMP, ExpectationMP, SampleMeasurement, ShadowExpvalMP
from pennylane.ops import Identity, Pow, Prod, QubitUnitary, SProd, Sum
from pennylane.ops.op_math import SymbolicOp
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting
from pennylane.transforms.core import CompilePipeline, transform

from quledger_client.pennylane.device import LaboratoryDevice, Part
from quledger_client.pennylane.programs import GATES, NOTHING, is_exact, is_known, program_of
from quledger_client.pennylane.programs import experiments_of as exact_experiments
from quledger_client.views import errors_of

NAME = "quledger.qubits"


def _is_of_shots(measurement: Any) -> bool:
    return isinstance(measurement, SampleMeasurement) and not isinstance(
        measurement, ClassicalShadowMP | ShadowExpvalMP
    )


def _first(results: Any) -> Any:
    return results[0]


def _decomposed(operation: Any) -> Any:
    """Return what an operation is made of; one that PennyLane has no decomposition of is its matrix."""
    if operation.has_decomposition or not operation.has_matrix:
        return operation.decomposition()
    return [QubitUnitary(operation.matrix(), wires=operation.wires)]


class Whole(SymbolicOp):  # type: ignore[misc]  # PennyLane is published without types
    """An observable that is measured as one thing."""

    def __init__(self, base: Any) -> None:
        super().__init__(base)
        self._name = f"Whole({base.name})"

    @property
    def has_diagonalizing_gates(self) -> bool:
        """Whether there is a way into its eigenbasis."""
        return bool(self.base.has_diagonalizing_gates)

    def diagonalizing_gates(self) -> Any:
        """Return the way into its eigenbasis."""
        return self.base.diagonalizing_gates()

    def eigvals(self) -> Any:
        """Return its eigenvalues, as an array also where PennyLane has a list."""
        return np.asarray(self.base.eigvals())


@transform  # type: ignore[untyped-decorator]  # as above
def _apart(tape: Any) -> tuple[Any, Any]:
    """Return tapes of observables that share no wire; exact values need no such thing."""
    if not tape.shots:
        return (tape,), _first
    kept = tape.copy(measurements=[_whole(each) for each in tape.measurements])
    tapes, made = split_non_commuting(kept, grouping_strategy="wires")
    return tapes, made


def _whole(measurement: Any) -> Any:
    """Return a measurement whose observable PennyLane does not look into when it splits them.

    It takes sums apart, which only their expectation values allow, and takes 1 for whatever is asked of an identity.
    """
    obs = measurement.obs
    has_parts = isinstance(obs, Sum | SProd | Prod | Identity) and not isinstance(measurement, ExpectationMP)
    if not (has_parts or isinstance(obs, Pow)):
        return measurement
    hidden = copy(measurement)
    hidden.obs = Whole(obs)
    return hidden


@transform  # type: ignore[untyped-decorator]  # as above
def _turned(tape: Any) -> tuple[Any, Any]:
    """Return a tape with shots that ends in the eigenbases of its observables."""
    gates = tape.diagonalizing_gates if tape.shots else []
    return (tape.copy(operations=[*tape.operations, *gates]),), _first


class QubitDevice(LaboratoryDevice):
    """A qubit backend: `qubits`, or the one that is named.

    Without shots, a simulator without errors has exact values.
    """

    place: ClassVar[str] = NAME
    usual: ClassVar[str] = "qubits"

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Return what makes circuits of gates and measurements that the laboratory knows."""
        del execution_config
        pipeline = CompilePipeline()
        if not self._is_exact:
            pipeline.add_transform(no_analytic, name=f"{NAME} on {self.backend.name}, which errs")
        pipeline.add_transform(validate_device_wires, self.wires, name=NAME)
        pipeline.add_transform(defer_measurements, allow_postselect=False)
        pipeline.add_transform(_apart)
        pipeline.add_transform(_turned)
        pipeline.add_transform(
            decompose,
            target_gates={*GATES, *NOTHING},
            stopping_condition=is_known,
            skip_initial_state_prep=False,
            decomposer=_decomposed,
            num_work_wires=0,
            name=NAME,
        )
        pipeline.add_transform(
            validate_measurements, analytic_measurements=is_exact, sample_measurements=_is_of_shots, name=NAME
        )
        pipeline.add_transform(broadcast_expand)
        return pipeline

    def experiment(self, tape: Any, wires: Any) -> dict[str, Any]:
        """Return the program of a circuit and its shots."""
        return {"program": program_of(tape, wires), "shots": tape.shots.total_shots}

    def part(self, tape: Any, wires: Any) -> Part:
        """Return the experiments of a circuit; those without shots are estimations."""
        if tape.shots:
            return super().part(tape, wires)
        experiments, made = exact_experiments(tape, wires)
        return Part(experiments, lambda found: made([each.expectation for each in found]))

    def outcomes(self, memory: list[str], size: int) -> NDArray[np.int64]:
        """Return the bits of each shot, shape (shots, wires)."""
        read = np.frombuffer("".join(memory).encode(), dtype=np.uint8).reshape(len(memory), size)
        return (read[:, ::-1] - ord("0")).astype(np.int64)

    def value(self, measurement: Any, outcomes: Any, tape: Any, wires: Any) -> Any:
        """Return what PennyLane makes of these bits."""
        del tape
        return measurement.process_samples(outcomes, wires)

    @cached_property
    def _is_exact(self) -> bool:
        calibration = self.backend.calibration() if self.backend.is_simulator else None
        return self.backend.is_simulator and (calibration is None or not errors_of(calibration.value))
