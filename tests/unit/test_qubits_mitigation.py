from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import JobRejected
from tasks.backends.qubits import mitigation
from tasks.backends.qubits.device import DEFAULT, readout
from tasks.backends.qubits.mitigation import Method, Real, mitigate, nearest_distribution

METHODS: tuple[Method, ...] = ("pseudo_inverse", "least_square")
LINE = readout(DEFAULT)

probabilities = st.floats(0, 1)
matrices = st.builds(lambda up, down: [[1 - up, down], [up, 1 - down]], probabilities, probabilities)


def whole(layout: Sequence[int], readouts: Real = LINE) -> Any:
    """Return the readout matrix of all bits, bit 0 least significant."""
    return reduce(np.kron, [readouts[qubit] for qubit in reversed(layout)])


def counted(shares: Real, shots: int) -> dict[str, int]:
    """Return a vector of shares as counts."""
    bits = len(shares).bit_length() - 1
    return {format(place, f"0{bits}b"): int(share) for place, share in enumerate(shares) if share > 0}


def read_ghz(bits: int, layout: Sequence[int], shots: int, seed: int) -> dict[str, int]:
    """Return the counts of a GHZ state, each qubit misread as its physical qubit is."""
    random = np.random.default_rng(seed)
    true = np.repeat(random.integers(0, 2, shots)[:, None], bits, axis=1)
    seen = random.random((shots, bits)) < LINE[np.array(layout), 1, true]
    codes, counts = np.unique(seen @ (1 << np.arange(bits)), return_counts=True)
    return {format(code, f"0{bits}b"): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}


def distance(counts: dict[str, Any], bits: int, shots: int) -> float:
    """Return the total-variation distance from the GHZ state."""
    ghz = {"0" * bits: 0.5, "1" * bits: 0.5}
    return 0.5 * sum(abs(counts.get(key, 0) / shots - ghz.get(key, 0)) for key in counts.keys() | ghz.keys())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bits", range(2, 13))
def test_ghz_with_reversed_layout(bits: int, method: Method):
    """Of 50 GHZ states with a reversed layout none gets worse; at twelve qubits each gets ten times better."""
    layout = list(range(bits))[::-1]
    for seed in range(50):
        counts = read_ghz(bits, layout, 10_000, seed)
        before = distance(counts, bits, 10_000)
        after = distance(mitigate(counts, layout, LINE, method), bits, 10_000)
        assert after < before
        assert bits < 12 or after < before / 10


def test_the_layout_matters():
    """With the layout the other way round the same counts are mitigated wrongly: bits belong to physical qubits."""
    layout = list(range(12))[::-1]
    counts = read_ghz(12, layout, 100_000, 1)
    right, wrong = (mitigate(counts, order, LINE, "pseudo_inverse") for order in (layout, layout[::-1]))
    assert distance(right, 12, 100_000) < distance(wrong, 12, 100_000) / 5


@pytest.mark.parametrize("method", METHODS)
def test_exact_counts_give_the_exact_distribution(method: Method):
    """If the counts are what the readout makes of a distribution, the distribution comes back."""
    true = np.array([0.4, 0.1, 0, 0.2, 0, 0, 0.3, 0])
    shots = 10**12
    counts = counted(np.round(whole([5, 1, 4]) @ true * shots), shots)
    found = mitigate(counts, [5, 1, 4], LINE, method)
    assert [found.get(format(place, "03b"), 0) / sum(counts.values()) for place in range(8)] == pytest.approx(
        true, abs=1e-6
    )


@settings(deadline=None)
@given(st.lists(matrices, min_size=1, max_size=5), st.data())
def test_pseudo_inverse_is_the_nearest_distribution_to_the_inverse(readouts: Any, data: st.DataObject):
    """The result is the projection of the inverse, computed densely, on the distributions."""
    readouts = np.array([matrix for matrix in readouts if abs(np.linalg.det(matrix)) > 0.05] or [np.eye(2)])
    bits = len(readouts)
    counts = np.array(data.draw(st.lists(st.integers(0, 1000), min_size=2**bits, max_size=2**bits)), dtype=float)
    counts[0] += 1
    found = mitigate(counted(counts, 0), range(bits), readouts, "pseudo_inverse")
    quasi = np.linalg.solve(whole(range(bits), readouts), counts / counts.sum())
    down = np.sort(quasi)[::-1]
    shifts = (np.cumsum(down) - 1) / np.arange(1, len(down) + 1)
    expected = np.maximum(quasi - shifts[down > shifts][-1], 0)
    shares = [found.get(format(place, f"0{bits}b"), 0) / counts.sum() for place in range(2**bits)]
    assert shares == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.lists(matrices, min_size=1, max_size=4), st.data())
def test_least_square_is_a_minimum(readouts: Any, data: st.DataObject):
    """No outcome could be more or less probable and the squares be smaller (the conditions of Karush, Kuhn, Tucker)."""
    readouts = np.array([matrix for matrix in readouts if abs(np.linalg.det(matrix)) > 0.2] or [np.eye(2)])
    bits = len(readouts)
    counts = np.array(data.draw(st.lists(st.integers(0, 1000), min_size=2**bits, max_size=2**bits)), dtype=float)
    counts[0] += 1
    found = mitigate(counted(counts, 0), range(bits), readouts, "least_square")
    shares = np.array([found.get(format(place, f"0{bits}b"), 0) / counts.sum() for place in range(2**bits)])
    matrix = whole(range(bits), readouts)
    gradient = matrix.T @ (matrix @ shares - counts / counts.sum())
    assert gradient @ shares - gradient.min() < 1e-4  # how much smaller the half square could get at most


