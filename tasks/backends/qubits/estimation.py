"""Expectation values: which measurements an operator needs, and what the counts of them say.

An operator is a sum of Pauli products with real coefficients. Products that want the same basis on each qubit they
share (qubit-wise commuting ones) are measured together, as a group. **Each group gets all shots of the job**: `shots`
is the number of runs of one circuit, and an operator of G groups costs G times as many.

The value of a group is the mean, over its shots, of the sum of its terms; its standard error comes from the variance
of that sum between the shots (divided by n - 1), so what the terms have to do with each other is in it. Groups are
independent: their variances add up.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from models.errors import Fault
from models.job_language.coercion import as_float, kind, preview
from tasks.backends.qubits.mitigation import usable

Real = NDArray[np.float64]
Pauli = Literal["X", "Y", "Z"]

MAX_TERMS = 5000
MAX_FACTORS = 1024
MAX_COEFF = 1e100
"""The largest coefficient: the squares of sums of them are finite."""

MAX_FAULTS = 1000

_FACTOR = re.compile(r"\s*([IXYZ])\s*([0-9]{1,9})\s*")
_ROWS = 65536  # outcomes that are looked at together


class Term(NamedTuple):
    """A Pauli product with its coefficient.

    Attributes:
        factors: (qubit, Pauli), by rising qubit; none for the identity.
    """

    factors: tuple[tuple[int, Pauli], ...]
    coeff: float


class Group(NamedTuple):
    """Terms that are measured together.

    Attributes:
        basis: (qubit, Pauli), by rising qubit: what is measured. Bit k of the group's counts (k = 0 is the rightmost
            character) is the outcome of `basis[k]`: 0 for the eigenvalue +1, 1 for -1.
        terms: none needs anything that `basis` lacks; the identity needs nothing.
    """

    basis: tuple[tuple[int, Pauli], ...]
    terms: tuple[Term, ...]

    @property
    def qubits(self) -> tuple[int, ...]:
        """The measured qubits: number k is read into bit k."""
        return tuple(qubit for qubit, _ in self.basis)


def read_operator(value: Any, n_qubits: int | None) -> tuple[tuple[Term, ...], list[Fault]]:
    """Return the terms of an operator such as `[{"pauli": "X 0 Y 1", "coeff": 1.5}]`, and all faults.

    A Pauli product is written `X 0 Y 1` or `X0 Y1`; `I`, with or without a qubit, is the identity.

    Args:
        value: what the job document holds.
        n_qubits: the number of qubits of the program; None if that is not known.
    """
    faults: list[Fault] = []
    if value is None:
        faults.append(Fault(field="operator", message="is missing; an estimation needs an operator"))
    elif not isinstance(value, list):
        faults.append(Fault(field="operator", message=f"is {kind(value)}; it must be a list of terms"))
    elif not value:
        faults.append(Fault(field="operator", message="is empty; it needs at least one term"))
    elif len(value) > MAX_TERMS:
        faults.append(Fault(field="operator", message=f"has {len(value)} terms; at most {MAX_TERMS} are taken"))
    if faults:
        return (), faults
    terms: list[Term] = []
    for place, item in enumerate(value):
        field = f"operator[{place}]"
        if not isinstance(item, dict):
            faults.append(Fault(field=field, message=f"is {kind(item)}; it must be an object with pauli and coeff"))
        else:
            factors, wrong = _factors(item.get("pauli"), n_qubits)
            faults += [Fault(field=f"{field}.pauli", message=message) for message in wrong]
            coeff, fault = _coeff(item.get("coeff"))
            faults += [Fault(field=f"{field}.coeff", message=fault)] if fault else []
            terms.append(Term(factors, coeff))
        if len(faults) >= MAX_FAULTS:
            break
    return tuple(terms), faults[:MAX_FAULTS]


def groups(terms: Iterable[Term]) -> list[Group]:
    """Return the terms in groups of qubit-wise commuting ones.

    The largest coefficient comes first, and each term joins the first group that it fits (sorted insertion). Source:
    O. Crawford et al., Quantum 5, 385 (2021).
    """
    ordered = sorted(terms, key=lambda term: -abs(term.coeff))
    column = {qubit: place for place, qubit in enumerate({qubit for term in ordered for qubit, _ in term.factors})}
    bases = np.zeros((len(ordered), len(column)), dtype=np.uint8)  # of each group; 0 where it measures nothing yet
    members: list[list[Term]] = []
    for term in ordered:
        columns = [column[qubit] for qubit, _ in term.factors]
        wanted = np.array([ord(pauli) for _, pauli in term.factors], dtype=np.uint8)
        there = bases[: len(members), columns]
        fits = ((there == 0) | (there == wanted)).all(axis=1)
        place = int(fits.argmax()) if fits.any() else len(members)
        if place == len(members):
            members.append([])
        bases[place, columns] = wanted
        members[place].append(term)
    return [
        Group(tuple(sorted({factor for term in found for factor in term.factors})), tuple(found)) for found in members
    ]


def value_and_std(
    found: Sequence[Group],
    counts: Sequence[Mapping[str, int]],
    readouts: Sequence[Real] | None = None,
) -> tuple[float, float]:
    """Return the expectation value and its standard error.

    With readout matrices, each bit counts by the weights (1 + p10 - p01) / d for 0 and -(1 - p10 + p01) / d for 1,
    d = 1 - p10 - p01, p10 = P(1|0), p01 = P(0|1), in place of +1 and -1. The mean of that is the value before the
    readout, without bias, and the standard error stays that of a mean. The price is the variance of a term: it grows
    up to the product over its qubits of ((1 + |p10 - p01|) / d)^2. A qubit whose readout says nothing (see
    `mitigation.usable`) counts as it was read.

    From a single shot nothing is known of the variance; then the largest that there can be is taken.

    Args:
        found: the groups.
        counts: for each group bit string -> shots, at least one shot; bit k is the outcome of `basis[k]`.
        readouts: for each group the matrices of the physical qubits that were read into the bits, bit 0 first, shape
            (bits, 2, 2), [k][measured, prepared]; None for what was read.
    """
    value = variance = 0.0
    for place, (group, seen) in enumerate(zip(found, counts, strict=True)):
        weights = _weights(None if readouts is None else readouts[place], len(group.basis))
        often = np.fromiter(seen.values(), dtype=np.float64, count=len(seen))
        sums = _sums(group, list(seen), weights)
        shots = float(often.sum())
        mean = float(often @ sums) / shots
        value += mean
        if shots > 1:
            variance += float(often @ (sums - mean) ** 2) / (shots - 1) / shots
        else:
            variance += _largest(group, weights) ** 2
    return value, variance**0.5


def mitigated_value(found: Sequence[Group], mitigated: Sequence[Mapping[str, float]]) -> float:
    """Return the expectation value in mitigated counts (see `mitigation.mitigate`).

    Where these are distributions, the value is no mean over shots any more: it lies within what is physical, which
    biases it towards the middle. The error that `value_and_std` gives with readout matrices is the one to state.
    """
    value = 0.0
    for group, seen in zip(found, mitigated, strict=True):
        often = np.fromiter(seen.values(), dtype=np.float64, count=len(seen))
        value += float(often @ _sums(group, list(seen), _weights(None, len(group.basis)))) / float(often.sum())
    return value


def _weights(matrices: Real | None, bits: int) -> Real:
    """Return what each bit counts for 0 and for 1, shape (bits, 2)."""
    weights = np.tile([1.0, -1.0], (bits, 1))
    if matrices is not None:
        for bit, matrix in enumerate(matrices):
            if usable(matrix):
                weights[bit] = np.linalg.solve(matrix.T, [1.0, -1.0])
    return weights


def _sums(group: Group, outcomes: Sequence[str], weights: Real) -> Real:
    """Return the sum of the group's terms for each outcome."""
    place = {qubit: bit for bit, qubit in enumerate(group.qubits)}
    columns = [([place[qubit] for qubit, _ in term.factors], term.coeff) for term in group.terms if term.factors]
    bits = len(place)
    sums = np.full(len(outcomes), sum(term.coeff for term in group.terms if not term.factors), dtype=np.float64)
    if not bits:
        return sums
    for begin in range(0, len(outcomes), _ROWS):
        some = outcomes[begin : begin + _ROWS]
        digits = np.frombuffer("".join(some).encode("ascii"), dtype=np.uint8).reshape(len(some), bits)[:, ::-1] & 1
        values = np.ascontiguousarray(weights[np.arange(bits)[:, None], digits.T])
        for factors, coeff in columns:
            sums[begin : begin + len(some)] += coeff * values[factors].prod(axis=0)
    return sums


