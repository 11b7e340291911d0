"""Outcomes of the laboratory as bits of a circuit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quledger_client.results import ExperimentResult

Bits = NDArray[np.uint8]


def registers_of(circuit: Any) -> list[list[Any]]:
    """Return the classical registers as [name, [place of each bit]]."""
    return [[each.name, [circuit.find_bit(bit).index for bit in each]] for each in circuit.cregs]


def shots_of(found: ExperimentResult, order: Sequence[int | None]) -> Bits:
    """Return the bits of each shot, shape (shots, bits): bit k of the circuit in column k.

    Args:
        order: see `Program.bits`.
    """
    memory = found.memory or [outcome for outcome, count in found.counts().items() for _ in range(count)]
    read = np.frombuffer("".join(memory).encode(), dtype=np.uint8).reshape(len(memory), len(order))[:, ::-1] - ord("0")
    bits = np.zeros((len(memory), sum(place is not None for place in order)), dtype=np.uint8)
    for column, place in enumerate(order):
        if place is not None:
            bits[:, place] = read[:, column]
    return bits


def number_of(outcome: str, order: Sequence[int | None]) -> int:
    """Return an outcome as Qiskit writes it: bit k of the circuit is worth 2**k."""
    return sum(
        1 << place for bit, place in zip(reversed(outcome), order, strict=True) if bit == "1" and place is not None
    )


def counts_of(counts: Mapping[str, int], order: Sequence[int | None]) -> dict[str, int]:
    """Return counts with Qiskit's hexadecimal keys."""
    found: dict[str, int] = {}
    for outcome, count in counts.items():
        key = hex(number_of(outcome, order))
        found[key] = found.get(key, 0) + count
    return found
