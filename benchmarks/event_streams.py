"""A client that follows many jobs: one stream of events for each, and the moment in which each one ends.

It reads one line of JSON: `port`, `token`, `job_ids`. It says `ready` when every stream has told its job's first event,
and in the end one line: `ended` (id -> time.monotonic() of the event that the job was cancelled), `cpu` since ready.
"""

import asyncio
import json
import sys
import time

AT_ONCE = 50
END = b"event: cancelled\n"


async def main() -> None:
    """Follow all jobs to their ends."""
    given = json.loads(sys.stdin.readline())
    opening = asyncio.Semaphore(AT_ONCE)

    async def begin(job_id: str) -> tuple[str, asyncio.StreamReader, asyncio.StreamWriter]:
        async with opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", given["port"])
            head = f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {given['token']}"
            writer.write(f"{head}\r\n\r\n".encode())
            await reader.readuntil(b"event: submitted\n")
        return job_id, reader, writer

    async def follow(job_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, float]:
        await reader.readuntil(END)
        now = time.monotonic()
        writer.close()
        return job_id, now

    streams = await asyncio.gather(*(begin(job_id) for job_id in given["job_ids"]))
    print("ready", flush=True)
    used = time.process_time()
    ended = dict(await asyncio.gather(*(follow(*stream) for stream in streams)))
    print(json.dumps({"ended": ended, "cpu": time.process_time() - used}), flush=True)


asyncio.run(main())
