import math
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from models.documents import Experiment, Instruction
from models.errors import JobRejected
from tasks.backends.coldatoms import chain, hamiltonian, sectors, spin
from tasks.backends.coldatoms.backend import ColdAtomBackend
from tasks.backends.coldatoms.fermions import Fermions
from tasks.backends.coldatoms.multiqudit import MultiQudit
from tasks.backends.coldatoms.rydberg import Rydberg, blockade, blockade_phases
from tasks.backends.coldatoms.sampling import Readout
from tasks.backends.coldatoms.singlequdit import SingleQudit
from tasks.backends.cost import Limits

TOLERANCE = 1e-10
HALF = math.pi / 2
BRIGHT, DARK = "1", "0"


def run(
    backend: ColdAtomBackend, rows: Sequence[Any], measured: Sequence[int] = (0,), num_wires: int = 1
) -> dict[str, float]:
    """Return the distribution of a job that goes through validation."""
    rows = [*rows, *(["measure", [wire], []] for wire in measured)]
    job = {"experiment_0": {"instructions": rows, "num_wires": num_wires, "shots": 1}}
    return backend.probabilities(backend.validate(job)[0])


def same(found: dict[str, float], expected: dict[str, float]) -> bool:
    """Return whether two distributions agree."""
    return all(abs(found.get(key, 0.0) - expected.get(key, 0.0)) < TOLERANCE for key in found.keys() | expected.keys())


def moments(found: dict[str, float], atoms: int) -> tuple[float, float]:
    """Return <m> and <m^2>."""
    values = [(atoms / 2 - int(level), weight) for level, weight in found.items()]
    return sum(m * p for m, p in values), sum(m * m * p for m, p in values)


@pytest.mark.parametrize("angle", [0.0, 0.7, HALF, math.pi, 5.1, 2 * math.pi])
def test_rabi(angle: float) -> None:
    """A rotation of one atom excites it with probability sin^2(angle / 2)."""
    p = math.sin(angle / 2) ** 2
    for backend in (SingleQudit(), MultiQudit(), Rydberg()):
        assert same(run(backend, [["rlx", [0], [angle]]]), {DARK: 1 - p, BRIGHT: p})


@pytest.mark.parametrize("atoms", [1, 6, 500])
def test_rotated_atoms_are_binomial(atoms: int) -> None:
    """N atoms rotated together are found excited like N independent ones."""
    p = math.sin(0.45) ** 2
    expected = {str(k): math.comb(atoms, k) * p**k * (1 - p) ** (atoms - k) for k in range(atoms + 1)}
    assert same(run(SingleQudit(), [["load", [0], [atoms]], ["rlx", [0], [0.9]]]), expected)


@pytest.mark.parametrize("phase", [0.0, 0.9, math.pi, 6.0])
def test_ramsey(phase: float) -> None:
    """Two half pulses with a phase in between give fringes cos^2(phase / 2)."""
    p = math.cos(phase / 2) ** 2
    rows = [["rlx", [0], [HALF]], ["rlz", [0], [phase]], ["rlx", [0], [HALF]]]
    for backend in (SingleQudit(), MultiQudit(), Rydberg()):
        assert same(run(backend, rows), {DARK: 1 - p, BRIGHT: p})


@pytest.mark.parametrize(("atoms", "chi"), [(11, 0.37), (200, 0.01), (500, 0.002)])
def test_one_axis_twisting(atoms: int, chi: float) -> None:
    """Twisting shortens the mean spin and squeezes it as Kitagawa and Ueda say."""
    half_turn = ["rlx", [0], [HALF]]
    found = run(SingleQudit(), [["load", [0], [atoms]], half_turn, ["rlz2", [0], [chi]], half_turn])
    length = atoms / 2
    mean, square = moments(found, atoms)
    assert mean == pytest.approx(-length * math.cos(chi) ** (atoms - 1), abs=1e-9)
    expected = length / 2 * (length + 0.5 + (length - 0.5) * math.cos(2 * chi) ** (atoms - 2))
    assert square == pytest.approx(expected, rel=1e-10)


