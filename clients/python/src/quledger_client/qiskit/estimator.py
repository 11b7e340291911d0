"""An estimator of Qiskit, whose runs are estimation jobs of the laboratory."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from qiskit.primitives import BaseEstimatorV2
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.quantum_info import SparseObservable

from quledger_client.errors import Refused
from quledger_client.qiskit.jobs import QuledgerPrimitiveJob
from quledger_client.qiskit.options import EstimatorOptions, checked, own
from quledger_client.qiskit.programs import program_of
from quledger_client.runs import as_json, seeded

if TYPE_CHECKING:
    from quledger_client.qiskit.backend import QuledgerBackend


class EstimatorV2(BaseEstimatorV2):  # type: ignore[misc]  # Qiskit is published without types
    """Estimates expectation values on a backend; a run is one job, with an experiment for each value.

    A precision p takes 1 / p**2 shots for each group of terms that are measured together: the standard error of a Pauli
    product in the worst case. 0 asks a simulator without errors for exact values.

    Args:
        options: see `EstimatorOptions`; a dictionary of some of them will do.
    """

    def __init__(self, backend: "QuledgerBackend", options: EstimatorOptions | Mapping[str, Any] | None = None) -> None:
        self.backend = backend
        self.options: EstimatorOptions = own(EstimatorOptions, options)

    def run(
        self,
        pubs: Iterable[Any],
        *,
        precision: float | None = None,
        labels: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> QuledgerPrimitiveJob:
        """Hand in a run.

        Args:
            precision: of PUBs that do not say their own.
            labels: words to find it by, beside those of the options.
            key: the same key is the same job, however often it is handed in.

        Raises:
            Refused: it has faults; all of them are listed.
            ValueError: a precision is less than 0, or is 0 on a backend that errs.
        """
        wanted = self.options.default_precision if precision is None else precision
        experiments, about = estimation([EstimatorPub.coerce(pub, wanted) for pub in pubs], self.backend, self.options)
        labels = {**self.options.labels, **(labels or {})}
        run = self.backend.hand_in(experiments, about, labels=labels, group=self.options.group, key=key)
        return QuledgerPrimitiveJob(run)


def estimation(
    pubs: Iterable[EstimatorPub], backend: "QuledgerBackend", options: EstimatorOptions
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the experiments of a run, PUB by PUB, and what is said about it.

    Raises:
        ValueError: a precision is less than 0, or is 0 on a backend that errs.
    """
    further = checked(options.experiment)
    experiments: list[dict[str, Any]] = []
    said: list[dict[str, Any]] = []
    for number, pub in enumerate(pubs):
        shots = shots_for(pub.precision, number)
        if pub.precision == 0 and not backend.is_exact:
            message = f"the {number}-th pub has precision 0, but {backend.name} errs: it has no exact values"
            raise ValueError(message)
        program = program_of(pub.circuit, backend.target, measures=False)
        bound = np.asarray(pub.parameter_values.bind_all(program.circuit))
        texts = np.array([program.text(each) for each in np.ravel(bound)], dtype=object).reshape(bound.shape)
        programs, observables = np.broadcast_arrays(texts, np.asarray(pub.observables))
        common = {"job_type": "estimation", "shots": shots, **program.options(), **further}
        if pub.precision == 0:
            common["simulator_info"] = {"method": "state_vector"}
        if options.mitigation != "none":
            common["mitigation_info"] = {"ro_error_mitigation": options.mitigation}
        experiments += [
            {"program": text, "operator": operator_of(observable), **common}
            for text, observable in zip(np.ravel(programs), np.ravel(observables), strict=True)
        ]
        metadata = as_json(pub.circuit.metadata)
        said.append({"shape": list(pub.shape), "precision": pub.precision, "shots": shots, "metadata": metadata})
    return seeded(experiments, options.seed), {"kind": "estimator", "pubs": said}


def shots_for(precision: float, number: int = 0) -> int:
    """Return how many shots a precision takes; exact values take one.

    Args:
        number: of the PUB, for the message.

    Raises:
        ValueError: it is less than 0.
    """
    if not (precision >= 0 and math.isfinite(precision)):
        message = f"the {number}-th pub has precision {precision}; it must be 0 or more"
        raise ValueError(message)
    if precision == 0:
        return 1
    # Rounding must not add a shot: 1 / 0.1**2 is 100.
    return max(1, math.ceil(round(1 / precision**2, 6)))


def operator_of(observable: Mapping[str, complex]) -> list[dict[str, Any]]:
    """Return an observable as the laboratory writes it.

    Args:
        observable: label -> coefficient; the last character of a label is qubit 0, and projectors may be in it.

    Raises:
        Refused: a coefficient is no finite real number.
    """
    terms = SparseObservable.from_list(list(observable.items())).as_paulis().simplify(0).to_sparse_list()
    wrong = [value for _, _, value in terms if value.imag or not math.isfinite(value.real)]
    if wrong:
        raise Refused(f"an observable has the coefficient {wrong[0]}; it must be a real number, and finite")
    return [
        {
            "pauli": " ".join(f"{pauli} {qubit}" for pauli, qubit in zip(paulis, qubits, strict=True)) or "I",
            "coeff": c.real,
        }
        for paulis, qubits, c in terms
    ] or [{"pauli": "I", "coeff": 0.0}]
