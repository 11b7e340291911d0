"""The gates of spins and fermions, and what is measured of them.

Gates have the conventions of the laboratory (its page about the backends): a gate is exp(-i parameter H), wires of
spins begin in level 0, wires 2s and 2s + 1 of fermions are spin up and down of site s.
"""

from typing import ClassVar

from pennylane.operation import Operation, Operator


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
