"""Devices of PennyLane for spins and fermions: their gates, circuits as experiments, and what is read off the outcomes.

Gates have the conventions of the laboratory (its page about the backends): a gate is exp(-i parameter H), wires of
spins begin in level 0, wires 2s and 2s + 1 of fermions are spin up and down of site s.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pennylane.devices import ExecutionConfig
from pennylane.devices.preprocess import no_analytic, validate_device_wires
from pennylane.measurements import CountsMP, ExpectationMP, SampleMP, VarianceMP
from pennylane.operation import Operation, Operator
from pennylane.ops import Identity, Pow, Prod, SProd, Sum
from pennylane.transforms import broadcast_expand
from pennylane.transforms.core import CompilePipeline

from quledger_client.build import Circuit, Fermions, MultiQudit
from quledger_client.build.rules import Rules
from quledger_client.errors import Fault, Refused
from quledger_client.pennylane.device import LaboratoryDevice

Levels = NDArray[np.int64]


class ColdAtomGate(Operation):  # type: ignore[misc]  # PennyLane is published without types
    """A gate of a cold-atom backend: no matrix of qubits says what it does."""

    grad_method = None
    instruction: ClassVar[str]


class Load(ColdAtomGate):
    """Put atoms on a wire of spins: `Load(atoms, wires=0)`."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 1, "load"


class RLx(ColdAtomGate):
    """Evolve a spin under Lx."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 1, "rlx"


class RLz(ColdAtomGate):
    """Evolve a spin under Lz."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 1, "rlz"


class RLz2(ColdAtomGate):
    """Evolve a spin under Lz squared."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 1, "rlz2"


class RLxLy(ColdAtomGate):
    """Let neighbours exchange: J (L+L- + L-L+)."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 2, "rlxly"


class RLzLz(ColdAtomGate):
    """Couple neighbours by J LzLz."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 2, "rlzlz"


class LoadFermion(ColdAtomGate):
    """Put a fermion on a wire."""

    num_params, num_wires, instruction = 0, 1, "load"


class Hop(ColdAtomGate):
    """Let both spins hop between two sites: `Hop(t, wires=[0, 1, 2, 3])`."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 4, "fhop"


