"""A device of PennyLane for the qubit backends: circuits with shots are sampling jobs, others estimations."""

from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.devices.preprocess import (
    decompose,
    no_analytic,
    validate_device_wires,
    validate_measurements,
)
from pennylane.measurements import ClassicalShadowMP, SampleMeasurement, ShadowExpvalMP
from pennylane.ops import QubitUnitary
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting
from pennylane.transforms.core import CompilePipeline, transform

from quledger_client.calibrations import errors_of
from quledger_client.client import Client
from quledger_client.pennylane.exact import experiments_of as exact_experiments
from quledger_client.pennylane.exact import is_exact
from quledger_client.pennylane.programs import GATES, NOTHING, is_known, program_of
from quledger_client.runs import hand_in, seeded

NAME = "quledger.qubits"


def _is_of_shots(measurement: Any) -> bool:
    return isinstance(measurement, SampleMeasurement) and not isinstance(
        measurement, ClassicalShadowMP | ShadowExpvalMP
    )


def _first(results: Any) -> Any:
    return results[0]


def _parts(operation: Any) -> Any:
    """Return what an operation is made of; one that PennyLane has no decomposition of is its matrix."""
    if operation.has_decomposition or not operation.has_matrix:
        return operation.decomposition()
    return [QubitUnitary(operation.matrix(), wires=operation.wires)]


@transform  # type: ignore[untyped-decorator]  # PennyLane is published without types
def _apart(tape: Any) -> tuple[Any, Any]:
    """Return tapes of observables that share no wire; exact values need no such thing."""
    return split_non_commuting(tape, grouping_strategy="wires") if tape.shots else ((tape,), _first)


@transform  # type: ignore[untyped-decorator]  # as above
def _turned(tape: Any) -> tuple[Any, Any]:
    """Return a tape with shots that ends in the eigenbases of its observables."""
    gates = tape.diagonalizing_gates if tape.shots else []
    return (tape.copy(operations=[*tape.operations, *gates]),), _first


@simulator_tracking
@single_tape_support
class QubitDevice(Device):  # type: ignore[misc]  # as above
    """A qubit backend; the circuits of one execution are one job.

    Args:
        wires: how many, or their labels; those of each circuit if there are none.
        shots: of circuits that do not say their own; without any, a simulator without errors has exact values.
        backend: its name.
        client: of the laboratory; that of this machine if there is none.
        seed: of all random outcomes; None for seeds that the laboratory draws.
        labels: words to find the jobs by.
        group: name of the group that they belong to.
    """

    def __init__(  # noqa: PLR0913 - one parameter an option
        self,
        wires: Any = None,
        shots: Any = None,
        *,
        backend: str = "qubits",
        client: Client | None = None,
        seed: int | None = None,
        labels: Mapping[str, str] | None = None,
        group: str = "",
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        self.client = Client.local() if client is None else client
        self.backend = self.client.backend(backend)
        self._seeds = None if seed is None else np.random.default_rng(seed)
        self._options: dict[str, Any] = {"labels": labels, "group": group}

    @property
    def name(self) -> str:
        """By which `pennylane.device` finds it."""
        return NAME

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
            decomposer=_parts,
            name=NAME,
        )
        pipeline.add_transform(
            validate_measurements, analytic_measurements=is_exact, sample_measurements=_is_of_shots, name=NAME
        )
        pipeline.add_transform(broadcast_expand)
        return pipeline

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> tuple[Any, ...]:
        """Run circuits, all of them as one job, and return what their measurements say.

        Raises:
            Refused: they have faults; all of them are listed.
            JobFailed: the job ended without a result.
        """
        del execution_config
        parts = [_experiments(each, self.wires or each.wires) for each in circuits]
        experiments = [experiment for part, _ in parts for experiment in part]
        if not experiments:
            return ()
        seed = None if self._seeds is None else int(self._seeds.integers(2**32))
        run = hand_in(
            self.client,
            self.backend.name,
            seeded(experiments, seed),
            {"kind": "pennylane"},
            most=self.backend.limits.experiments,
            **self._options,
        )
        found = iter(run.experiments())
        return tuple(made(list(islice(found, len(part)))) for part, made in parts)

    @cached_property
    def _is_exact(self) -> bool:
        calibration = self.backend.calibration() if self.backend.is_simulator else None
        return self.backend.is_simulator and (calibration is None or not errors_of(calibration.value))


def _experiments(tape: Any, wires: Any) -> tuple[list[dict[str, Any]], Any]:
    """Return the experiments of a tape, and what their results make of its measurements."""
    if tape.shots:
        experiment = {"program": program_of(tape, wires), "shots": tape.shots.total_shots}
        return [experiment], lambda found: _measured(tape, _samples(found[0].memory, len(wires)), wires)
    experiments, made = exact_experiments(tape, wires)
    return experiments, lambda found: made([each.expectation for each in found])


def _samples(memory: list[str], size: int) -> NDArray[np.int64]:
    """Return the bits of each shot, shape (shots, wires)."""
    read = np.frombuffer("".join(memory).encode(), dtype=np.uint8).reshape(len(memory), size)
    return (read[:, ::-1] - ord("0")).astype(np.int64)


def _measured(tape: Any, samples: NDArray[np.int64], wires: Any) -> Any:
    """Return what the measurements of a tape make of its shots, nested as PennyLane wants it."""
    results = []
    for first, last in tape.shots.bins():
        values = tuple(each.process_samples(samples[first:last], wires) for each in tape.measurements)
        results.append(values[0] if len(values) == 1 else values)
    return tuple(results) if tape.shots.has_partitioned_shots else results[0]
