"""A chain of collective spins.

Gates, with hbar = 1 and dimensionless angles: rlx, rlz, rlz2 on one wire as for the single spin;
rlxly = exp(-i J (L+_a L-_b + L-_a L+_b)), which is 2 J (Lx Lx + Ly Ly); rlzlz = exp(-i J Lz_a Lz_b); on all wires
both act as the sum over the open chain. multiqudit_full = exp(-i H) with H = sum_i (omega Lx + delta Lz + chi Lz^2)
+ sum_<i,i+1> (Jxy (L+L- + L-L+) + Jzz Lz Lz), always on the whole chain.

Each wire starts with N = 1 in level 0; `load` sets N of its wire, wherever it stands, the last one counts. The
memory samples the final state, wherever the measures stand.

Source: V. Kasper et al., Quantum Sci. Technol. 7, 015008 (2022), for this universal set of gates.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from models.documents import Experiment, Instruction
from models.job_language import coldatoms
from tasks.backends.coldatoms import hamiltonian, spin
from tasks.backends.coldatoms.backend import Unapplied
from tasks.backends.coldatoms.chain import ChainState, exchange_updates, one_wire_updates
from tasks.backends.coldatoms.chain_backend import ChainBackend
from tasks.backends.coldatoms.hamiltonian import ChainHamiltonian, chain_diagonal
from tasks.backends.cost import Limits

PAIR = 2
"""Wires of a gate between neighbours: rlxly on more acts on the whole chain."""


class MultiQudit(ChainBackend):
    """The simulator of `multiqudit`.

    Args:
        num_wires: the longest chain.
        max_atoms: the largest N that `load` takes.
        limits: what a job may cost.
    """

    def __init__(self, num_wires: int = 5, max_atoms: int = 500, limits: Limits | None = None) -> None:
        super().__init__(coldatoms.multiqudit(num_wires, max_atoms), limits)

    def levels(self, experiment: Experiment) -> Sequence[int]:
        """Return N + 1 of each wire."""
        levels = [2] * experiment.num_wires
        for item in experiment.instructions:
            if item.name == "load":
                levels[item.wires[0]] = int(item.params[0]) + 1
        return levels

    def apply(self, state: ChainState, item: Instruction) -> None:
        """Apply one gate."""
        wire = item.wires[0] if item.wires else 0
        match item.name:
            case "rlx":
                state.rotate(wire, item.params[0])
            case "rlz":
                state.turn(wire, item.params[0] * spin.lz(state.dims[wire] - 1))
            case "rlz2":
                state.turn(wire, item.params[0] * spin.lz(state.dims[wire] - 1) ** 2)
            case "rlzlz":
                state.zz(item.wires, item.params[0])
            case "rlxly" if len(item.wires) == PAIR:
                state.exchange(wire, item.params[0])
            case "rlxly":
                state.evolve(ChainHamiltonian(state.dims, chain_diagonal(state.dims, 0.0), exchange=item.params[0]))
            case "multiqudit_full":
                omega, delta, chi, xy, zz = item.params
                state.evolve(ChainHamiltonian(state.dims, chain_diagonal(state.dims, delta, chi, zz), omega, xy))
            case _:
                raise Unapplied(item)

    def updates(self, item: Instruction, dims: Sequence[int]) -> float:
        """Return the amplitude updates of one gate."""
        size = math.prod(dims)
        wire = item.wires[0] if item.wires else 0
        match item.name:
            case "rlx":
                return one_wire_updates(dims, wire)
            case "rlz" | "rlz2" | "rlzlz":
                return size * len(item.wires)
            case "rlxly" if len(item.wires) == PAIR:
                return exchange_updates(dims[wire], dims[wire + 1], size)
            case "rlxly":
                return hamiltonian.updates(dims, 0.0, 0.0, item.params[0])
            case "multiqudit_full":
                omega, delta, chi, xy, zz = item.params
                spins = [(levels - 1) / 2 for levels in dims]
                radius = sum(delta * value + chi * value**2 / 2 for value in spins)
                radius += zz * sum(one * other for one, other in pairwise(spins))
                return hamiltonian.updates(dims, radius, omega, xy)
        raise Unapplied(item)
