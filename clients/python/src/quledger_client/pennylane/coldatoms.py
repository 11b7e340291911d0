"""Devices of PennyLane for spins and fermions: their gates, what is measured of them, and the circuits as jobs.

Gates have the conventions of the laboratory (its page about the backends): a gate is exp(-i parameter H), wires of
spins begin in level 0, wires 2s and 2s + 1 of fermions are spin up and down of site s.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.devices.preprocess import no_analytic, validate_device_wires
from pennylane.measurements import CountsMP, ExpectationMP, SampleMP, VarianceMP
from pennylane.operation import Operation, Operator
from pennylane.ops import Prod
from pennylane.transforms import broadcast_expand
from pennylane.transforms.core import CompilePipeline

from quledger_client.build import Circuit, Fermions, MultiQudit
from quledger_client.client import Client
from quledger_client.errors import Fault, Refused

Levels = NDArray[np.int64]


class _Gate(Operation):  # type: ignore[misc]  # PennyLane is published without types
    """A gate of a cold-atom backend: no matrix of qubits says what it does."""

    grad_method = None
    instruction: ClassVar[str]


class Load(_Gate):
    """Put atoms on a wire of spins: `Load(atoms, wires=0)`."""

    num_params, num_wires, instruction = 1, 1, "load"


class RLx(_Gate):
    """Evolve a spin under Lx."""

    num_params, num_wires, instruction = 1, 1, "rlx"


class RLz(_Gate):
    """Evolve a spin under Lz."""

    num_params, num_wires, instruction = 1, 1, "rlz"


class RLz2(_Gate):
    """Evolve a spin under Lz squared."""

    num_params, num_wires, instruction = 1, 1, "rlz2"


class RLxLy(_Gate):
    """Let neighbours exchange: J (L+L- + L-L+)."""

    num_params, num_wires, instruction = 1, 2, "rlxly"


class RLzLz(_Gate):
    """Couple neighbours by J LzLz."""

    num_params, num_wires, instruction = 1, 2, "rlzlz"


class LoadFermion(_Gate):
    """Put a fermion on a wire."""

    num_params, num_wires, instruction = 0, 1, "load"


class Hop(_Gate):
    """Let both spins hop between two sites: `Hop(t, wires=[0, 1, 2, 3])`."""

    num_params, num_wires, instruction = 1, 4, "fhop"


class Interact(_Gate):
    """Let n up n down act on every site, whatever wires are named."""

    num_params, num_wires, instruction = 1, None, "fint"


class Phase(_Gate):
    """Let n up + n down act on a site: `Phase(mu, wires=[2, 3])`."""

    num_params, num_wires, instruction = 1, 2, "fphase"


class Level(Operator):  # type: ignore[misc]  # as above
    """The outcome of a wire: the level of a spin (0 is the largest m), the number of fermions of a mode."""

    num_params, num_wires = 0, 1


class Lz(Operator):  # type: ignore[misc]  # as above
    """Half the atoms of a wire of spins less its level."""

    num_params, num_wires = 0, 1


@simulator_tracking
@single_tape_support
class _ColdAtomDevice(Device):  # type: ignore[misc]  # as above
    """A cold-atom backend; the circuits of one execution are one job.

    Args:
        wires: how many.
        shots: of circuits that do not say their own; exact results there are none.
        client: of the laboratory; that of this machine if there is none.
        seed: of all random outcomes; None for seeds that the laboratory draws.
        labels: words to find the jobs by.
        group: name of the group that they belong to.
    """

    kind: ClassVar[type[Circuit]]
    gates: ClassVar[frozenset[type[_Gate]]]
    place: ClassVar[str]

    def __init__(  # noqa: PLR0913 - one parameter an option
        self,
        wires: Any = None,
        shots: Any = None,
        *,
        client: Client | None = None,
        seed: int | None = None,
        labels: Mapping[str, str] | None = None,
        group: str = "",
    ) -> None:
        super().__init__(wires=wires, shots=shots)
        self.client = Client.local() if client is None else client
        self._seeds = None if seed is None else np.random.default_rng(seed)
        self._labels, self._group = labels, group

    @property
    def name(self) -> str:
        """By which `pennylane.device` finds it."""
        return f"quledger.{self.place}"

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Return what makes of a circuit those that are run."""
        del execution_config
        pipeline = CompilePipeline()
        pipeline.add_transform(no_analytic, name=self.name)
        pipeline.add_transform(validate_device_wires, self.wires, name=self.name)
        pipeline.add_transform(broadcast_expand)
        return pipeline

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> tuple[Any, ...]:
        """Run circuits, all of them as one job, and return what their measurements say.

        Raises:
            Refused: they have faults; all of them are listed.
            JobFailed: the job ended without a result.
        """
        del execution_config
        if not circuits:
            return ()
        document = {f"experiment_{place}": self._experiment(tape) for place, tape in enumerate(circuits)}
        backend = self.kind.usual.backend
        job = self.client.submit(backend, document, labels=self._labels, group=self._group or None)
        found = job.result()
        return tuple(
            _measured(tape, _levels(each.memory), self._wires_of(tape))
            for tape, each in zip(circuits, found, strict=True)
        )

    def _wires_of(self, tape: Any) -> Any:
        return self.wires or tape.wires

    def _experiment(self, tape: Any) -> dict[str, Any]:
        """Return the experiment of a circuit, all of whose wires are measured at its end, in their order."""
        wires = self._wires_of(tape)
        seed = None if self._seeds is None else int(self._seeds.integers(2**32))
        circuit = self._empty(len(wires), seed)
        faults = [fault for each in tape.measurements for fault in _measurement_faults(each)]
        for operation in tape.operations:
            if operation.name == "Barrier":
                continue
            if type(operation) not in self.gates:
                faults.append(
                    Fault(operation.name, f"{self.name} knows {', '.join(sorted(g.__name__ for g in self.gates))}")
                )
                continue
            try:
                on = self._on(operation, [wires.index(wire) for wire in operation.wires])
                values = [value.item() if hasattr(value, "item") else value for value in operation.parameters]
                circuit.add(operation.instruction, on, *values)
            except Refused as error:
                faults += error.faults
        for wire in range(len(wires)):
            circuit.add("measure", wire)
        if faults:
            raise Refused("the circuit has faults", faults)
        (experiment,) = circuit.document(tape.shots.total_shots).values()
        return dict(experiment)

    def _empty(self, wires: int, seed: int | None) -> Circuit:
        return self.kind(wires, seed=seed)

    def _on(self, _operation: Any, wires: list[int]) -> list[int]:
        return wires


