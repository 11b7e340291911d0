import math
from typing import Any

import pytest

from models.errors import Fault, JobRejected
from tasks.backends.coldatoms import hamiltonian
from tasks.backends.coldatoms.backend import ColdAtomBackend
from tasks.backends.coldatoms.fermions import Fermions
from tasks.backends.coldatoms.hamiltonian import ChainHamiltonian, chain_diagonal, off_diagonal_reach
from tasks.backends.coldatoms.multiqudit import MultiQudit
from tasks.backends.coldatoms.rydberg import Rydberg
from tasks.backends.coldatoms.singlequdit import SingleQudit
from tasks.backends.cost import Limits, number

LARGEST = 5e6 * math.pi
FIVE = [0, 1, 2, 3, 4]


def job(*instructions: Any, num_wires: int = 1, shots: int = 10, experiments: int = 1) -> dict[str, Any]:
    """Return a job with a measure of wire 0."""
    one = {"instructions": [*instructions, ["measure", [0], []]], "num_wires": num_wires, "shots": shots}
    return {f"experiment_{index}": one for index in range(experiments)}


def refused(backend: ColdAtomBackend, document: Any) -> Fault:
    """Return the one fault of a job that is too dear."""
    with pytest.raises(JobRejected) as caught:
        backend.validate(document)
    (fault,) = caught.value.faults
    assert fault.code == "cost"
    return fault


def loads(*atoms: int) -> list[Any]:
    """Return a load of each wire."""
    return [["load", [wire], [count]] for wire, count in enumerate(atoms)]


@pytest.mark.parametrize(
    ("backend", "document"),
    [
        (SingleQudit(), job(["load", [0], [500]], ["sq_full", [0], [LARGEST] * 3], ["rlz2", [0], [20 * math.pi]])),
        (MultiQudit(), job(["multiqudit_full", FIVE, [LARGEST] * 5], num_wires=5)),
        (Rydberg(), job(["rydberg_full", FIVE, [LARGEST] * 3], num_wires=5)),
        (MultiQudit(), job(*loads(4, 4, 4, 8, 8), ["multiqudit_full", FIVE, [1.0] * 5], num_wires=5)),
        (MultiQudit(), job(*loads(63, 63), ["rlxly", [0, 1], [20 * math.pi]], num_wires=2)),
        (MultiQudit(), job(*[["measure", [wire], []] for wire in FIVE], num_wires=5, shots=1_000_000)),
        (SingleQudit(), job(["rlx", [0], [1.0]], shots=1000, experiments=1000)),
        (Fermions(), job(*[["fint", list(range(8)), [1.0]]] * 10_000)),
    ],
)
def test_what_takes_about_a_second_passes(backend: ColdAtomBackend, document: Any) -> None:
    """A job that the published sizes are made for is let through, with the largest legal angles too."""
    assert backend.validate(document)


@pytest.mark.parametrize(
    ("backend", "document", "place"),
    [
        (MultiQudit(), job(*loads(4, 4, 4, 8, 8), ["multiqudit_full", FIVE, [LARGEST] * 5], num_wires=5), 5),
        (
            MultiQudit(),
            job(
                *loads(200, 200, 9),
                ["rlx", [0], [1.0]],
                ["rlxly", FIVE[:2], [60.0]],
                ["multiqudit_full", [0, 1, 2], [50.0] * 5],
                num_wires=3,
            ),
            5,
        ),
        (SingleQudit(), job(["load", [0], [500]], *[["sq_full", [0], [1.0] * 3]] * 5000), 1),
        (Rydberg(18), job(["rlx", [0], [1.0]], ["rydberg_full", list(range(18)), [1e4, 0, 0]], num_wires=18), 1),
    ],
)
def test_what_takes_hours_is_refused(backend: ColdAtomBackend, document: Any, place: int) -> None:
    """A job that would run for minutes to years is refused at its dearest instruction, with both numbers."""
    fault = refused(backend, document)
    assert (fault.experiment, fault.instruction) == ("experiment_0", place)
    assert "amplitude updates" in fault.message
    assert number(backend.limits.max_cost) in fault.message


def test_repeated_loads_do_not_hide_the_dimension() -> None:
    """The state of the last loads counts, not the number of loads, and too many amplitudes are refused."""
    document = job(*loads(500, 500), *[["load", [4], [1]]] * 50, num_wires=5)
    assert "2,008,008 amplitudes" in refused(MultiQudit(), document).message
    assert MultiQudit().validate(job(*loads(500, 500), ["load", [0], [3]], num_wires=2))


