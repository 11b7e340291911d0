"""A device of PennyLane for the qubit backends: circuits with shots, as sampling jobs of the laboratory."""

from collections.abc import Mapping
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
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting
from pennylane.transforms.core import CompilePipeline, transform

from quledger_client.client import Client
from quledger_client.pennylane.programs import GATES, NOTHING, is_known, program_of
from quledger_client.runs import hand_in, seeded

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


@simulator_tracking
@single_tape_support
class QubitDevice(Device):  # type: ignore[misc]  # as above
    """A qubit backend; the circuits of one execution are one job.

    Args:
        wires: how many, or their labels; those of each circuit if there are none.
        shots: of circuits that do not say their own; exact results there are none.
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

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> tuple[Any, ...]:
        """Run circuits, all of them as one job, and return what their measurements say.

        Raises:
            Refused: they have faults; all of them are listed.
            JobFailed: the job ended without a result.
        """
        del execution_config
        wires = [self.wires or each.wires for each in circuits]
        experiments = [
            {"program": program_of(tape, on), "shots": tape.shots.total_shots}
            for tape, on in zip(circuits, wires, strict=True)
        ]
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
        found = run.experiments()
        return tuple(
            _measured(tape, _samples(each.memory, len(on)), on)
            for tape, each, on in zip(circuits, found, wires, strict=True)
        )


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
