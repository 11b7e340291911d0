"""A client that costs little: each connection is kept, and sends the next request when the last one is answered.

It reads one JSON object from standard input: `port`, `connections`, `seconds`, `requests` (whole ones, sent in turn),
and `expected`, a text with how often the body of each answer holds it (below 0: it is not looked at). It writes one:
`requests`, `seconds`, `cpu` (seconds of its own), and `latencies` in seconds.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

END = b"\r\n\r\n"
LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """One connection: sends, waits for the answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], until: float, expected: tuple[bytes, int]) -> None:
        self._requests, self._until, self._expected = requests, until, expected
        self._answer = bytearray()
        self._began = 0.0
        self.latencies: list[float] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a connection over TCP
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Collect an answer; where it is whole, go on."""
        self._answer += data
        head, found, body = self._answer.partition(END)
        if not found:
            return
        at = head.lower().find(LENGTH)
        length = int(head[at + len(LENGTH) :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(body) < length:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._began)
        text, times = self._expected
        if not head.startswith(b"HTTP/1.1 2") or (times >= 0 and body.count(text) != times):
            self.ended.set_exception(RuntimeError(bytes(self._answer[:600]).decode()))
            self._transport.close()
            return
        self._answer.clear()
        if now < self._until:
            self._send()
        else:
            self.ended.set_result(None)
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Say that the server went away."""
        if not self.ended.done():
            self.ended.set_exception(error or RuntimeError("the server ended a connection"))


async def main(given: dict[str, Any]) -> None:
    """Send for so long, and say what came back."""
    requests = itertools.cycle([text.encode() for text in given["requests"]])
    text, times = given["expected"]
    loop = asyncio.get_running_loop()
    began, used = time.perf_counter(), time.process_time()
    connections = []
    for _ in range(given["connections"]):
        _, connection = await loop.create_connection(
            lambda: Connection(requests, began + given["seconds"], (text.encode(), times)), "127.0.0.1", given["port"]
        )
        connections.append(connection)
    await asyncio.gather(*(connection.ended for connection in connections))
    seconds, cpu = time.perf_counter() - began, time.process_time() - used
    latencies = [each for connection in connections for each in connection.latencies]
    print(json.dumps({"requests": len(latencies), "seconds": seconds, "cpu": cpu, "latencies": latencies}))


if __name__ == "__main__":
    asyncio.run(main(json.load(sys.stdin)))
