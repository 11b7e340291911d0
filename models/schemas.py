"""The JSON Schemas of all documents but job documents, which each backend says itself, and tables made from them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from models.archives import Manifest
from models.backend import BackendConfig
from models.documents import ResultDocument
from models.events import Event
from models.facts import Fact
from models.identity.control_events import ControlEvent
from models.identity.facts import ControlFact
from models.job import Job
from models.job_language.document_schema import DIALECT
from models.keys import Jwk
from models.status import StatusDocument

Schema = dict[str, Any]


def _of(kind: Any) -> Callable[[], Schema]:
    def schema() -> Schema:
        return {"$schema": DIALECT} | TypeAdapter(kind).json_schema(mode="serialization")

    return schema


_SCHEMAS: Mapping[str, tuple[str, Callable[[], Schema]]] = {
    "status": ("what front ends read of a job, `status/BACKEND/ID.json`", _of(StatusDocument)),
    "result": ("the result of a job, `results/BACKEND/ID.json`", _of(ResultDocument)),
    "config": ("the configuration of a backend, `backends/configs/BACKEND.json`", _of(BackendConfig)),
    "key": ("a public key, `backends/public_keys/KID.json`", _of(Jwk)),
    "event": ("an event of a job, with its fact as JSON text in `data`", _of(Event)),
    "fact": ("what the `data` of an event hold", _of(Fact)),
    "control-event": ("an event of a control stream", _of(ControlEvent)),
    "control-fact": ("what the `data` of such an event hold", _of(ControlFact)),
    "job": ("a job as its events tell it, as `quledger status --json` prints it", _of(Job)),
    "manifest": ("the manifest of an archive", _of(Manifest)),
}

DOCUMENTS: Mapping[str, str] = {name: about for name, (about, _) in _SCHEMAS.items()}
"""Name -> what documents it describes."""


def schema_of(name: str) -> Schema:
    """Return the schema of this name, one of `DOCUMENTS`."""
    return _SCHEMAS[name][1]()


def fields_of(schema: Schema, kind: str) -> Iterator[str]:
    """Yield the rows of a Markdown table of the fields of objects of one kind within a schema.

    Args:
        kind: a name of its `$defs`, or empty for the schema itself.
    """
    found = schema["$defs"][kind] if kind else schema
    yield from ("| field | type | needed | values |", "|---|---|---|---|")
    for name, field in found["properties"].items():
        needed = "yes" if name in found.get("required", ()) else f"no ({_default(field)})"
        yield f"| `{name}` | {_type(field)} | {needed} | {_values(field)} |"


def _default(field: Schema) -> str:
    return str(field["default"]).lower() if field.get("default") not in (None, "") else "null"


def _type(field: Schema) -> str:
    parts = field.get("anyOf", [field])
    types = [part.get("type", "object" if "$ref" in part else "") for part in parts]
    return " or ".join(dict.fromkeys(each for each in types if each)) or "one of these"


def _values(field: Schema) -> str:
    said = [field["description"].rstrip(".")] if "description" in field else []
    for part in field.get("anyOf", [field]):
        if "enum" in part and not all(isinstance(value, bool) for value in part["enum"]):
            said.append(", ".join(f"`{str(value).lower()}`" for value in part["enum"]))
        elif "minimum" in part:
            said.append(f"{part['minimum']} to {part['maximum']}")
        elif "pattern" in part and part["type"] == "string" and "anyOf" not in field:
            said.append(f"`{part['pattern']}`")
    return "; ".join(said)
