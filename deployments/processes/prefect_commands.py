"""Commands of Prefect's own, one after the other in one process: it takes seconds to import what they need.

Run as `python -P -m deployments.processes.prefect_commands COMMANDS`, a JSON array of arrays of words. The first one
that fails ends the process with its exit code; each is printed before what it says.
"""

import json
import sys

START = "$ prefect "
"""Begins the line that names a command."""


def main() -> None:
    """Run the commands."""
    from prefect.cli import app  # noqa: PLC0415 - whoever asks for `START` needs no Prefect

    for command in json.loads(sys.argv[1]):
        print(START + " ".join(command), flush=True)
        sys.argv = ["prefect", "--no-prompt", *command]
        try:
            app()
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main()
