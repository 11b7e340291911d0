"""OQTOPUS: results in its words. Nothing here does I/O."""

import math
from typing import Any

from deployments.api.dialects.oqtopus_uploads import zipped_json

Counts = dict[str, int]


def result_file(document: dict[str, Any], item: str) -> bytes:
    """Return a zip file with what a result document says: its `result`, or its `transpile_result`."""
    return zipped_json(item, result_of(document) if item == "result" else transpile_result_of(document))


def result_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the first result of a result document, as the client reads it.

    Counts without readout errors are numbers with a fraction: they are rounded so that they still are as many shots,
    and what was read stands beside them.
    """
    first = document["results"][0]
    data = first["data"]
    if "exp_value" in data:
        found: dict[str, Any] = {"estimation": {"exp_value": data["exp_value"], "stds": data["stds"]}}
        if "unmitigated" in data:
            found["unmitigated"] = {"estimation": data["unmitigated"]}
        return found
    read = _sampling(data.get("counts") or {}, data.get("divided_counts"))
    if data.get("mitigated") is None:
        return {"sampling": read}
    counts = rounded(data["mitigated"], first["shots"])
    divided = data.get("divided_counts")
    return {
        "sampling": _sampling(counts, None if divided is None else _divided(counts, divided)),
        "unmitigated": {"sampling": read},
    }


def transpile_result_of(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was run instead of the programs; None where the result does not say."""
    data = document["results"][0]["data"]
    if isinstance(as_brought := data.get("transpile_result"), dict):
        return as_brought  # by the engine of a device outside
    transpiled = data.get("transpiled")
    if not isinstance(transpiled, dict):
        return None
    operations = transpiled.get("operations") or {}
    bits = len(next(iter(data.get("counts") or {}), ""))
    return {
        "transpiled_program": transpiled.get("program"),
        "stats": {
            "after": {
                "depth": transpiled.get("depth"),
                "n_gates_2q": transpiled.get("two_qubit_gates"),
                "operations": operations,
            }
        },
        "virtual_physical_mapping": {
            "qubit_mapping": {str(own): physical for own, physical in enumerate(transpiled.get("layout") or [])},
            "bit_mapping": {str(bit): bit for bit in range(bits)},
        },
    }


def rounded(values: dict[str, float], total: int) -> Counts:
    """Return values that add up to `total` as whole numbers that do so too; zeros are left out.

    What is left after rounding down goes to the largest fractions, of equal ones to the smaller outcome.
    """
    scale = total / (sum(values.values()) or 1.0)
    exact = {outcome: max(0.0, value) * scale for outcome, value in values.items()}
    found = {outcome: math.floor(value) for outcome, value in exact.items()}
    left = total - sum(found.values())
    for outcome in sorted(exact, key=lambda each: (found[each] - exact[each], each))[: max(0, left)]:
        found[outcome] += 1
    return {outcome: count for outcome, count in found.items() if count}


def _sampling(counts: Counts, divided: dict[str, Counts] | None) -> dict[str, Any]:
    return {"counts": counts} if divided is None else {"counts": counts, "divided_counts": divided}


def _divided(counts: Counts, like: dict[str, Counts]) -> dict[str, Counts]:
    """Return counts by program, whose bits stand side by side, program 0 rightmost; `like` says how many each has."""
    found: dict[str, Counts] = {}
    below = 0
    for name in sorted(like, key=int):
        bits = len(next(iter(like[name]), ""))
        of_program = found[name] = {}
        for outcome, count in counts.items():
            end = len(outcome) - below
            part = outcome[end - bits : end]
            of_program[part] = of_program.get(part, 0) + count
        below += bits
    return found
