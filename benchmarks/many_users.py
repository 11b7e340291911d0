"""What a claim costs where each job is another user's, against one user with as many jobs; `--users` says how many."""

import argparse
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models import clock
from models.facts import Submitted
from storage.log.database import open_database
from storage.log.event_log import EventLog
from storage.log.submissions import Entry, begin_all

CLAIMS = 60
GOAL = 1.5


def main() -> None:
    """Measure both, and print how many times more the many cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    number = parser.parse_args().users
    with tempfile.TemporaryDirectory() as folder:
        one = claims(Path(folder) / "one.db", number, users=1)
        many = claims(Path(folder) / "many.db", number, users=number)
    print(f"{number} jobs of one user: {one:.2f} ms of CPU a claim; of {number} users: {many:.2f} ms")
    print(f"{many / one:.2f} times (goal: within {GOAL})")


def claims(path: Path, jobs: int, *, users: int) -> float:
    """Return the median CPU time of a claim, in milliseconds, where so many jobs of so many users wait."""
    log = EventLog(open_database(f"sqlite:///{path}"))
    then = clock.now() - timedelta(days=1)
    entries = []
    for each in range(jobs):
        at = then + timedelta(seconds=each)
        user = f"u{each % users}"
        fact = Submitted.of(
            b"{}", keep_up_to=9, backend="rydberg", user=user, source="cli", received_at=min(at, clock.now())
        )
        entries.append(Entry(fact, f"j{each:07}"))
    begin_all(log.engine, entries, "w", lambda: then)
    took = []
    for _ in range(CLAIMS):
        began = time.process_time()
        log.claim(["rydberg", "fermions"], "w", clock.now() + timedelta(seconds=60))
        took.append(time.process_time() - began)
    log.engine.dispose()
    return statistics.median(took) * 1e3


if __name__ == "__main__":
    main()
