"""Checks a large result, and makes of it what callers get, in a process of its own, so that all others go on.

    python -P -m deployments.api.result_process

Standard input: 8 bytes that say how long the request is, the request, and to the end the bytes of a result, whose hash
is the accepted one. Standard output: one line that says what came of it, and then what was made. Both sides are ours;
no code of a user or of a plug-in runs here.
"""

import importlib
import json
import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from deployments.api.result_files import Form
from models.errors import NotAuthentic, StorageUnavailable
from storage.one_shot import answer_of
from tasks.jobs.accepted import Accepted

SIZE = struct.Struct("!Q")
MODULE = "deployments.api.result_process"


class Made(NamedTuple):
    """What was made of a result that is the accepted one.

    Attributes:
        span: where in its bytes what was wanted stands already; None where it does not.
        content: what was wanted; nothing where it stands there.
    """

    span: tuple[int, int] | None
    content: memoryview

    @classmethod
    def of(cls, content: bytes, accepted: Accepted, form: Form) -> "Made":
        """Make something of a result; else as `made_apart`, in this process."""
        made = form.made_of(accepted.document(content))
        span = _span(made, content)
        return cls(span, memoryview(b"" if span else made))

    def taken_from(self, content: bytes) -> memoryview:
        """Return what was wanted, given the bytes of the result."""
        return memoryview(content)[slice(*self.span)] if self.span else self.content


def made_apart(content: bytes, accepted: Accepted, form: Form) -> Made:
    """Return what is made of a result.

    Raises:
        NotAuthentic: it is not the one that was accepted, or is no result.
        StorageUnavailable: the process did not do it; the machine may be short of memory.
    """
    request = {
        "accepted": accepted.model_dump(mode="json"),
        "module": form.write.__module__,
        "function": form.write.__name__,
        "options": dict(form.options),
    }
    about = json.dumps(request).encode("ascii")
    answer = answer_of(MODULE, SIZE.pack(len(about)) + about, content)
    end = answer.find(b"\n")
    if end < 0:
        raise StorageUnavailable("the result cannot be read now: the process that reads it ended too early")
    said = json.loads(answer[:end])
    if said["fault"] is not None:
        raise NotAuthentic(said["fault"])
    return Made(tuple(said["span"]) if said["span"] else None, memoryview(answer)[end + 1 :])


def answer_to(request: bytes, content: bytes) -> Iterator[bytes | memoryview]:
    """Yield the parts of the answer to a request about the bytes of a result."""
    asked = json.loads(request)
    form = Form(getattr(importlib.import_module(asked["module"]), asked["function"]), asked["options"])
    try:
        made, fault = Made.of(content, Accepted.model_validate(asked["accepted"]), form), None
    except NotAuthentic as error:
        made, fault = Made(None, memoryview(b"")), str(error)
    yield json.dumps({"fault": fault, "span": made.span}).encode("ascii") + b"\n"
    yield made.content


def _span(text: bytes, content: bytes) -> tuple[int, int] | None:
    """Return where the text of a result stands in its bytes; None where it does not, or is no JSON.

    Whoever reads this part finds what was checked and nothing else: no name stands twice in it.
    """
    signed = b'"payload": '
    for start in (0, content.find(signed) + len(signed)):
        if content[start : start + len(text)] == text:  # views are compared item by item
            return start, start + len(text)
    return None


def main() -> None:
    """Answer the one request in standard input."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    (size,) = SIZE.unpack(source.read(SIZE.size))
    target.writelines(answer_to(source.read(size), source.read()))
    target.flush()
    os._exit(0)  # its millions of objects need no end of their own


if __name__ == "__main__":
    main()
