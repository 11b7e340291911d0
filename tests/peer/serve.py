"""Runs in the peer's environment: makes one call after the other, each in a process forked for it alone.

Reads a line of JSON for each call: the name of the module and the arguments of its `main`. Answers with a line: what
was returned, or the traceback.
"""

import importlib
import json
import os
import sys
import traceback
from typing import Any

import client
import signing

MAINS = {"client": client.main, "signing": signing.main}
"""Those that are imported beforehand."""


def answer(module: str, arguments: list[str]) -> dict[str, Any]:
    """Make one call."""
    try:
        main = MAINS.get(module) or importlib.import_module(module).main
        return {"returned": main(*arguments)}
    except Exception:  # noqa: BLE001 - the caller is told
        return {"raised": traceback.format_exc()}


def serve() -> None:
    """Answer until there are no more calls."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            sys.stdout.write(json.dumps(answer(*json.loads(line))) + "\n")
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status:
            sys.stdout.write(json.dumps({"raised": f"it ended with {status}"}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    serve()