def test_a_cat_after_half_a_period() -> None:
    """Twisting an even number of atoms by pi / 2 makes a superposition of all and none."""
    half_turn = ["rlx", [0], [HALF]]
    found = run(SingleQudit(), [["load", [0], [10]], half_turn, ["rlz2", [0], [HALF]], half_turn])
    assert same(found, {"0": 0.5, "10": 0.5})


def test_generalised_rabi() -> None:
    """Drive and detuning together excite an atom with the generalised Rabi formula, at the largest angles too."""
    for omega, delta in ((1.3, 0.8), (5e6 * math.pi, 4.0)):
        rabi = math.hypot(omega, delta)
        p = (omega / rabi * math.sin(rabi / 2)) ** 2
        for found in (
            run(SingleQudit(), [["sq_full", [0], [omega, delta, 0]]]),
            run(Rydberg(), [["rydberg_full", [0, 1, 2, 3, 4], [omega, delta, 0]]]),
        ):
            assert found.get(BRIGHT, 0.0) == pytest.approx(p, abs=1e-8)


def test_the_last_measure_of_one_spin_stands_where_it_stands() -> None:
    """What follows the last measure changes nothing for one spin, and a load starts again."""
    before = [["load", [0], [2]], ["rlx", [0], [0.4]]]
    expected = run(SingleQudit(), before)
    after = [*before, ["measure", [0], []], ["rlx", [0], [1.0]], ["load", [0], [9]]]
    job = {"experiment_0": {"instructions": after, "num_wires": 1, "shots": 1}}
    assert SingleQudit().probabilities(SingleQudit().validate(job)[0]) == expected
    assert run(SingleQudit(), [["load", [0], [7]], ["rlx", [0], [1.0]], *before]) == expected


def test_a_chain_samples_its_final_state() -> None:
    """On a chain gates after a measure count, and the last load of a wire decides wherever it stands."""
    rows = [["measure", [0], []], ["rlx", [0], [math.pi]], ["load", [0], [3]], ["load", [0], [2]]]
    job = {"experiment_0": {"instructions": rows, "num_wires": 1, "shots": 1}}
    assert same(MultiQudit().probabilities(MultiQudit().validate(job)[0]), {"2": 1.0})


@pytest.mark.parametrize("atoms", [1, 4, 100])
def test_exchange_is_enhanced_by_root_n(atoms: int) -> None:
    """One excitation goes over to N atoms sqrt(N) times as fast as to one."""
    rows = [["load", [1], [atoms]], ["rlx", [0], [math.pi]], ["rlxly", [0, 1], [0.3]]]
    p = math.sin(0.3 * math.sqrt(atoms)) ** 2
    assert same(run(MultiQudit(), rows, (0, 1), 2), {"1 0": 1 - p, "0 1": p})


def test_measured_columns_follow_the_measures() -> None:
    """The memory has one column for each measure, in their order, repeated where a wire is measured again."""
    rows = [["rlx", [3], [math.pi]]]
    assert same(run(MultiQudit(), rows, (3, 1, 3), 4), {"1 0 1": 1.0})


def test_controlled_phase() -> None:
    """The blockade of two atoms is a phase on the doubly excited state, a 64th of it at twice the distance."""
    for other, phi in ((1, 1.3), (2, 6.2)):
        phase = phi / other**6
        pulses = [["rlx", [wire], [HALF]] for wire in (0, other)]
        found = run(Rydberg(), [*pulses, ["rydberg_block", [0, 1, 2, 3, 4], [phi]], *pulses], (0, other), other + 1)
        assert found["0 0"] == pytest.approx(abs(1 - np.exp(-1j * phase)) ** 2 / 16, abs=TOLERANCE)


