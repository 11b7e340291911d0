"""A chain of atoms at distance 1 with a ground level 0 and a Rydberg level 1 each.

Gates, with hbar = 1 and dimensionless angles: rlx = exp(-i t Sx) and rlz = exp(-i t Sz) on one atom (spin 1/2, so
that p(1) = sin^2(t / 2) after rlx); rydberg_block = exp(-i phi V) with V = sum_{i<j} n_i n_j / |i - j|^6 and
n = 1/2 - Sz; rydberg_full = exp(-i (sum_i (omega Sx + delta Sz) + phi V)). The last two act on all atoms of the
experiment, whatever its size. The blockade is not a hard one: V is finite. The memory samples the final state.

Source: D. Jaksch et al., Phys. Rev. Lett. 85, 2208 (2000), for the blockade.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from models.documents import Experiment, Instruction
from models.job_language import coldatoms
from tasks.backends.coldatoms import hamiltonian, spin
from tasks.backends.coldatoms.backend import Unapplied
from tasks.backends.coldatoms.chain import ChainState, one_wire_updates
from tasks.backends.coldatoms.chain_backend import ChainBackend
from tasks.backends.coldatoms.hamiltonian import ChainHamiltonian, chain_diagonal
from tasks.backends.coldatoms.spin import Real, State
from tasks.backends.cost import Limits

PHASE_TERMS = 6
"""Array operations of the phases of the blockade, made by doubling."""


class Rydberg(ChainBackend):
    """The simulator of `rydberg`.

    Args:
        num_wires: the longest chain.
        limits: what a job may cost.
    """

    def __init__(self, num_wires: int = 5, limits: Limits | None = None) -> None:
        super().__init__(coldatoms.rydberg(num_wires), limits)

    def levels(self, experiment: Experiment) -> Sequence[int]:
        """Return 2 for each atom."""
        return [2] * experiment.num_wires

    def apply(self, state: ChainState, item: Instruction) -> None:
        """Apply one gate."""
        atoms = len(state.dims)
        match item.name:
            case "rlx":
                state.rotate(item.wires[0], item.params[0])
            case "rlz":
                state.turn(item.wires[0], item.params[0] * spin.lz(1))
            case "rydberg_block":
                state.multiply(blockade_phases(atoms, item.params[0]))
            case "rydberg_full":
                omega, delta, phi = item.params
                diagonal = chain_diagonal(state.dims, delta) + phi * blockade(atoms)
                state.evolve(ChainHamiltonian(state.dims, diagonal, omega))
            case _:
                raise Unapplied(item)

    def updates(self, item: Instruction, dims: Sequence[int]) -> float:
        """Return the amplitude updates of one gate."""
        size = math.prod(dims)
        match item.name:
            case "rlx":
                return one_wire_updates(dims, item.wires[0])
            case "rlz":
                return size
            case "rydberg_block":
                return PHASE_TERMS * size
            case "rydberg_full":
                omega, delta, phi = item.params
                highest = sum((len(dims) - distance) * distance**-6.0 for distance in range(1, len(dims)))
                return hamiltonian.updates(dims, delta * len(dims) / 2 + phi * highest / 2, omega, 0.0)
        raise Unapplied(item)


@lru_cache(maxsize=4)
def blockade(atoms: int) -> Real:
    """Return the diagonal of V, shape (2^atoms,), atom 0 most significant."""
    energy = np.zeros(1)
    field = np.zeros(1)  # what an atom in front of the chain would feel
    for distance in range(1, atoms + 1):
        energy = np.concatenate([energy, energy + field])
        field = np.add.outer(field, [0.0, distance**-6.0]).reshape(-1)
    energy.flags.writeable = False
    return energy


def blockade_phases(atoms: int, phi: float) -> State:
    """Return exp(-i phi V), shape (2^atoms,), by doubling: no exponential over the whole space."""
    phases = np.ones(1, dtype=np.complex128)
    field = phases
    for distance in range(1, atoms + 1):
        phases = np.concatenate([phases, phases * field])
        if distance < atoms:
            field = np.multiply.outer(field, [1.0, np.exp(-1j * phi * distance**-6.0)]).reshape(-1)
    return phases