def _largest(group: Group, weights: Real) -> float:
    """Return the largest standard deviation that the sum of the terms can have."""
    place = {qubit: bit for bit, qubit in enumerate(group.qubits)}
    most = np.abs(weights).max(axis=1, initial=0.0)
    return sum(
        abs(term.coeff) * float(np.prod([most[place[qubit]] for qubit, _ in term.factors]))
        for term in group.terms
        if term.factors
    )


def _factors(text: Any, n_qubits: int | None) -> tuple[tuple[tuple[int, Pauli], ...], list[str]]:
    """Return the factors of a Pauli product without the identities, and what is wrong with it."""
    right = "it must be such as 'X 0 Y 1'"
    if not isinstance(text, str):
        return (), [f"is missing; {right}" if text is None else f"is {kind(text)}; {right}"]
    if text.strip() == "I":
        return (), []
    factors: dict[int, Pauli] = {}
    faults: list[str] = []
    named: set[int] = set()
    end = 0
    while match := _FACTOR.match(text, end):
        end, letter, qubit = match.end(), match[1], int(match[2])
        if qubit in named:
            faults.append(f"names qubit {qubit} twice")
        if n_qubits is not None and qubit >= n_qubits:
            faults.append(f"names qubit {qubit}; the program has {n_qubits}, numbered from 0")
        named.add(qubit)
        if letter != "I":
            factors[qubit] = cast("Pauli", letter)
        if len(named) > MAX_FACTORS:
            return (), [f"names more than {MAX_FACTORS} qubits"]
    if end < len(text) or not named:
        faults.append(f"got {preview(text)}, which cannot be read from character {end + 1} on; {right}")
    return tuple(sorted(factors.items())), faults


def _coeff(value: Any) -> tuple[float, str | None]:
    """Return the coefficient, and what is wrong with it."""
    found = None if isinstance(value, bool | str) else as_float(value)
    if found is not None and abs(found) <= MAX_COEFF:
        return found, None
    got = "is missing" if value is None else f"got {preview(value)}"
    return 0.0, f"{got}; it must be a real number from {-MAX_COEFF:g} to {MAX_COEFF:g}"
