"""Real servers to try the storages with by hand, on loopback, gone with Ctrl-C: S3, MongoDB's protocol, PostgreSQL.

`make services` starts them and prints the settings with which `quledger` uses each.
"""

import contextlib
import signal
import sys
import threading

from tests.postgres import postgres_server
from tests.seaweedfs import BUCKET, seaweedfs
from tests.secantus import secantus_server


def main() -> None:
    """Start them all, say how they are reached, and wait for Ctrl-C or SIGTERM."""
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    print("Starting SeaweedFS, SecantusDB and PostgreSQL (some 10 s) ...", flush=True)
    with contextlib.ExitStack() as stack:
        weed = stack.enter_context(seaweedfs())
        mongo = stack.enter_context(secantus_server())
        postgres = stack.enter_context(postgres_server())
        print("\n# S3 (SeaweedFS)")
        for name, value in weed.environment().items():
            print(f"export {name}={value}")
        print(f"export QULEDGER_STORAGE=s3://{BUCKET}/jobs")
        print(f"\n# or MongoDB's protocol (SecantusDB)\nexport QULEDGER_STORAGE={mongo.url}")
        print(
            f"\n# the event log on PostgreSQL, with any storage\nexport QULEDGER_DATABASE={postgres.create('quledger')}"
        )
        print("\nCopy one of them into another terminal, then for instance: quledger drain, quledger up.")
        print("Ctrl-C stops the servers and deletes what they hold.", flush=True)
        over.wait()
        print("stopping ...")


if __name__ == "__main__":
    sys.exit(main())
