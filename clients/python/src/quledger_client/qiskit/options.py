"""Options of an experiment that are handed on to the laboratory, which passes over those that it does not know."""

from collections.abc import Mapping
from typing import Any

from quledger_client.errors import Fault, Refused

_GROUPS = "transpiler_info simulator_info mitigation_info"
_TRANSPILER = "transpiler_lib transpiler_options skip_transpilation seed_transpilation qubit_allocation"
_OTHERS = "seed seed_simulation method n_qubits n_nodes n_per_node ro_error_mitigation"
KNOWN = frozenset(f"{_GROUPS} {_TRANSPILER} {_OTHERS}".split())

BITS = 2
"""Qiskit's measurement level of outcomes that are decided on."""


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
