"""The JSON Schemas of all documents, those of job documents of each backend among them."""

from models.errors import BadName, echo
from models.schemas import DOCUMENTS, Schema, schema_of
from tasks.backends import registry

OF_JOBS = "job/"


class UnknownSchema(BadName):
    """There is none of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"{echo(name)} names no schema; there are: {', '.join(known)}")


def listed() -> dict[str, str]:
    """Return the name of each schema, and what documents it describes."""
    return {**DOCUMENTS, **{f"{OF_JOBS}{each}": f"job documents for {each}" for each in registry.usable()}}


def find(name: str) -> Schema:
    """Return the schema of this name.

    Raises:
        UnknownSchema: there is none.
    """
    if name in DOCUMENTS:
        return schema_of(name)
    backend = name.removeprefix(OF_JOBS)
    if backend == name or backend not in registry.usable():
        raise UnknownSchema(name, [*listed()])
    return registry.document_schema(backend)
