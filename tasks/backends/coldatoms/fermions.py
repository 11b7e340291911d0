"""Fermions of two spins in a chain of tweezers.

Site s has the modes (wires) 2s (spin up) and 2s + 1 (spin down); the chain has always all its sites, whatever
`num_wires` says. Gates, with hbar = 1 and dimensionless angles: `load` is the creation operator of a mode with its
sign, also in mid-circuit; fhop = exp(-i t (c+_a c_c + c+_b c_d + h.c.)) on a, b, c, d, on all wires the sum over all
neighbours; fint = exp(-i U sum_s n_up n_down); fphase = exp(-i mu (n_a + n_b)), on all wires the sum over all modes.
The memory samples the final state, wherever the measures stand.

Source: D. Gonzalez-Cuadra et al., PNAS 120, e2304294120 (2023), for these gates in tweezers; J. Hubbard,
Proc. R. Soc. A 276, 238 (1963), for the interaction.
"""

import math
from collections.abc import Sequence

from models.documents import Experiment, Instruction
from models.errors import Fault
from models.job_language import coldatoms
from models.job_language.coercion import label
from tasks.backends.coldatoms.backend import ColdAtomBackend, Unapplied
from tasks.backends.coldatoms.sampling import Readout
from tasks.backends.coldatoms.sectors import Occupied, SectorState
from tasks.backends.cost import Cost, Limits

PAIR = 4
"""Modes of two neighbouring sites: a hop on more acts on the whole chain."""

HOP_TERMS = 8
"""Array operations of a hop of both spins."""


class Fermions(ColdAtomBackend):
    """The simulator of `fermions`.

    Args:
        sites: length of the chain.
        limits: what a job may cost.
    """

    def __init__(self, sites: int = 4, limits: Limits | None = None) -> None:
        super().__init__(coldatoms.fermions(sites), limits)
        self.sites = sites

    def levels(self, experiment: Experiment) -> Sequence[int]:
        """Return 2 for each mode: empty or occupied."""
        del experiment
        return [2] * (2 * self.sites)

    def predict(self, experiment: Experiment) -> Cost:
        """Return the cost in the sectors that the loads lead through."""
        numbers = [0, 0]
        largest, gates = 1, []
        for item in experiment.instructions:
            if item.name == "load":
                numbers[item.wires[0] % 2] = min(numbers[item.wires[0] % 2] + 1, self.sites)
            size = math.comb(self.sites, numbers[0]) * math.comb(self.sites, numbers[1])
            largest = max(largest, size)
            gates.append(self._terms(item) * size)
        return Cost(largest, gates)

    def _terms(self, item: Instruction) -> float:
        if item.name == "fhop":
            return HOP_TERMS * (1 if len(item.wires) == PAIR else self.sites * (self.sites - 1) / 2)
        if item.name in ("barrier", "measure"):
            return 0.0
        if item.name in ("load", "fint", "fphase"):
            return 2.0
        raise Unapplied(item)

    def inspect(self, experiment: Experiment) -> list[Fault]:
        """Find a load into a mode that may be occupied, by computing the state up to the last load."""
        names = [item.name for item in experiment.instructions]
        last_load = max((place for place, name in enumerate(names) if name == "load"), default=0)
        if "fhop" not in names[:last_load]:
            return []  # nothing moved: the schema rules have found every double load
        state = SectorState(self.sites)
        for place, item in enumerate(experiment.instructions[: last_load + 1]):
            try:
                _apply(state, item)
            except Occupied as error:
                message = (
                    f"wire {item.wires[0]} already holds a particle with probability {error.probability:.3g};"
                    " Pauli's principle forbids a second one: load a mode that is surely empty"
                )
                return [
                    Fault(
                        experiment=label(experiment.name),
                        instruction=place,
                        name="load",
                        field="wires[0]",
                        message=message,
                    )
                ]
        return []

    def read(self, experiment: Experiment) -> Readout:
        """Compute the final state, shape (configurations of up, of down).

        Raises:
            Occupied: a load met an occupied mode (`validate` refuses such experiments).
        """
        state = SectorState(self.sites)
        for item in experiment.instructions:
            _apply(state, item)
        return state.readout(self.measured(experiment))


def _apply(state: SectorState, item: Instruction) -> None:
    match item.name:
        case "load":
            state.load(item.wires[0] // 2, down=bool(item.wires[0] % 2))
        case "fhop" if len(item.wires) == PAIR:
            state.hop(item.wires[0] // 2, item.wires[2] // 2, item.params[0])
        case "fhop":
            state.hop_all(item.params[0])
        case "fint":
            state.interact(item.params[0])
        case "fphase":
            up = [wire // 2 for wire in item.wires if wire % 2 == 0]
            down = [wire // 2 for wire in item.wires if wire % 2]
            state.phase(item.params[0], up, down)
        case name if name not in ("barrier", "measure"):
            raise Unapplied(item)
