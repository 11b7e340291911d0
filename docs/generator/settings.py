"""The page of all settings."""

from typing import Any

from docs.generator.events import kind
from docs.generator.markdown import page, table
from models.settings import Settings

ABOUT = """Each is an environment variable; an empty one is unset. `quledger config` prints them as they are
here, without secrets. A bound is the least or the most that is taken; what is a list or an object is written as
JSON.

`PREFECT_API_URL` and `PREFECT_API_AUTH_STRING` name a Prefect server and its password
([prefect.md](../prefect.md)); what storages read beside their URL stands in [storages.md](../storages.md)."""


def settings() -> str:
    """Return the page."""
    schema = Settings.model_json_schema()
    rows = []
    for name, field in Settings.model_fields.items():
        about = schema["properties"][name]
        rows.append(
            (
                f"`QULEDGER_{name.upper()}`",
                _default(field.default),
                kind(schema, _value(about)).replace("password", "secret"),
                _text(about),
            )
        )
    return page("Settings", ABOUT, table(("variable", "default", "type", "what it is"), rows))


def _value(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without the null of what is unset."""
    choices = [each for each in schema.get("anyOf", []) if each.get("type") != "null"]
    if len(choices) == 1:
        return dict(choices[0])
    return schema | {"anyOf": choices} if choices else schema


def _default(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list) and len(value) > 1:
        return "see there"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _text(schema: dict[str, Any]) -> str:
    part = _value(schema)
    bounds = [
        f"{word} {part[key]:,.0f}"
        for key, word in (("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"))
        if key in part
    ]
    return schema["description"] + (f" ({', '.join(bounds)})" if bounds else "")
