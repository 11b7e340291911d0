"""What a device takes, as JSON Schema: for editors, forms and clients that look before they send.

All that `validate_document` accepts fits its schema, numbers written as texts too. What no schema can say is judged by
`validate_document` alone: wires beyond an experiment's `num_wires`, a site that is filled twice, what a job costs.
"""

from typing import Any

from models.job_language.devices import DeviceSpec, InstructionSpec
from models.job_language.instructions import MAX_SEED

DIALECT = "https://json-schema.org/draft/2020-12/schema"

EXPERIMENT_NAME = r"^experiment_\d+$"

NUMBER_AS_TEXT = {"type": "string", "pattern": r"^\s*[-+]?[0-9._]+([eE][-+]?[0-9_]+)?\s*$"}

Schema = dict[str, Any]


def schema_of_any(name: str) -> Schema:
    """Return the schema of a backend that does not say what it takes: it judges a document when it has it."""
    return {"$schema": DIALECT, "title": f"Job for {name}", "description": "The backend does not say what it takes."}


def document_schema(device: DeviceSpec) -> Schema:
    """Return the schema of the job documents of a device."""
    return {
        "$schema": DIALECT,
        "title": f"Job for {device.display_name}",
        "description": device.description,
        "type": "object",
        "minProperties": 1,
        "maxProperties": device.max_experiments,
        "patternProperties": {EXPERIMENT_NAME: {"$ref": "#/$defs/experiment"}},
        "additionalProperties": False,
        "$defs": {
            "experiment": _experiment(device),
            **{spec.name: _instruction(spec) for spec in device.instructions},
        },
    }


def whole(low: int, high: int, **more: Any) -> Schema:
    """Return the schema of a whole number, which may be written as text, or as true or false where that is in range."""
    words = [word for word in (False, True) if low <= word <= high]
    lenient = [NUMBER_AS_TEXT, {"enum": words}] if words else [NUMBER_AS_TEXT]
    return more | {"anyOf": [{"type": "integer", "minimum": low, "maximum": high}, *lenient]}


def or_null(schema: Schema) -> Schema:
    """Return the same schema, which null fits too."""
    return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}


def _experiment(device: DeviceSpec) -> Schema:
    wires = whole(1, device.num_wires)
    if device.fixed_wires:
        wires = {"enum": [device.num_wires, *([True] if device.num_wires == 1 else [])]}
    instructions: Schema = {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [{"$ref": f"#/$defs/{spec.name}"} for spec in device.instructions]},
    }
    if device.needs_measure:
        instructions["contains"] = {"$ref": "#/$defs/measure"}
    return {
        "type": "object",
        "required": ["instructions", "num_wires", "shots"],
        "properties": {
            "instructions": instructions,
            "num_wires": wires,
            "shots": whole(1, device.max_shots),
            "wire_order": {"enum": list(device.wire_orders), "default": "interleaved"},
            "seed": or_null(whole(0, MAX_SEED, description="Of the random outcomes; drawn where there is none.")),
        },
    }


def _instruction(spec: InstructionSpec) -> Schema:
    """Return the schema of [name, [wires], [parameters]]; what follows these is ignored."""
    count = len(spec.parameters)
    parameters: Schema = {"type": "array", "minItems": count, "maxItems": count}
    if spec.parameters:
        parameters["prefixItems"] = [_parameter(spec, name) for name in spec.parameters]
    described: Schema = {"description": spec.description} if spec.description else {}
    return described | {
        "type": "array",
        "minItems": 3,
        "prefixItems": [{"const": spec.name}, _wires(spec), parameters],
    }


def _parameter(spec: InstructionSpec, name: str) -> Schema:
    if spec.whole:
        return whole(int(spec.low), int(spec.high), title=name)
    number = {"type": "number", "minimum": spec.low, "maximum": spec.high}
    return {"title": name, "anyOf": [number, NUMBER_AS_TEXT, {"type": "boolean"}]}


def _wires(spec: InstructionSpec) -> Schema:
    fewest, most = spec.wires
    wires: Schema = {
        "type": "array",
        "minItems": fewest,
        "maxItems": most,
        "items": whole(0, spec.highest_wire),
    }
    if spec.couplings is None:
        return wires
    # Which wires go together is only said of numbers: as texts they have many spellings.
    as_text = {"contains": {"type": ["string", "boolean"]}}
    return wires | {"anyOf": [{"enum": sorted(map(list, spec.couplings))}, as_text]}
