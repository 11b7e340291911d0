"""A Prefect server of our own, on loopback, that ends with the process that started it.

Run as `python -m deployments.embedded_server FD`: standard input is a pipe from the parent, whose end is the signal
to end; FD is the listening socket, so that nobody can take the port in between.
"""

import os
import signal
import socket
import sys
import threading

from deployments.logs import hush_server


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve until the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn  # noqa: PLC0415 - after the watch has begun: importing takes seconds

    hush_server()
    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
