"""Every kind of storage side by side: jobs drained per second, requests and bytes per job, the time to list a queue.

Each kind is served as in the tests: by a real server on loopback where there is one, behind a relay that counts. The
drain is the installed program with four jobs at once; its rate is that of the log, from the first claim to the last
completion, so that the start of Prefect's server does not count.
"""

import argparse
import contextlib
import json
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bson import ObjectId

from storage.providers.dropbox import places
from storage.providers.dropbox.dropbox_storage import DropboxStorage
from storage.providers.mongodb.connection import Connection
from storage.providers.mongodb.mongo_storage import MongoStorage
from storage.providers.registry import open_storage
from tests.contract.storages import LIVES, Place, kind_named, surrounded
from tests.dropbox_files import FILES, Store
from tests.installation import Installation, experiment

JOB = {"experiment_0": experiment(["load", [0], [50]], ["rlx", [0], [1.57]], ["measure", [0], []], shots=500)}
QUEUE = "jobs/queued/rydberg"
TOPS = ("events", "jobs", "results", "staged", "status")
_SERVER = re.compile(r"127\.0\.0\.1:(\d+)")
_REQUEST = re.compile(rb"(?:^|\r\n)(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.1\r\n")
_ID = re.compile(r"[0-9a-f]{24}")
_COMMAND = re.compile(rb"^.{8}\0{4}\xdd\x07\0\0.{5}.{4}([\x02\x10])(\w+)\0(?:.{4}([^\0]*))?", re.DOTALL)
"""MongoDB's OP_MSG: lengths and ids, the code 2013, flags, and the first member of the command: its name
and its text."""
_ABOUT_ITSELF = ("hello", "ismaster", "ping", "endSessions", "serverStatus")


