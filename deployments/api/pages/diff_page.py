"""What the page of two jobs side by side shows."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from deployments.api.calls import Calls
from models.errors import printable
from models.identity.access import Act, Caller
from models.job import Job

MAX_SAID = 300

_NAMES = {"program": "compiled program", "calibration_changes": "calibration"}


class Difference(NamedTuple):
    """A thing in which they differ, with both sides."""

    what: str
    one: str
    other: str


def diff_page(calls: Calls, caller: Caller, job: Job, other: str) -> dict[str, Any]:
    """Return what the template needs; it blocks.

    Raises:
        UnknownJob: there is no such other job, or the caller may not know of it.
        ResultMissing, NotAuthentic: a result is not there, or not the one that was accepted.
    """
    found = calls.records.diff(job, calls.job(caller, other, Act.EXPORT))
    return {
        "ids": found["jobs"],
        "same": found["same"],
        "differences": [*_differences(found["changes"])],
        "results": found["results"],
        "note": found["note"],
    }


def _differences(changes: dict[str, Any]) -> Iterator[Difference]:
    for name, value in changes.items():
        if name == "versions":
            yield from (Difference(package, one, other) for package, (one, other) in value.items())
        elif isinstance(value[0], dict):
            for each in value:
                what = f"{_NAMES.get(name, name)}: {each['path']}"
                yield Difference(what, _said(each["one"]), _said(each["other"]))
        else:
            yield Difference(_NAMES.get(name, name), *map(_said, value))


def _said(value: object) -> str:
    return "-" if value is None else printable(str(value), MAX_SAID)
