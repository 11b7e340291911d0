"""Prefect's server with a counter of its requests by route, which it writes to a file at SIGUSR1.

Run as `python benchmarks/counted_server.py FD FILE`: FD is the listening socket.
"""

import json
import re
import signal
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import uvicorn
from prefect.server.api.server import create_app

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Counted:
    """An ASGI application that counts what comes in before it hands it on."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.counts: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count a request, or each message of a websocket."""
        path = _ID.sub("{id}", scope.get("path", "")).removeprefix("/api")
        if scope["type"] == "http":
            self.counts[f"{scope['method']} {path}"] += 1
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":

            async def counted() -> Any:
                message = await receive()
                self.counts[f"WS {path}"] += message["type"] == "websocket.receive"
                return message

            await self._app(scope, counted, send)
        else:
            await self._app(scope, receive, send)


def main() -> None:
    """Serve until SIGTERM."""
    app = Counted(create_app())

    def write(_number: int, _frame: object) -> None:
        target = Path(sys.argv[2])
        target.with_suffix(".new").write_text(json.dumps(app.counts))
        target.with_suffix(".new").replace(target)

    signal.signal(signal.SIGUSR1, write)
    config = uvicorn.Config(app, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
