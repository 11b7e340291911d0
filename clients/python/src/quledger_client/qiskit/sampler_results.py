"""What the experiments of a sampler have found, PUB by PUB."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit.primitives import BitArray, DataBin, SamplerPubResult

from quledger_client.qiskit.bits import shots_of
from quledger_client.results import ExperimentResult


def sampled(found: Sequence[ExperimentResult], pubs: Sequence[Mapping[str, Any]]) -> list[SamplerPubResult]:
    """Return the result of each PUB, in order: bits by register, in the shape of its parameters."""
    results, start = [], 0
    for pub in pubs:
        shape = tuple(pub["shape"])
        end = start + int(np.prod(shape, dtype=int))
        bits = [shots_of(each, pub["bits"]) for each in found[start:end]]
        width = sum(place is not None for place in pub["bits"])
        whole = np.array(bits, dtype=np.uint8).reshape(*shape, pub["shots"], width)
        data = {name: _array(whole[..., places]) for name, places in pub["registers"]}
        metadata = {"shots": pub["shots"], "circuit_metadata": pub["metadata"]}
        results.append(SamplerPubResult(DataBin(**data, shape=shape), metadata=metadata))
        start = end
    return results


def _array(bits: Any) -> BitArray:
    """Return bits, the first one in the first column, as Qiskit packs them: the last one leftmost."""
    size = bits.shape[-1]
    padded = np.zeros((*bits.shape[:-1], -(-size // 8) * 8), dtype=np.uint8)
    padded[..., padded.shape[-1] - size :] = bits[..., ::-1]
    return BitArray(np.packbits(padded, axis=-1), size)
