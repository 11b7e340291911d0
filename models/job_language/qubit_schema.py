"""What a qubit device takes, as JSON Schema; all that `read_document` accepts fits it, whatever the programs say."""

from typing import Any

from models.job_language.document_schema import DIALECT, Schema, or_null, whole
from models.job_language.instructions import MAX_SEED
from models.job_language.qubits import CHOICES, GROUPS, MAX_EXPERIMENTS, MAX_PROGRAMS, TRANSPILER_OPTIONS


def qubit_schema(name: str, *, num_qubits: int, max_shots: int) -> Schema:
    """Return the schema of the job documents of a qubit device.

    Args:
        name: of the backend.
    """
    return {
        "$schema": DIALECT,
        "title": f"Job for {name}",
        "description": f"OpenQASM programs for {num_qubits} qubits: experiments by name, or one experiment alone.",
        "type": "object",
        "anyOf": [
            {
                "minProperties": 1,
                "maxProperties": MAX_EXPERIMENTS,
                "patternProperties": {"^experiment_[0-9]+$": {"$ref": "#/$defs/experiment"}},
                "additionalProperties": False,
            },
            {"$ref": "#/$defs/experiment"},
        ],
        "$defs": {"experiment": _experiment(num_qubits, max_shots)},
    }


def _experiment(num_qubits: int, max_shots: int) -> Schema:
    options = _options(num_qubits)
    flat = {name: options[name] for names in GROUPS.values() for name in names}
    groups = {group: _group({name: options[name] for name in names}) for group, names in GROUPS.items()}
    programs: Schema = {
        "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "maxItems": MAX_PROGRAMS, "items": _TEXT}]
    }
    return {
        "type": "object",
        "required": ["shots"],
        "anyOf": [{"required": ["program"]}, {"required": ["program_base64"]}],
        "properties": {
            "job_type": _choice("job_type"),
            "program": programs | {"description": "OpenQASM 2 or 3; several only for multi_manual."},
            "program_base64": {"description": "The same as base64, where there is no program."},
            "shots": whole(1, max_shots),
            "operator": {"description": 'Of an estimation: [{"pauli": "X 0 Y 1", "coeff": 1.5}].'},
            "seed": options["seed_simulation"],
            "memory": {"type": ["boolean", "null"], "default": True},
            **flat,
            **groups,
        },
        # Which fields an estimation has, the other types must not have.
        "if": {"properties": {"job_type": {"const": "estimation"}}, "required": ["job_type"]},
        "then": {
            "required": ["operator"],
            "properties": {"operator": _TERMS},
        },
        "else": {"properties": {"operator": {"enum": [None, []]}}},
    }


_TEXT = {"type": "string"}

_TERMS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["pauli", "coeff"],
        "properties": {"pauli": {"type": "string"}, "coeff": {"type": "number"}},
    },
}


def _options(num_qubits: int) -> dict[str, Schema]:
    seed = or_null(whole(0, MAX_SEED))
    qubit = {"type": "integer", "minimum": 0, "maximum": num_qubits - 1}
    layout: Schema = {
        "description": "The physical qubit of each qubit, in order or by its number as text.",
        "anyOf": [
            {"type": "array", "maxItems": num_qubits, "uniqueItems": True, "items": qubit},
            {"type": "object", "maxProperties": num_qubits, "additionalProperties": qubit},
            {"type": "null"},
        ],
    }
    one = or_null(whole(1, 1))
    options: dict[str, Schema] = {
        "initial_layout": layout,
        "qubit_allocation": layout,
        "seed_simulation": seed,
        "seed_transpilation": seed,
        "seed_transpiler": seed,
        "optimization_level": or_null(whole(0, 3)),
        "n_qubits": or_null(whole(1, num_qubits)),
        "n_nodes": one,
        "n_per_node": one,
        "skip_transpilation": {"type": ["boolean", "null"]},
        **{name: _choice(name) for name in CHOICES if name != "job_type"},
    }
    return options | {"transpiler_options": _group({name: options[name] for name in TRANSPILER_OPTIONS})}


def _choice(name: str) -> Schema:
    return {"enum": [*CHOICES[name], None]}


def _group(options: dict[str, Any]) -> Schema:
    return {"type": ["object", "null"], "properties": options, "additionalProperties": False}
