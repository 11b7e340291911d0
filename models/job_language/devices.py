"""A device: the instructions it knows, its sizes, and the configuration it publishes."""

from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

from models.backend import BackendConfig, GateConfig
from models.documents import WireOrder


class InstructionSpec(BaseModel):
    """The wires and parameters that one instruction takes.

    Attributes:
        wires: the fewest and the most wires.
        highest_wire: the largest wire index; the smallest is 0.
        parameters: the name of each parameter; their number is exact.
        high: the largest value of each parameter (dimensionless angle, or atoms); both ends belong to the range.
        low: the smallest value.
        whole: parameters are whole numbers.
        coupling_map: the only combinations of wires allowed; None if it is not a gate.
        within_num_wires: wires must be below `num_wires` of the experiment.
        fills: puts a particle where only one has room, so twice in a row on one wire is a fault.
        description: one line for the published configuration.
        qasm_def: OpenQASM definition for the published configuration.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    wires: tuple[int, int]
    highest_wire: int
    parameters: tuple[str, ...] = ()
    high: float = 0.0
    low: float = 0.0
    whole: bool = False
    coupling_map: tuple[tuple[int, ...], ...] | None = None
    within_num_wires: bool = True
    fills: bool = False
    description: str = ""
    qasm_def: str = "{}"

    @property
    def is_gate(self) -> bool:
        """True if it changes the state by a unitary and is published as a gate."""
        return self.coupling_map is not None

    @cached_property
    def couplings(self) -> frozenset[tuple[int, ...]] | None:
        """The coupling map without the combinations that have too few wires."""
        if self.coupling_map is None:
            return None
        return frozenset(wires for wires in self.coupling_map if self.wires[0] <= len(wires) <= self.wires[1])


class DeviceSpec(BaseModel):
    """What one device takes and publishes.

    Attributes:
        fixed_wires: `num_wires` of an experiment must be exactly that of the device.
        wire_orders: the allowed wire orders.
        needs_measure: an experiment without `measure` is refused; on other devices its memory is empty.
    """

    model_config = ConfigDict(frozen=True)

    display_name: str
    description: str
    version: str
    cold_atom_type: Literal["fermion", "boson", "spin", "mixed"]
    num_wires: int
    num_species: int = 1
    fixed_wires: bool = False
    wire_orders: tuple[WireOrder, ...] = ("interleaved", "sequential")
    needs_measure: bool = False
    max_shots: int = 1_000_000
    max_experiments: int = 1_000
    instructions: tuple[InstructionSpec, ...]

    @cached_property
    def by_name(self) -> dict[str, InstructionSpec]:
        """The instructions by their names."""
        return {spec.name: spec for spec in self.instructions}


def backend_config(device: DeviceSpec) -> BackendConfig:
    """Return the configuration that the storage contract publishes for this device."""
    gates = [
        GateConfig(
            coupling_map=[list(wires) for wires in spec.coupling_map],
            description=spec.description,
            name=spec.name,
            parameters=[", ".join(spec.parameters)],
            qasm_def=spec.qasm_def,
        )
        for spec in device.instructions
        if spec.coupling_map is not None
    ]
    return BackendConfig(
        description=device.description,
        version=device.version,
        display_name=device.display_name,
        cold_atom_type=device.cold_atom_type,
        gates=gates,
        max_experiments=device.max_experiments,
        max_shots=device.max_shots,
        simulator=True,
        supported_instructions=[spec.name for spec in device.instructions],
        num_wires=device.num_wires,
        wire_order="interleaved",
        num_species=device.num_species,
    )