@settings(deadline=None)
@given(
    st.lists(matrices, min_size=1, max_size=4).map(np.array),
    st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=6),
    st.data(),
    st.sampled_from(METHODS),
)
def test_any_readout_gives_a_distribution(
    readouts: Real, layout: list[int | None], data: st.DataObject, method: Method
):
    """Nothing is negative, the shots are the sum, and bits that were never read stay 0, whatever the readout is."""
    layout = [None if qubit is None or qubit >= len(readouts) else qubit for qubit in layout]
    key = st.tuples(*(st.just("0") if qubit is None else st.sampled_from("01") for qubit in reversed(layout))).map(
        "".join
    )
    counts = data.draw(st.dictionaries(key, st.integers(1, 10**6), min_size=1))
    found = mitigate(counts, layout, readouts, method)
    assert sum(found.values()) == pytest.approx(sum(counts.values()))
    assert min(found.values()) >= 0
    for bits in found:
        assert len(bits) == len(layout)
        assert all(bits[-1 - place] == "0" for place, qubit in enumerate(layout) if qubit is None)


@pytest.mark.parametrize("method", METHODS)
def test_perfect_readout_changes_nothing(method: Method):
    """Without readout errors the mitigated counts are the counts."""
    counts = {"010": 7, "111": 3}
    assert mitigate(counts, [0, 1, 2], np.tile(np.eye(2), (3, 1, 1)), method) == pytest.approx(counts)


@pytest.mark.parametrize("method", METHODS)
def test_a_readout_that_says_nothing_leaves_the_bit_as_it_was(method: Method):
    """A qubit that reads 0 and 1 alike is left as read; its neighbour is mitigated all the same."""
    readouts = np.array([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.2], [0.1, 0.8]]])
    found = mitigate({"00": 45, "01": 45, "10": 5, "11": 5}, [0, 1], readouts, method)
    assert found == pytest.approx({"00": 50, "01": 50}, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_readout_that_is_always_wrong_is_turned_round(method: Method):
    """A qubit that always reads the opposite is as good as a perfect one."""
    assert mitigate({"0": 3, "1": 7}, [0], np.array([[[0.0, 1], [1, 0]]]), method) == pytest.approx({"1": 3, "0": 7})


@pytest.mark.parametrize("method", METHODS)
def test_a_qubit_read_twice(method: Method):
    """A qubit that was read into two bits is misread in each of them on its own."""
    single = LINE[4]
    pairs = {
        f"{a}{b}": round(1e6 * (single[a, 0] * single[b, 0] + single[a, 1] * single[b, 1]) / 2)
        for a in (0, 1)
        for b in (0, 1)
    }
    found = mitigate(pairs, [4, 4], LINE, method)
    assert found.get("00", 0) == pytest.approx(5e5, abs=50)
    assert found.get("11", 0) == pytest.approx(5e5, abs=50)


def test_nothing_counted():
    """No counts, or none but zeros, have no mitigated counts."""
    assert mitigate({}, [0], LINE, "pseudo_inverse") == {}
    assert mitigate({"0": 0}, [0], LINE, "least_square") == {}


def test_no_bit_was_read():
    """Where no bit was ever read there is nothing to change."""
    assert mitigate({"000": 9}, [None] * 3, LINE, "least_square") == {"000": 9}


def test_a_string_of_another_length_is_refused():
    """Bit strings and layout belong together."""
    with pytest.raises(ValueError, match="another length"):
        mitigate({"00": 1}, [0], LINE, "pseudo_inverse")


@pytest.mark.parametrize("method", METHODS)
def test_observed_outcomes_only(method: Method, monkeypatch: pytest.MonkeyPatch):
    """Too many outcomes are mitigated only among those observed; if all were observed, the result is the same."""
    counts = {format(place, "03b"): 10 + 17 * place for place in range(8)}
    expected = mitigate(counts, [4, 1, 5], LINE, method)
    monkeypatch.setattr(mitigation, "WHOLE_BITS", 2)
    assert mitigate(counts, [4, 1, 5], LINE, method) == pytest.approx(expected, abs=1e-3)
    few = {"000": 900, "001": 20, "111": 80}
    found = mitigate(few, [4, 1, 5], LINE, method)
    assert found.keys() <= few.keys()
    assert sum(found.values()) == pytest.approx(1000)


def test_too_many_observed_outcomes():
    """More different outcomes than the memory is for are refused with the numbers and a way out."""
    counts = {format(place, "021b"): 1 for place in range(4097)}
    with pytest.raises(JobRejected) as caught:
        mitigate(counts, [0] * 21, LINE, "pseudo_inverse")
    assert "4097 different outcomes" in str(caught.value)
    assert caught.value.faults[0].field == "ro_error_mitigation"


def test_forty_bits():
    """A GHZ state on forty bits comes out better than it was read."""
    layout = [place % 12 for place in range(40)]
    counts = read_ghz(40, layout, 3000, 5)
    assert distance(mitigate(counts, layout, LINE, "pseudo_inverse"), 40, 3000) < distance(counts, 40, 3000)


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30))
def test_nearest_distribution(quasi: list[float]):
    """The nearest distribution is one, and all entries that are left were shifted by the same amount."""
    quasi = np.array(quasi)
    found = nearest_distribution(quasi)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    shift = (quasi - found)[found > 0]
    assert shift == pytest.approx(np.full(len(shift), shift[0]))
    assert (quasi[found == 0] <= shift[0] + 1e-9).all()
