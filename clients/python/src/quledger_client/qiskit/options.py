"""Options of primitives and of experiments; the laboratory passes over those that it does not know."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from quledger_client.errors import Fault, Refused

_GROUPS = "transpiler_info simulator_info mitigation_info"
_TRANSPILER = "transpiler_lib transpiler_options skip_transpilation seed_transpilation qubit_allocation"
_OTHERS = "seed seed_simulation method n_qubits n_nodes n_per_node ro_error_mitigation"
KNOWN = frozenset(f"{_GROUPS} {_TRANSPILER} {_OTHERS}".split())

BITS = 2
"""Qiskit's measurement level of outcomes that are decided on."""


@dataclass
class SamplerOptions:
    """Options of a sampler.

    Attributes:
        default_shots: of a PUB that does not say its own, where the run does not either.
        seed: of all random outcomes of a run; None for one that the laboratory draws.
        labels: words to find the jobs by.
        group: name of the group that they belong to.
        experiment: further options of each experiment, such as `transpiler_info`.
    """

    default_shots: int = 1024
    seed: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    experiment: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class EstimatorOptions:
    """Options of an estimator.

    Attributes:
        default_precision: of a PUB that does not say its own, where the run does not either.
        seed: of all random outcomes of a run; None for one that the laboratory draws.
        mitigation: of readout errors: `none`, `pseudo_inverse` or `least_square`.
        labels: words to find the jobs by.
        group: name of the group that they belong to.
        experiment: further options of each experiment, such as `transpiler_info`.
    """

    default_precision: float = 1 / 64
    seed: int | None = None
    mitigation: str = "none"
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    experiment: Mapping[str, Any] = field(default_factory=dict)


def own(kind: type, options: Any) -> Any:
    """Return options of one primitive alone."""
    return kind(**deepcopy(dict(vars(options) if isinstance(options, kind) else options or {})))


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the laboratory has them.

    Raises:
        Refused: some are not known; all of them are listed.
    """
    found = dict(options)
    if found.get("meas_level") == BITS:
        del found["meas_level"]
    unknown = sorted(found.keys() - KNOWN)
    if unknown:
        there = ", ".join(sorted(KNOWN))
        raise Refused(
            "unknown options", [Fault(name, f"there is no such option; there are {there}") for name in unknown]
        )
    return found
