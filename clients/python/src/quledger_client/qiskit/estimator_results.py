"""What the experiments of an estimator have found, PUB by PUB."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit.primitives import DataBin, PubResult

from quledger_client.results import ExperimentResult


def estimated(found: Sequence[ExperimentResult], pubs: Sequence[Mapping[str, Any]]) -> list[PubResult]:
    """Return the result of each PUB, in order: expectation values with their standard errors, in its shape."""
    results, start = [], 0
    for pub in pubs:
        shape = tuple(pub["shape"])
        end = start + int(np.prod(shape, dtype=int))
        values = np.array([each.expectation for each in found[start:end]], dtype=float).reshape(shape)
        errors = np.array([each.standard_error for each in found[start:end]], dtype=float).reshape(shape)
        metadata = {
            "target_precision": pub["precision"],
            "shots": pub["shots"],
            "circuit_metadata": pub["metadata"],
        }
        results.append(PubResult(DataBin(evs=values, stds=errors, shape=shape), metadata=metadata))
        start = end
    return results
