"""A network between a client and a server of this machine: passes on so many megabits a second, each way.

    python benchmarks/link.py PORT MEGABITS

It prints the port on which it listens.
"""

import asyncio
import functools
import sys

PART = 1 << 16


async def main(port: int, megabits: float) -> None:
    """Listen, and pass on what comes to the server at this port."""
    begun = functools.partial(_joined, port, megabits * 1e6 / 8)
    server = await asyncio.start_server(begun, "127.0.0.1", 0, limit=PART)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _joined(port: int, rate: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    there, back = await asyncio.open_connection("127.0.0.1", port, limit=PART)
    await asyncio.gather(_passed_on(reader, back, rate), _passed_on(there, writer, rate))


async def _passed_on(source: asyncio.StreamReader, target: asyncio.StreamWriter, rate: float) -> None:
    loop, free_at = asyncio.get_running_loop(), 0.0
    while part := await source.read(PART):
        # What has waited for the line, and not the line for it, may follow at once.
        free_at = max(free_at, loop.time()) + len(part) / rate
        await asyncio.sleep(free_at - loop.time())
        target.write(part)
        await target.drain()
    target.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
