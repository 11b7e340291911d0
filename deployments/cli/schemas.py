"""`quledger schema`: the JSON Schemas of all documents."""

import json

from deployments.cli import render
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, ColumnKind, show_table
from models.errors import BadName, echo
from models.schemas import DOCUMENTS, schema_of
from tasks.backends import registry

COLUMNS = (Column("name"), Column("what it describes", ColumnKind.TEXT))
OF_JOBS = "job/"


def schema(name: str = "", *, as_json: Json = False) -> int:
    """Print the JSON Schema of a document; without a name list what there is.

    Example: `quledger schema job/rydberg`.

    Args:
        name: Of the document: `job/BACKEND` for job documents of a backend, or one of the list.
    """
    backends = {f"{OF_JOBS}{each}": f"job documents for {each}" for each in registry.usable()}
    if not name:
        names = {**DOCUMENTS, **backends}
        print_output(names, lambda: show_table(render.console, COLUMNS, list(names.items())), as_json=as_json)
        return 0
    if name not in DOCUMENTS and name not in backends:
        raise BadName(f"{echo(name)} names no schema; there are: {', '.join([*DOCUMENTS, *backends])}")
    found = schema_of(name) if name in DOCUMENTS else registry.document_schema(name.removeprefix(OF_JOBS))
    print_output(found, lambda: print(json.dumps(found, indent=1)), as_json=as_json)
    return 0
