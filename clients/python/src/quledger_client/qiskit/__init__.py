"""Quledger's qubit backends for Qiskit: a provider, and primitives that are jobs of the laboratory."""

try:
    import qiskit as _qiskit  # noqa: F401 - whether it is there
except ModuleNotFoundError as error:
    message = "Qiskit is not installed: pip install 'quledger-client[qiskit]'"
    raise ModuleNotFoundError(message, name=error.name) from None

from quledger_client.qiskit.backend import QuledgerBackend
from quledger_client.qiskit.cold_atoms import cold_atom_circuit
from quledger_client.qiskit.estimator import EstimatorV2
from quledger_client.qiskit.jobs import QuledgerJob, QuledgerPrimitiveJob
from quledger_client.qiskit.provider import QuledgerProvider
from quledger_client.qiskit.sampler import SamplerV2

__all__ = [
    "EstimatorV2",
    "QuledgerBackend",
    "QuledgerJob",
    "QuledgerPrimitiveJob",
    "QuledgerProvider",
    "SamplerV2",
    "cold_atom_circuit",
]
