"""What the experiments of a primitive have found, PUB by PUB, each in the shape of its parameters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qiskit.primitives import BitArray, DataBin, PubResult, SamplerPubResult

from quledger_client.qiskit.bits import shots_of
from quledger_client.results import ExperimentResult

Pub = Mapping[str, Any]
Found = Sequence[ExperimentResult]


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
