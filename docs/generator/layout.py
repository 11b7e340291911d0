"""The page of all places in a storage."""

import inspect

from docs.generator.markdown import about, page, table
from storage import layout as places

ABOUT = """`BACKEND` is a backend's display name, `ID` a job's id, `KID` a key's, `ATTEMPT` the number of an
attempt and `HOLDER` the beginning of the hash of its token. [storage.md](../storage.md) says what each document
holds and who writes it."""

STANDING_FOR = {"backend": "backend0", "job_id": "job0", "kid": "key0", "attempt": 777, "holder": "f" * 64}
"""What each function is called with, and then replaced."""
WORDS = {"backend0": "BACKEND", "job0": "ID", "key0": "KID", "777": "ATTEMPT", "f" * 16: "HOLDER"}


def layout() -> str:
    """Return the page."""
    rows = []
    for name, function in inspect.getmembers(places, inspect.isfunction):
        parameters = list(inspect.signature(function).parameters)
        if function.__module__ != places.__name__ or not set(parameters) <= set(STANDING_FOR) or name[0] == "_":
            continue
        path = function(*(STANDING_FOR[each] for each in parameters))
        for value, word in WORDS.items():
            path = path.replace(value, word)
        rows.append((f"`{path}`", about(function).removeprefix("Return ").removeprefix("the path of ")))
    rows += [(f"`{places.PROBE}`", "what is written to see whether the storage can be written.")]
    rows += [(f"`{places.MARK}`", "which log mirrors into the storage, and how far it has come.")]
    return page("The layout of a storage", ABOUT, table(("path", "what lies there"), sorted(rows)))