def test_blockade_of_two_atoms() -> None:
    """Strongly interacting atoms share one excitation, sqrt(2) times as fast as one atom."""
    found = run(Rydberg(), [["rydberg_full", [0, 1, 2, 3, 4], [2.0, 0, 1e6]]], (0, 1), 2)
    p = math.cos(math.sqrt(2)) ** 2
    for outcome, expected in {"0 0": p, "0 1": (1 - p) / 2, "1 0": (1 - p) / 2, "1 1": 0.0}.items():
        assert found.get(outcome, 0.0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("atoms", [1, 2, 5, 8])
def test_the_blockade_by_doubling_is_the_sum_over_pairs(atoms: int) -> None:
    """The diagonal of the blockade, and its phases, are those of the sum over all pairs of atoms."""
    states = list(product((0, 1), repeat=atoms))
    energy = np.array([sum(n[i] * n[j] / (j - i) ** 6 for i, j in combinations(range(atoms), 2)) for n in states])
    assert np.abs(blockade(atoms) - energy).max() < 1e-13
    assert np.abs(blockade_phases(atoms, 1.7) - np.exp(-1.7j * energy)).max() < 1e-13


def hop(site: int, angle: float) -> list[Any]:
    """Return a hop between a site and the next."""
    return ["fhop", [2 * site, 2 * site + 1, 2 * site + 2, 2 * site + 3], [angle]]


def load(*modes: int) -> list[Any]:
    """Return loads of these modes."""
    return [["load", [mode], []] for mode in modes]


def test_a_fermion_tunnels() -> None:
    """One fermion on two sites is found on the other with probability sin^2 of the angle."""
    p = math.sin(0.3) ** 2
    assert same(run(Fermions(), [*load(0), hop(0, 0.3)], (0, 2)), {"1 0": 1 - p, "0 1": p})


def test_fermions_do_not_bunch() -> None:
    """Two equal fermions leave a balanced beam splitter one on each side (Hong-Ou-Mandel)."""
    assert same(run(Fermions(), [*load(0, 2), hop(0, math.pi / 4)], (0, 2)), {"1 1": 1.0})


def test_slater_determinants() -> None:
    """Without interaction a configuration has the probability |determinant of the one-particle matrix|^2."""
    angles = [(0, 0.5), (1, 1.1), (2, 0.8), (0, 0.9), (1, 0.3), (2, 1.3)]
    unitary = np.eye(4, dtype=complex)
    for site, angle in angles:
        step = np.eye(4, dtype=complex)
        step[site : site + 2, site : site + 2] = [
            [math.cos(angle), -1j * math.sin(angle)],
            [-1j * math.sin(angle), math.cos(angle)],
        ]
        unitary = step @ unitary
    found = run(Fermions(), [*load(0, 2), *(hop(*pair) for pair in angles)], (0, 2, 4, 6))
    expected = {
        " ".join(str(int(site in out)) for site in range(4)): abs(np.linalg.det(unitary[np.ix_(out, (0, 1))])) ** 2
        for out in combinations(range(4), 2)
    }
    assert same(found, expected)


def test_hubbard_dimer() -> None:
    """Two fermions of opposite spin on two sites interact only where they meet."""
    angle, strength = 0.6, 1.7
    one = np.array([[math.cos(angle), -1j * math.sin(angle)], [-1j * math.sin(angle), math.cos(angle)]])
    meet = np.diag(np.exp(-1j * strength * np.array([1, 0, 0, 1])))
    amplitudes = (np.kron(one, one) @ meet @ np.kron(one, one))[:, 0]
    rows = [*load(0, 1), hop(0, angle), ["fint", list(range(8)), [strength]], hop(0, angle)]
    names = ["1 1 0 0", "1 0 0 1", "0 1 1 0", "0 0 1 1"]
    assert same(run(Fermions(), rows, (0, 1, 2, 3)), dict(zip(names, np.abs(amplitudes) ** 2, strict=True)))


@pytest.mark.parametrize(
    "rows",
    [
        [*load(0), hop(0, 0.5), *load(2)],
        [*load(0), hop(0, 0.5), *load(0)],
        [*load(1, 3), hop(0, 0.5), *load(3)],
        [*load(0), hop(0, HALF), *load(2)],
    ],
)
def test_a_load_into_a_mode_that_may_be_occupied_is_refused(rows: list[Any]) -> None:
    """A load that meets a particle with some probability is refused, and the load is named."""
    with pytest.raises(JobRejected) as caught:
        run(Fermions(), rows)
    (fault,) = caught.value.faults
    assert (fault.instruction, fault.name, fault.field) == (len(rows) - 1, "load", "wires[0]")


def test_a_load_into_a_mode_that_was_emptied_is_allowed() -> None:
    """A mode that a full transfer has emptied can be loaded again."""
    assert same(run(Fermions(), [*load(0), hop(0, HALF), *load(0)], (0, 2)), {"1 1": 1.0})


# From here on: random circuits against one matrix exponential per gate on the whole space.


def spin_operators(atoms: int) -> tuple[Any, Any, Any]:
    """Return Lx, Lz and L+ of N atoms."""
    k = np.arange(1, atoms + 1)
    raising = np.diag(np.sqrt(k * (atoms - k + 1.0)), 1)
    return (raising + raising.T) / 2, np.diag(atoms / 2 - np.arange(atoms + 1.0)), raising


def placed(matrix: Any, wire: int, dims: Sequence[int]) -> Any:
    """Return the matrix of one wire on the whole space."""
    return reduce(np.kron, [matrix if place == wire else np.eye(levels) for place, levels in enumerate(dims)])


def distribution(state: Any, dims: Sequence[int], measured: Sequence[int]) -> dict[str, float]:
    """Return the distribution of memory strings of a state."""
    weights: dict[str, float] = {}
    for index, amplitude in zip(product(*map(range, dims)), state, strict=True):
        key = " ".join(str(index[wire]) for wire in measured)
        weights[key] = weights.get(key, 0.0) + abs(amplitude) ** 2
    return weights


def evolved(hamiltonians: Sequence[Any], size: int) -> Any:
    """Return level 0 after one exponential for each Hamiltonian."""
    state = np.zeros(size, dtype=complex)
    state[0] = 1
    return reduce(lambda psi, h: scipy.linalg.expm(-1j * h) @ psi, hamiltonians, state)


def spin_circuit(dims: Sequence[int], random: np.random.Generator) -> tuple[list[Any], list[Any]]:
    """Return random gates on a chain, and the Hamiltonian of each."""
    wires, rows, hamiltonians = len(dims), [], []
    operators = [
        [placed(matrix, wire, dims) for matrix in spin_operators(levels - 1)] for wire, levels in enumerate(dims)
    ]
    xy = [operators[i][2] @ operators[i + 1][2].T for i in range(wires - 1)]
    xy = [pair + pair.T for pair in xy]
    zz = [operators[i][1] @ operators[i + 1][1] for i in range(wires - 1)]
    for _ in range(12):
        wire, angle = int(random.integers(wires)), float(random.uniform(0, 3))
        x, z, _ = operators[wire]
        bond = min(wire, wires - 2)
        full = [float(value) for value in random.uniform(0, 1, 5)]
        whole = sum(full[0] * x + full[1] * z + full[2] * z @ z for x, z, _ in operators)
        whole = whole + sum((full[3] * a + full[4] * b for a, b in zip(xy, zz, strict=True)), np.zeros_like(x))
        everything, pair = list(range(wires)), [bond, bond + 1]
        choices = [
            ("rlx", [wire], [angle], angle * x),
            ("rlz", [wire], [angle], angle * z),
            ("rlz2", [wire], [angle], angle * z @ z),
        ]
        if wires > 1:
            choices += [
                ("rlxly", pair, [angle], angle * xy[bond]),
                ("rlzlz", pair, [angle], angle * zz[bond]),
                ("rlxly", everything, [angle], angle * sum(xy)),
                ("rlzlz", everything, [angle], angle * sum(zz)),
                ("multiqudit_full", everything, full, whole),
            ]
        name, on, params, matrix = choices[int(random.integers(len(choices)))]
        rows.append([name, on, params])
        hamiltonians.append(matrix)
    return rows, hamiltonians


@pytest.fixture(params=["matrices", "polynomials and shifts"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a test with the ways of small systems, and with those of large ones forced on small ones."""
    if request.param != "matrices":
        monkeypatch.setattr(hamiltonian, "MIN_DENSE", 1)
        monkeypatch.setattr(hamiltonian, "MAX_DENSE", 1)
        monkeypatch.setattr(hamiltonian, "WINDOW", 5)
        monkeypatch.setattr(chain, "SMALL", 1)
        monkeypatch.setattr(chain, "BLOCK", 1)
        monkeypatch.setattr(chain, "KEEP_BLOCKS", 0)
        monkeypatch.setattr(sectors, "SMALL", 0)
        monkeypatch.setattr(sectors, "CHUNK_BYTES", 200)
    yield request.param
    chain.exchange_matrix.cache_clear()


@pytest.mark.parametrize("dims", [(2,), (30,), (2, 2), (3, 12), (7, 2, 3), (2, 3, 2, 3), (2, 2, 2, 2, 2)])
def test_spin_chains_agree_with_matrix_exponentials(dims: tuple[int, ...], method: str) -> None:
    """Random circuits on chains of spins give what a matrix exponential for each gate gives."""
    random = np.random.default_rng(len(dims) * 100 + dims[0])
    rows, hamiltonians = spin_circuit(dims, random)
    loads = [["load", [wire], [levels - 1]] for wire, levels in enumerate(dims)]
    measured = [int(wire) for wire in random.permutation(len(dims))]
    expected = distribution(evolved(hamiltonians, math.prod(dims)), dims, measured)
    found = run(
        MultiQudit(num_wires=max(2, len(dims)), limits=Limits(max_cost=1e12)), [*loads, *rows], measured, len(dims)
    )
    assert same(found, expected)


@pytest.mark.parametrize("atoms", [1, 3, 5])
def test_rydberg_chains_agree_with_matrix_exponentials(atoms: int, method: str) -> None:
    """Random circuits on Rydberg atoms give what a matrix exponential for each gate gives."""
    random = np.random.default_rng(atoms)
    dims = (2,) * atoms
    operators = [[placed(matrix, wire, dims) for matrix in spin_operators(1)] for wire in range(atoms)]
    excited = [np.eye(2**atoms) / 2 - z for _, z, _ in operators]
    pairs = combinations(range(atoms), 2)
    potential = sum((excited[i] @ excited[j] / (j - i) ** 6 for i, j in pairs), np.zeros((2**atoms, 2**atoms)))
    rows, hamiltonians = [], []
    for _ in range(4):
        for wire, (x, z, _) in enumerate(operators):
            a, b = (float(value) for value in random.uniform(0, 6, 2))
            rows += [["rlx", [wire], [a]], ["rlz", [wire], [b]]]
            hamiltonians += [a * x, b * z]
        omega, delta, phi = (float(value) for value in random.uniform(0, 4, 3))
        rows += [["rydberg_block", [0, 1, 2, 3, 4], [phi]], ["rydberg_full", [0, 1, 2, 3, 4], [omega, delta, phi]]]
        drive = sum(omega * x + delta * z for x, z, _ in operators)
        hamiltonians += [phi * potential, drive + phi * potential]
    measured = list(range(atoms))
    assert same(run(Rydberg(), rows, measured, atoms), distribution(evolved(hamiltonians, 2**atoms), dims, measured))


def annihilators(modes: int) -> list[Any]:
    """Return the annihilation operators of all modes, with their Jordan-Wigner strings."""
    sign, lower = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [0.0, 0.0]])
    return [
        reduce(np.kron, [sign if k < m else lower if k == m else np.eye(2) for k in range(modes)]) for m in range(modes)
    ]


@pytest.mark.parametrize(("sites", "seed"), [(2, 0), (3, 1), (3, 2), (3, 3)])
def test_fermions_agree_with_jordan_wigner(sites: int, seed: int, method: str) -> None:
    """Random circuits of fermions, loads in between included, give what Jordan-Wigner matrices give."""
    random = np.random.default_rng(seed)
    modes = 2 * sites
    lower = annihilators(modes)
    number = [operator.T @ operator for operator in lower]
    hops = [lower[2 * s].T @ lower[2 * s + 2] + lower[2 * s + 1].T @ lower[2 * s + 3] for s in range(sites - 1)]
    hops = [matrix + matrix.T for matrix in hops]
    state = np.zeros(2**modes, dtype=complex)
    state[0] = 1
    rows: list[Any] = []
    every = list(range(modes))
    gates: list[Callable[[int], tuple[str, list[int], Any]]] = [
        lambda s: ("fhop", list(range(2 * s, 2 * s + 4)), hops[s]),
        lambda s: ("fhop", every, sum(hops)),
        lambda s: ("fint", every, sum(number[2 * i] @ number[2 * i + 1] for i in range(sites))),
        lambda s: ("fphase", [2 * s, 2 * s + 1], number[2 * s] + number[2 * s + 1]),
        lambda s: ("fphase", every, sum(number)),
    ]
    for _ in range(14):
        mode, angle = int(random.integers(modes)), float(random.uniform(0, 6))
        loaded = lower[mode].T @ state
        if random.random() < 0.4 and abs(np.linalg.norm(loaded) - 1) < 1e-9:
            state = loaded
            rows.append(["load", [mode], []])
            continue
        name, wires, matrix = gates[int(random.integers(len(gates)))](int(random.integers(sites - 1)))
        state = scipy.linalg.expm(-1j * angle * matrix) @ state
        rows.append([name, wires, [angle]])
    measured = [int(m) for m in random.permutation(modes)[: modes - 1]]
    assert same(run(Fermions(sites), rows, measured, modes), distribution(state, (2,) * modes, measured))


def test_a_load_between_sites_counts_the_fermions_before_it() -> None:
    """A fermion put between two sites that share another one has the sign of Jordan and Wigner."""
    lower = annihilators(6)
    steps = [(0, math.pi / 4), (1, HALF), (-1, 0.0), (0, 0.7), (1, 0.5), (0, 0.9)]
    state, rows = lower[0].T @ np.eye(64)[0], load(0)
    for site, angle in steps:
        if site < 0:
            state, rows = lower[2].T @ state, [*rows, *load(2)]
            continue
        matrix = sum(lower[2 * site + s].T @ lower[2 * site + 2 + s] for s in (0, 1))
        state, rows = scipy.linalg.expm(-1j * angle * (matrix + matrix.T)) @ state, [*rows, hop(site, angle)]
    assert same(run(Fermions(3), rows, range(6), 6), distribution(state, (2,) * 6, range(6)))


def test_a_hop_over_a_site_counts_the_fermions_between() -> None:
    """The hop between distant sites has the sign of the fermions it passes."""
    lower = annihilators(6)
    hops = [(0, 2, 0.8), (1, 2, 0.6), (0, 1, 0.7), (2, 0, 0.4)]
    state = lower[2].T @ lower[0].T @ np.eye(64)[0]
    found = sectors.SectorState(3)
    found.load(0, down=False)
    found.load(1, down=False)
    for a, b, angle in hops:
        matrix = sum(lower[2 * a + s].T @ lower[2 * b + s] for s in (0, 1))
        phase = np.exp(-0.9j * np.diag(lower[2].T @ lower[2]))
        state = phase * (scipy.linalg.expm(-1j * angle * (matrix + matrix.T)) @ state)
        found.hop(a, b, angle)
        found.phase(0.9, [1], [])
    assert same(found.readout(range(6)).distribution(), distribution(state, (2,) * 6, range(6)))


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.9, 3.0, math.pi, 4.5, 6.2])
def test_large_spins_turn_by_polynomials(angle: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of large spins gives the same state as the eigenvectors of Lx."""
    random = np.random.default_rng(1)
    state = random.normal(size=(2, 122, 3)) + 1j * random.normal(size=(2, 122, 3))
    expected = spin.rotate(state, 121, angle)
    monkeypatch.setattr(spin, "DENSE_ATOMS", 1)
    assert np.abs(spin.rotate(state, 121, angle) - expected).max() < 1e-11


def test_large_spins_evolve_by_polynomials() -> None:
    """sq_full of a large spin gives the same state by polynomials as by eigenvectors."""
    state = np.ones((1, 301, 1), dtype=complex) / math.sqrt(301)
    diagonal, off_diagonal = 0.3 * spin.lz(300) + 0.001 * spin.lz(300) ** 2, 0.4 * spin.ladder(300)
    expected = spin.evolve_tridiagonal(state, diagonal, off_diagonal)
    assert np.abs(spin.evolve_polynomials(state, diagonal, off_diagonal) - expected).max() < 1e-12


def test_a_state_that_is_not_normalised_is_an_error() -> None:
    """Probabilities that do not add up to 1 are never sampled."""
    experiment = Experiment(
        name="experiment_0",
        instructions=(Instruction(name="measure", wires=(0,), params=()),),
        num_wires=1,
        shots=1,
    )

    class Leaking(MultiQudit):
        def read(self, experiment: Experiment) -> Any:
            return Readout.of_wires(np.array([0.5, 0.49]), [2], [0])

    with pytest.raises(ArithmeticError, match=r"0\.99"):
        Leaking().probabilities(experiment)
