"""Checks a large result, and makes of it what callers get, in a process of its own, so that all others go on.

    python -P -m deployments.api.result_process

Standard input: 8 bytes that say how long the request is, the request, and to the end the bytes of a result, whose hash
is the accepted one. Standard output: one line that says what came of it, and then what was made. Both sides are ours;
no code of a user or of a plug-in runs here.
"""

import contextlib
import importlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deployments.api.result_files import Form, json_file
from models.errors import NotAuthentic, StorageUnavailable
from tasks.jobs.accepted import Accepted

SIZE = struct.Struct("!Q")
ROOT = Path(__file__).resolve().parents[2]
CHUNK = 1 << 20


class Made(NamedTuple):
    """What was made of a result that is the accepted one.

    Attributes:
        span: where in its bytes what was wanted stands already; None where it does not.
        content: what was wanted; nothing where it stands there.
    """

    span: tuple[int, int] | None
    content: bytes


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
    answer = _asked(json.dumps(request).encode("ascii"), content)
    head, _, made = answer.partition(b"\n")
    if not head:
        raise StorageUnavailable("the result cannot be read now: the process that reads it ended too early")
    said = json.loads(head)
    if said["fault"] is not None:
        raise NotAuthentic(said["fault"])
    return Made(tuple(said["span"]) if said["span"] else None, made)


def _asked(request: bytes, content: bytes) -> bytes:
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "deployments.api.result_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environment | {"PYTHONPATH": str(ROOT)},
        bufsize=0,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - it was made with pipes
        assert process.stdout is not None  # noqa: S101 - as above
        answer = b""
        with contextlib.suppress(OSError):
            _write(process.stdin.fileno(), SIZE.pack(len(request)) + request)
            _write(process.stdin.fileno(), content)
            process.stdin.close()
            answer = process.stdout.read()
    return b"" if process.returncode else answer


def _write(pipe: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(pipe, view[:CHUNK]) :]


def answer_to(request: bytes, content: bytes) -> Iterator[bytes]:
    """Yield the parts of the answer to a request about the bytes of a result."""
    asked = json.loads(request)
    form = Form(getattr(importlib.import_module(asked["module"]), asked["function"]), asked["options"])
    made, span, fault = b"", None, None
    try:
        document = Accepted.model_validate(asked["accepted"]).document(content)
    except NotAuthentic as error:
        fault = str(error)
    else:
        made = form.made_of(document)
        if form.write is json_file and (span := _span(made, content)) is not None:
            made = b""
    yield json.dumps({"fault": fault, "span": span}).encode("ascii") + b"\n"
    yield made


def _span(text: bytes, content: bytes) -> tuple[int, int] | None:
    """Return where the text of a result stands in its bytes; None where these say the same in another way.

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
