"""The front door of `quledger up`: it serves until the process that started it closes its standard input.

Run as `python -P -m deployments.processes.embedded_api FD`. FD is the listening socket.
"""

import logging
import os
import signal
import socket
import sys
from functools import partial

from deployments.processes.logs import record_crash
from deployments.processes.parent import end_with_parent
from deployments.processes.serve import serve_on
from models.errors import QuledgerError
from models.settings import Settings
from tasks.sandbox.walls import hide_memory
from tasks.services import Services


def main() -> None:
    """Serve until the parent has gone or closed standard input."""
    hide_memory()
    end_with_parent(partial(os.kill, os.getpid(), signal.SIGTERM))
    record_crash()
    try:
        services = Services(Settings.read())
        services.open(patient=True)
        serve_on(services, socket.socket(fileno=int(sys.argv[1])), lambda _line: None)
    except QuledgerError as error:
        logging.getLogger("quledger.api").critical("api_ends action=start_again: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
