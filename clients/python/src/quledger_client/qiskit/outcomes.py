"""What experiments have found, as bits of a circuit, and PUB by PUB in the shape of its parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qiskit.primitives import BitArray, DataBin, PubResult, SamplerPubResult

from quledger_client.results import ExperimentResult

Pub = Mapping[str, Any]
Found = Sequence[ExperimentResult]


def registers_of(circuit: Any) -> list[list[Any]]:
    """Return the classical registers as [name, [place of each bit]]."""
    return [[each.name, [circuit.find_bit(bit).index for bit in each]] for each in circuit.cregs]


def shots_of(found: ExperimentResult, order: Sequence[int | None]) -> NDArray[np.uint8]:
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


def sampled(found: Found, pubs: Sequence[Pub]) -> list[SamplerPubResult]:
    """Return the results of a sampler: bits by register."""
    results = []
    for pub, shape, part in _parts(found, pubs):
        bits = [shots_of(each, pub["bits"]) for each in part]
        width = sum(place is not None for place in pub["bits"])
        whole = np.array(bits, dtype=np.uint8).reshape(*shape, pub["shots"], width)
        data = {name: _array(whole[..., places]) for name, places in pub["registers"]}
        metadata = {"shots": pub["shots"], "circuit_metadata": pub["metadata"]}
        results.append(SamplerPubResult(DataBin(**data, shape=shape), metadata=metadata))
    return results


def estimated(found: Found, pubs: Sequence[Pub]) -> list[PubResult]:
    """Return the results of an estimator: expectation values with their standard errors."""
    results = []
    for pub, shape, part in _parts(found, pubs):
        values = np.array([each.expectation for each in part], dtype=float).reshape(shape)
        errors = np.array([each.standard_error for each in part], dtype=float).reshape(shape)
        metadata = {
            "target_precision": pub["precision"],
            "shots": pub["shots"],
            "circuit_metadata": pub["metadata"],
        }
        results.append(PubResult(DataBin(evs=values, stds=errors, shape=shape), metadata=metadata))
    return results


def _parts(found: Found, pubs: Sequence[Pub]) -> Iterator[tuple[Pub, tuple[int, ...], Found]]:
    """Yield each PUB with its shape and its experiments."""
    start = 0
    for pub in pubs:
        shape = tuple(pub["shape"])
        end = start + int(np.prod(shape, dtype=int))
        yield pub, shape, found[start:end]
        start = end


def _array(bits: Any) -> BitArray:
    """Return bits, the first one in the first column, as Qiskit packs them: the last one leftmost."""
    size = bits.shape[-1]
    padded = np.zeros((*bits.shape[:-1], -(-size // 8) * 8), dtype=np.uint8)
    padded[..., padded.shape[-1] - size :] = bits[..., ::-1]
    return BitArray(np.packbits(padded, axis=-1), size)
