"""What cold atoms do, by the formulas of textbooks."""

import math
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

from models.documents import Experiment, Instruction
from models.errors import JobRejected
from tasks.backends.coldatoms.fermions import Fermions
from tasks.backends.coldatoms.multiqudit import MultiQudit
from tasks.backends.coldatoms.rydberg import Rydberg, blockade, blockade_phases
from tasks.backends.coldatoms.sampling import Readout
from tasks.backends.coldatoms.singlequdit import SingleQudit
from tests.unit.coldatoms_jobs import HALF, TOLERANCE, hop, load, run, same

BRIGHT, DARK = "1", "0"


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
