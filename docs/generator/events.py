"""The page of all kinds of events."""

from typing import Any, get_args

from pydantic import BaseModel

from docs.generator.markdown import about, attributes, page, table
from models.events import Event
from models.facts import Fact
from models.identity.control_events import ControlEvent
from models.identity.facts import ControlFact

JOB = """[job-states.md](../job-states.md) has what may follow what, and
[adding-storages-and-events.md](../adding-storages-and-events.md#a-kind-of-event) what another kind needs. Each
event holds one fact; the fields of the facts follow, and in front of them those of the event itself."""

CONTROL = """They are about users, projects, devices and backends. Each stands in a *control stream*, such as
`user/alice`, which says whom it is about."""


def events() -> str:
    """Return the page."""
    return page(
        "Events",
        "`quledger history ID` shows them; `quledger schema` has all of this as JSON Schemas.",
        "## Events of a job",
        JOB,
        "### The event itself",
        _fields(Event),
        *_facts(Fact),
        "## Events of a control stream",
        CONTROL,
        "### The control event itself",
        _fields(ControlEvent),
        *_facts(ControlFact),
    )


def _facts(union: Any) -> list[str]:
    parts = []
    for fact in get_args(get_args(union)[0]):
        parts += [f"### `{fact.model_fields['kind'].default}`", about(fact)]
        if set(fact.model_fields) - {"kind", "version"}:
            parts.append(_fields(fact))
    return parts


def _fields(of: type[BaseModel]) -> str:
    said = attributes(of)
    schema = of.model_json_schema(mode="serialization")
    rows = []
    for name, field in of.model_fields.items():
        if name in {"kind", "version"}:
            continue
        needed = "yes" if field.is_required() else f"no (`{field.get_default(call_default_factory=True)!r}`)"
        rows.append((f"`{name}`", kind(schema, schema["properties"][name]), needed, said.get(name, "")))
    return table(("field", "type", "needed", "what it is"), rows)


def kind(root: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the type of a value in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = root["$defs"][name]
        if "enum" not in schema:
            return f"`{name}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind(root, each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {kind(root, schema.get('items') or {})}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {kind(root, schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "any")
