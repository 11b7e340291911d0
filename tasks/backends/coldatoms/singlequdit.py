"""One collective spin of N atoms.

Gates, with hbar = 1 and dimensionless angles: rlx = exp(-i omega Lx), rlz = exp(-i delta Lz),
rlz2 = exp(-i chi Lz^2), sq_full = exp(-i (omega Lx + delta Lz + chi Lz^2)). The spin starts with N = 1 in level 0;
`load` sets N and starts again, wherever it stands. The memory is the level of the **last** measure, sampled where
that stands: what follows it changes nothing.

Source: M. Kitagawa and M. Ueda, Phys. Rev. A 47, 5138 (1993) for the twisting Lz^2.
"""

import math
from collections.abc import Sequence

import numpy as np

from models.documents import Experiment, Instruction
from models.job_language import coldatoms
from tasks.backends.coldatoms import chebyshev, spin
from tasks.backends.coldatoms.backend import ColdAtomBackend, Unapplied, acts
from tasks.backends.coldatoms.sampling import Readout, probabilities_of
from tasks.backends.cost import MATRIX_SPEED, Cost, Limits

MAX_EIGEN_ATOMS = 3000
"""Up to here sq_full is exact at any angle (72 MB of eigenvectors at 3000 atoms); above, Chebyshev polynomials."""


class SingleQudit(ColdAtomBackend):
    """The simulator of `singlequdit`.

    Args:
        max_atoms: the largest N that `load` takes.
        limits: what a job may cost.
    """

    def __init__(self, max_atoms: int = 500, limits: Limits | None = None) -> None:
        super().__init__(coldatoms.singlequdit(max_atoms), limits)

    def levels(self, experiment: Experiment) -> Sequence[int]:
        """Return the levels of the one wire when the last measure stands."""
        first = experiment.instructions[_part(experiment)[0]]
        return [int(first.params[0]) + 1 if first.name == "load" else 2]

    def measured(self, experiment: Experiment) -> list[int]:
        """Return [0]: the last measure counts, whether it names its wire or not."""
        return [0] if any(item.name == "measure" for item in experiment.instructions) else []

    def predict(self, experiment: Experiment) -> Cost:
        """Return the cost of what lies between the last load and the last measure; nothing else is computed."""
        begin, end = _part(experiment)
        atoms = self.levels(experiment)[0] - 1
        gates = [
            _updates(item, atoms) if begin <= place < end and acts(item) else 0.0
            for place, item in enumerate(experiment.instructions)
        ]
        return Cost(atoms + 1, gates)

    def read(self, experiment: Experiment) -> Readout:
        """Compute the state at the last measure, shape (1, N+1, 1)."""
        begin, end = _part(experiment)
        atoms = self.levels(experiment)[0] - 1
        state = np.zeros((1, atoms + 1, 1), dtype=np.complex128)
        state[0, 0, 0] = 1
        for item in filter(acts, experiment.instructions[begin:end]):
            state = _apply(state, atoms, item)
        return Readout.of_wires(probabilities_of(state), [atoms + 1], self.measured(experiment))


def _part(experiment: Experiment) -> tuple[int, int]:
    """Return the first and the end of the instructions that count: the last load before the last measure, that."""
    names = [item.name for item in experiment.instructions]
    end = max((place for place, name in enumerate(names) if name == "measure"), default=len(names))
    begin = max((place for place, name in enumerate(names[:end]) if name == "load"), default=0)
    return begin, end


def _hamiltonian(item: Instruction, atoms: int) -> tuple[spin.Real, spin.Real]:
    """Return diagonal and off-diagonal of omega Lx + delta Lz + chi Lz^2."""
    omega, delta, chi = item.params
    m = spin.lz(atoms)
    return delta * m + chi * m**2, omega / 2 * spin.ladder(atoms)


def _apply(state: spin.State, atoms: int, item: Instruction) -> spin.State:
    """Return the state after one gate."""
    match item.name:
        case "rlx":
            return spin.rotate(state, atoms, item.params[0])
        case "rlz":
            return spin.turn(state, item.params[0] * spin.lz(atoms))
        case "rlz2":
            return spin.turn(state, item.params[0] * spin.lz(atoms) ** 2)
        case "sq_full":
            evolve = spin.evolve_tridiagonal if atoms <= MAX_EIGEN_ATOMS else spin.evolve_polynomials
            return evolve(state, *_hamiltonian(item, atoms))
    raise Unapplied(item)


def _updates(item: Instruction, atoms: int) -> float:
    """Return the amplitude updates of one gate."""
    levels = atoms + 1
    match item.name:
        case "rlx":
            if atoms <= spin.DENSE_ATOMS:
                return 2 * levels**2 / MATRIX_SPEED
            return spin.POLYNOMIAL_TERMS * chebyshev.terms(math.pi / 4 * atoms) * levels
        case "rlz" | "rlz2":
            return levels
        case "sq_full":
            if atoms <= MAX_EIGEN_ATOMS:
                return spin.EIGEN_TERMS * levels**2
            omega, delta, chi = item.params
            radius = (omega + delta) * atoms / 2 + chi * atoms**2 / 8
            return spin.POLYNOMIAL_TERMS * chebyshev.terms(radius) * levels
    raise Unapplied(item)