class Interact(ColdAtomGate):
    """Let n up n down act on every site, whatever wires are named."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), None, "fint"


class Phase(ColdAtomGate):
    """Let n up + n down act on a site: `Phase(mu, wires=[2, 3])`."""

    num_params, ndim_params, num_wires, instruction = 1, (0,), 2, "fphase"


class Level(Operator):  # type: ignore[misc]  # as above
    """The outcome of a wire: the level of a spin (0 is the largest m), the number of fermions of a mode."""

    num_params, num_wires = 0, 1


class Lz(Operator):  # type: ignore[misc]  # as above
    """Half the atoms of a wire of spins less its level."""

    num_params, num_wires = 0, 1


class _ColdAtomDevice(LaboratoryDevice):
    gates: ClassVar[frozenset[type[ColdAtomGate]]]
    observables: ClassVar[tuple[type, ...]]
    usual_wires: ClassVar[int | None] = None

    def __init__(self, wires: Any = None, shots: Any = None, **options: Any) -> None:
        super().__init__(wires=self.usual_wires if wires is None else wires, shots=shots, **options)
        self._rules = Rules.of(self.backend.name, self.backend.schema())

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> CompilePipeline:
        """Return what makes of a circuit those that are run."""
        del execution_config
        pipeline = CompilePipeline()
        pipeline.add_transform(no_analytic, name=self.name)
        pipeline.add_transform(validate_device_wires, self.wires, name=self.name)
        pipeline.add_transform(broadcast_expand)
        return pipeline

    def experiment(self, tape: Any, wires: Any) -> dict[str, Any]:
        """Return the experiment of a circuit, all of whose wires are measured in their order."""
        circuit = self._empty(len(wires))
        faults = [fault for each in tape.measurements for fault in self._measurement_faults(each)]
        for operation in tape.operations:
            if operation.name == "Barrier":
                continue
            if type(operation) not in self.gates:
                faults.append(Fault(operation.name, f"{self.name} knows {_names(self.gates)}"))
                continue
            try:
                on = self._on(operation, [wires.index(wire) for wire in operation.wires])
                values = [value.item() if hasattr(value, "item") else value for value in operation.parameters]
                circuit.add(operation.instruction, on, *values)
            except Refused as error:
                faults += error.faults
        try:
            for wire in range(len(wires)):
                circuit.add("measure", wire)
            document = circuit.document(tape.shots.total_shots)
        except Refused as error:
            raise Refused("the circuit has faults", [*faults, *error.faults]) from None
        if faults:
            raise Refused("the circuit has faults", faults)
        return dict(document["experiment_0"])

    def outcomes(self, memory: list[str], size: int) -> Levels:
        """Return the levels of each shot, shape (shots, wires)."""
        return np.array([each.split() for each in memory], dtype=np.int64).reshape(len(memory), size)

    def value(self, measurement: Any, outcomes: Levels, tape: Any, wires: Any) -> Any:
        """Return what a measurement makes of levels."""
        if measurement.obs is None:
            on = [wires.index(wire) for wire in measurement.wires] or list(range(len(wires)))
            shown: Any = outcomes[:, on]
            if isinstance(measurement, SampleMP):
                return shown
            texts, counts = np.unique([" ".join(map(str, row)) for row in shown], return_counts=True)
            return dict(zip(texts.tolist(), counts.tolist(), strict=True))
        atoms = {each.wires[0]: float(each.parameters[0]) for each in tape.operations if isinstance(each, Load)}
        values = _values(measurement.obs, outcomes, wires, atoms)
        if isinstance(measurement, ExpectationMP):
            return values.mean()
        if isinstance(measurement, VarianceMP):
            return values.var()
        if isinstance(measurement, SampleMP):
            return values
        numbers, counts = np.unique(values, return_counts=True)
        return dict(zip(numbers.tolist(), counts.tolist(), strict=True))

    def _measurement_faults(self, measurement: Any) -> list[Fault]:
        """Return why a measurement cannot be made of levels."""
        name = type(measurement).__name__.removesuffix("MP")
        is_list = isinstance(measurement, SampleMP | CountsMP)
        if not is_list and not isinstance(measurement, ExpectationMP | VarianceMP):
            return [Fault(name, "there are expval, var, sample and counts")]
        if getattr(measurement, "all_outcomes", False):
            return [Fault(name, "outcomes that never occurred are not listed; leave out all_outcomes")]
        if measurement.obs is None:
            return [] if is_list else [Fault(name, "say of which observable")]
        return [
            Fault(each.name, f"there are {_names(self.observables)}, and their sums, products and whole powers")
            for each in _leaves(measurement.obs)
            if type(each) not in self.observables
        ]

    def _empty(self, wires: int) -> Circuit:
        raise NotImplementedError

    def _on(self, operation: Any, wires: list[int]) -> list[int]:
        raise NotImplementedError


class SpinDevice(_ColdAtomDevice):
    """Collective spins in a row, of one atom each unless loaded: `multiqudit`, or the backend that is named."""

    place, usual = "quledger.spins", "multiqudit"
    gates = frozenset({Load, RLx, RLz, RLz2, RLxLy, RLzLz})
    observables = (Level, Lz)

    def _empty(self, wires: int) -> Circuit:
        return MultiQudit(wires, rules=self._rules)

    def _on(self, _operation: Any, wires: list[int]) -> list[int]:
        return sorted(wires)  # what couples two spins does not tell them apart


class FermionDevice(_ColdAtomDevice):
    """Fermions on four sites, which are eight wires: `fermions`, or the backend that is named."""

    place, usual = "quledger.fermions", "fermions"
    gates = frozenset({LoadFermion, Hop, Interact, Phase})
    observables = (Level,)
    # A wire's place says which spin of which site it is; the first that a circuit happens to name may be another.
    usual_wires = Fermions.usual.wires

    def _empty(self, _wires: int) -> Circuit:
        return Fermions(rules=self._rules)

    def _on(self, operation: Any, wires: list[int]) -> list[int]:
        return list(range(self._rules.wires)) if isinstance(operation, Interact) else wires


def _names(kinds: Any) -> str:
    return ", ".join(sorted(each.__name__ for each in kinds))


def _leaves(observable: Any) -> list[Any]:
    """Return what an observable is made of; what is no whole power stands for itself."""
    if isinstance(observable, Prod | Sum):
        return [leaf for each in observable.operands for leaf in _leaves(each)]
    if isinstance(observable, SProd) or (isinstance(observable, Pow) and _is_whole(observable.z)):
        return _leaves(observable.base)
    return [] if isinstance(observable, Identity) else [observable]


def _is_whole(power: Any) -> bool:
    return bool(power >= 0 and power == int(power))


_READ: dict[type, Callable[[Levels, float], NDArray[np.float64]]] = {
    Level: lambda levels, _atoms: levels.astype(float),
    Lz: lambda levels, atoms: np.asarray(atoms / 2 - levels, dtype=np.float64),
}


def _values(observable: Any, levels: Levels, wires: Any, atoms: Mapping[Any, float]) -> NDArray[np.float64]:
    """Return what an observable is in each shot."""

    def of(part: Any) -> NDArray[np.float64]:
        return _values(part, levels, wires, atoms)

    if isinstance(observable, Prod):
        return np.asarray(math.prod(map(of, observable.operands)))
    if isinstance(observable, Sum):
        return np.asarray(sum(map(of, observable.operands)))
    if isinstance(observable, SProd):
        return np.asarray(float(observable.scalar) * of(observable.base))
    if isinstance(observable, Pow):
        return np.asarray(of(observable.base) ** int(observable.z))
    if isinstance(observable, Identity):
        return np.ones(len(levels))
    wire = observable.wires[0]
    return _READ[type(observable)](levels[:, wires.index(wire)], atoms.get(wire, 1))
