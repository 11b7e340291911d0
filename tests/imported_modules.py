"""Which modules commands import: `python -m tests.imported_modules` reads commands, and says of each what it imported.

A command is a line; each runs in a process that is forked from this one, which has imported what the program needs
before it knows its command, and then, for those behind an empty line, what nearly all commands need: the log.
"""

import json
import os
import sys

from deployments.cli.app import _run


def imported_by(arguments: list[str]) -> tuple[int, list[str]]:
    """Run a command in a forked process; return its exit code and the modules that there are in the end."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with open(os.devnull, "w", encoding="utf-8") as nothing:
            sys.stdout = sys.stderr = nothing
            code = _run(arguments)
        with os.fdopen(writing, "w", encoding="utf-8") as answer:
            json.dump([code, sorted(sys.modules)], answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        found = json.load(answer)
    os.waitpid(child, 0)
    return found[0], found[1]


def main() -> None:
    """Answer all lines with one JSON object: command -> its exit code and modules."""
    found = {}
    for line in sys.stdin.read().splitlines():
        if line:
            found[line] = imported_by(line.split())
        else:
            from deployments.cli import jobs, render  # noqa: F401, PLC0415 - as said above
            from storage.log import event_log  # noqa: F401, PLC0415 - as above
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
