"""`quledger schema`: the JSON Schemas of all documents."""

import json

from deployments.cli import render
from deployments.cli.output import Json, print_output
from deployments.cli.tables import Column, ColumnKind, show_table
from deployments.schemas import find, listed

COLUMNS = (Column("name"), Column("what it describes", ColumnKind.TEXT))


def schema(name: str = "", *, as_json: Json = False) -> int:
    """Print the JSON Schema of a document; without a name list what there is.

    Example: `quledger schema job/rydberg`.

    Args:
        name: Of the document: `job/BACKEND` for job documents of a backend, or one of the list.
    """
    if not name:
        names = listed()
        print_output(names, lambda: show_table(render.console, COLUMNS, list(names.items())), as_json=as_json)
        return 0
    found = find(name)
    print_output(found, lambda: print(json.dumps(found, indent=1)), as_json=as_json)
    return 0