def test_a_result_that_is_too_large_is_refused() -> None:
    """A thousand experiments of a million shots are refused for the size of their result."""
    fault = refused(MultiQudit(), job(num_wires=5, shots=1_000_000, experiments=1000))
    assert fault.field == "shots"
    assert "268 MB" in fault.message


def test_many_measures_count_for_the_size_of_the_result() -> None:
    """Long memory strings make a result too large with fewer shots."""
    refused(MultiQudit(), job(*[["measure", [0], []]] * 1000, shots=1_000_000))


def test_experiments_are_added_up() -> None:
    """Experiments that pass alone are refused together, with the advice to split the job."""
    one = ["sq_full", [0], [1.0, 1.0, 1.0]]
    assert SingleQudit().validate(job(["load", [0], [500]], *[one] * 100))
    assert "split" in refused(SingleQudit(), job(["load", [0], [500]], *[one] * 100, experiments=100)).message


def test_too_many_small_gates_are_refused_as_such() -> None:
    """Where no gate is dear by itself, the number of gates is what is refused."""
    fault = refused(SingleQudit(limits=Limits(max_cost=1e6)), job(*[["rlx", [0], [1.0]]] * 100))
    assert (fault.instruction, fault.field) == (None, "instructions")
    assert "101 instructions" in fault.message


def test_every_experiment_that_is_too_dear_is_named() -> None:
    """Each experiment that exceeds a limit alone has its own fault."""
    document = job(*loads(500, 500, 9), num_wires=3, experiments=3)
    with pytest.raises(JobRejected) as caught:
        MultiQudit().validate(document)
    assert [fault.experiment for fault in caught.value.faults] == ["experiment_0", "experiment_1", "experiment_2"]


def test_the_limits_are_the_backends() -> None:
    """A backend with other limits refuses and accepts other jobs."""
    document = job(["rlx", [0], [1.0]])
    assert SingleQudit().validate(document)
    refused(SingleQudit(limits=Limits(max_cost=10.0)), document)
    refused(SingleQudit(limits=Limits(max_dimension=1)), document)
    refused(SingleQudit(limits=Limits(max_result_bytes=10)), document)


def test_what_is_not_computed_costs_no_gate() -> None:
    """Gates of one spin before its last load and after its last measure are not counted with their size."""
    spin = ["load", [0], [500]], ["sq_full", [0], [1.0] * 3]
    dear = SingleQudit().validate(job(*spin))
    cheap = SingleQudit().validate(job(*spin, ["load", [0], [1]]))
    assert SingleQudit().predicted_cost(cheap) < SingleQudit().predicted_cost(dear) / 10


def test_the_cost_grows_with_the_parameter_where_the_time_does() -> None:
    """The polynomials of a large chain grow with the parameter; eigenvectors of a small one do not."""

    def cost(backend: ColdAtomBackend, atoms: list[int], strength: float) -> float:
        document = job(*loads(*atoms), ["multiqudit_full", FIVE, [strength] * 5], num_wires=5)
        return backend.predicted_cost(backend.validate(document))

    assert cost(MultiQudit(), [4, 4, 4, 8, 8], 20.0) > 5 * cost(MultiQudit(), [4, 4, 4, 8, 8], 2.0)
    assert cost(MultiQudit(), [1, 1, 1, 1, 1], 1e7) == cost(MultiQudit(), [1, 1, 1, 1, 1], 1.0)


def test_the_prediction_bounds_the_spectrum() -> None:
    """The reach that the prediction uses is not below the largest eigenvalue of the terms."""
    for dims in ((2, 2, 2), (2, 5), (4, 4), (3, 2, 4)):
        matrix = ChainHamiltonian(dims, chain_diagonal(dims, 0.0), 0.7, 1.3)
        rows = matrix.apply(hamiltonian.np.eye(matrix.size))
        assert hamiltonian.np.linalg.eigvalsh(rows).max() <= off_diagonal_reach(dims, 0.7, 1.3) + 1e-12


@pytest.mark.parametrize(
    ("value", "text"), [(10_125, "10,125"), (3.14e12, "3.1e+12"), (math.inf, "more than 1e300"), (0, "0")]
)
def test_numbers_are_written_for_physicists(value: float, text: str) -> None:
    """Small counts are written out, large ones with two digits and a power."""
    assert number(value) == text