class SpinDevice(_ColdAtomDevice):
    """Collective spins in a row, of one atom each unless loaded: the backend `multiqudit`."""

    kind, place = MultiQudit, "spins"
    gates = frozenset({Load, RLx, RLz, RLz2, RLxLy, RLzLz})


class FermionDevice(_ColdAtomDevice):
    """Fermions on four sites, which are eight wires: the backend `fermions`."""

    kind, place = Fermions, "fermions"
    gates = frozenset({LoadFermion, Hop, Interact, Phase})

    def _empty(self, wires: int, seed: int | None) -> Circuit:
        del wires
        return Fermions(seed=seed)

    def _on(self, operation: Any, wires: list[int]) -> list[int]:
        return list(range(self.kind.usual.wires)) if isinstance(operation, Interact) else wires


def _levels(memory: list[str]) -> Levels:
    """Return the levels of each shot, shape (shots, wires)."""
    return np.array([each.split() for each in memory], dtype=np.int64)


def _measurement_faults(measurement: Any) -> list[Fault]:
    """Return why a measurement cannot be made of levels."""
    name = type(measurement).__name__.removesuffix("MP")
    if not isinstance(measurement, ExpectationMP | VarianceMP | SampleMP | CountsMP):
        return [Fault(name, "there are expval, var, sample and counts")]
    factors = _factors(measurement.obs)
    return [
        Fault(each.name, "there are Level, Lz, and products of them") for each in factors if type(each) not in _READ
    ]


def _factors(observable: Any) -> list[Any]:
    if observable is None:
        return []
    return [inner for each in observable for inner in _factors(each)] if isinstance(observable, Prod) else [observable]


_READ: dict[type, Callable[[Levels, float], NDArray[np.float64]]] = {
    Level: lambda levels, _atoms: levels.astype(float),
    Lz: lambda levels, atoms: np.asarray(atoms / 2 - levels, dtype=np.float64),
}


def _values(observable: Any, levels: Levels, wires: Any, atoms: Mapping[Any, float]) -> NDArray[np.float64]:
    """Return what an observable is in each shot."""
    found = np.ones(len(levels))
    for each in _factors(observable):
        wire = each.wires[0]
        found = found * _READ[type(each)](levels[:, wires.index(wire)], atoms.get(wire, 1))
    return found


def _measured(tape: Any, levels: Levels, wires: Any) -> Any:
    """Return what the measurements of a circuit make of its shots, nested as PennyLane wants it."""
    atoms = {each.wires[0]: float(each.parameters[0]) for each in tape.operations if isinstance(each, Load)}
    results = []
    for first, last in tape.shots.bins():
        found = tuple(_value(each, levels[first:last], wires, atoms) for each in tape.measurements)
        results.append(found[0] if len(found) == 1 else found)
    return tuple(results) if tape.shots.has_partitioned_shots else results[0]


def _value(measurement: Any, levels: Levels, wires: Any, atoms: Mapping[Any, float]) -> Any:
    if measurement.obs is None:
        on = [wires.index(wire) for wire in measurement.wires] or list(range(len(wires)))
        shown: Any = levels[:, on]
        if isinstance(measurement, SampleMP):
            return shown
        texts, counts = np.unique([" ".join(map(str, row)) for row in shown], return_counts=True)
        return dict(zip(texts.tolist(), counts.tolist(), strict=True))
    values = _values(measurement.obs, levels, wires, atoms)
    if isinstance(measurement, ExpectationMP):
        return values.mean()
    if isinstance(measurement, VarianceMP):
        return values.var()
    if isinstance(measurement, SampleMP):
        return values
    numbers, counts = np.unique(values, return_counts=True)
    return dict(zip(numbers.tolist(), counts.tolist(), strict=True))