class Relay:
    """Stands between a program and a server on loopback, hands everything on and counts it.

    Attributes:
        requests: how many there were: of HTTP by method and folder, of MongoDB by command and collection; else
            how often a client spoke.
        bytes: how many went either way.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.requests, self.bytes = Counter(), 0

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for source, target, asks in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._hand_on, args=(source, target, asks), daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, asks: bool) -> None:  # noqa: FBT001 - a thread's
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                with self._lock:
                    self.bytes += len(chunk)
                    if asks:
                        self.requests.update(_named(chunk))
                target.sendall(chunk)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _named(chunk: bytes) -> list[str]:
    """Return what is asked for in a piece of HTTP, or by a command of MongoDB; the ids of jobs are left out."""
    names = []
    if command := _COMMAND.match(chunk):
        what = command[2].decode()
        collection = (command[3] or b"").decode("latin-1")
        if what in _ABOUT_ITSELF:
            return ["other"]
        listing = what in ("listCollections", "getMore") or (what == "find" and b"bson_size" in chunk)
        return ["LIST" if listing else f"{what} {collection}"]
    for method, target in _REQUEST.findall(chunk):
        path, _, query = target.decode("latin-1").partition("?")
        if "list-type" in query:
            names.append("LIST")
        elif _ID.search(path):
            folders = [each for each in path.split("/") if each in (*TOPS, "queued", "running", "finished", "deleted")]
            what = "/".join(folders) + ("/document" if path.endswith(".document.json") else "")
            names.append(f"{method.decode()} {what}")
        else:
            names.append("other")
    return names


@contextlib.contextmanager
def relayed(place: Place) -> Iterator[tuple[Place, Relay | None]]:
    """Put a relay before the server of a storage, if it has one."""
    found = _SERVER.search(" ".join((place.url, *place.environment.values())))
    if found is None:
        yield place, None
        return
    relay = Relay(int(found.group(1)))
    here = f"127.0.0.1:{relay.port}"
    environment = {name: value.replace(found.group(0), here) for name, value in place.environment.items()}
    try:
        yield Place(place.url.replace(found.group(0), here), environment), relay
    finally:
        relay.close()


def drained(folder: Path, place: Place, relay: Relay | None, jobs: int) -> None:
    """Drain so many jobs from the inbox and print what that took."""
    lab = Installation(folder, None, place)
    for number in range(jobs):
        lab.queue("singlequdit", f"{number:024x}.json", json.dumps(JOB).encode())
    if relay is not None:
        relay.reset()
    lab.run("drain", "--until-empty", "--concurrency", "4")
    assert set(lab.states().values()) == {"DONE"}  # noqa: S101 - else the figures mean nothing
    requests, wire = (Counter(relay.requests), relay.bytes) if relay is not None else (Counter(), 0)
    times = {"claimed": [], "completed": []}  # type: dict[str, list[float]]
    for number in range(jobs):
        for event in lab.log.history(f"{number:024x}"):
            if event.kind in times:
                times[event.kind].append(event.recorded_at.timestamp())
    print(f"  {jobs / (max(times['completed']) - min(times['claimed'])):.2f} jobs/s")
    print(f"  {stored(lab) / jobs:.0f} bytes kept per job")
    if relay is not None:
        of_jobs = {name: number for name, number in requests.items() if name not in ("LIST", "other")}
        asked = f"{sum(of_jobs.values()) / jobs:.2f} requests and " if requests else "encrypted requests of "
        print(f"  {asked}{wire / jobs:.0f} bytes on the wire per job")
        for name, number in sorted(of_jobs.items(), key=lambda item: -item[1]):
            print(f"    {number / jobs:5.2f}  {name}")
        if requests:
            print(f"  besides, over the whole drain: {requests['LIST']} listings, {requests['other']} others")


def stored(lab: Installation) -> int:
    """Return how many bytes all documents have."""

    def below(folder: str) -> int:
        return sum(
            each.size if each.regular else below(f"{folder}/{each.name}") for each in lab.storage.entries(folder)
        )

    return sum(below(top) for top in TOPS)


def filled(place: Place, documents: int) -> None:
    """Put so many documents into a queue: by 16 threads, unless the server takes them faster itself."""
    storage, names = open_storage(place.url), [f"{number:024x}" for number in range(documents)]
    content = json.dumps(JOB).encode()
    started = time.perf_counter()
    if isinstance(storage, MongoStorage):
        connection = Connection(place.url)
        for first in range(0, documents, 1000):
            connection.collection("jobs", "queued.rydberg").insert_many(
                [{"_id": ObjectId(name), **JOB} for name in names[first : first + 1000]]
            )
    elif isinstance(storage, DropboxStorage):
        # Straight to where the tests' own server keeps them: by HTTPS it takes a few hundred a second.
        behind = Store(Path(place.environment["REQUESTS_CA_BUNDLE"]).with_name(FILES))
        with behind.whole():
            for name in names:
                where = next(iter(places.places(f"{QUEUE}/{name}.json")))
                behind.commit({"path": f"{place.url.removeprefix('dropbox://')}/{where}"}, content)
    else:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda name: storage.create(f"{QUEUE}/{name}.json", content), names))
    print(f"  {documents / (time.perf_counter() - started):.0f} documents/s put into the queue", flush=True)


def listed(place: Place, relay: Relay | None, documents: int) -> None:
    """List the queue of so many documents and print how long that took."""
    storage = open_storage(place.url)
    started = time.perf_counter()
    assert sum(1 for _ in storage.entries(QUEUE)) == documents  # noqa: S101 - else the figure means nothing
    seconds = time.perf_counter() - started
    asked = f" in {relay.requests.total()} requests" if relay is not None and relay.requests else ""
    print(f"  {seconds:.2f} s to list a queue of {documents} documents{asked}")


def main() -> None:
    """Measure each kind in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=list(LIVES), help="as in tests/contract/storages.py")
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--queue", type=int, default=2000, help="documents in the queue that is listed; 100000 is long")
    arguments = parser.parse_args()
    for name in arguments.kinds:
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder, kind_named(name).served() as places:
            for what in ("drain", "list"):
                at = Path(folder) / what
                at.mkdir()
                direct = places(at)
                if what == "list":
                    with surrounded(direct):
                        filled(direct, arguments.queue)
                with relayed(direct) as (place, relay), surrounded(place):
                    if what == "drain":
                        drained(at, place, relay, arguments.jobs)
                    else:
                        listed(place, relay, arguments.queue)


if __name__ == "__main__":
    main()
