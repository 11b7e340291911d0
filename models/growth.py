"""How much room a laboratory takes, how fast that grows, and when a disk is full."""

from typing import NamedTuple

from models.words import count_of

RECENT_DAYS = 30
"""Jobs of so many days say how many come in a day."""


class Growth(NamedTuple):
    """What takes room; sizes in bytes.

    Attributes:
        database: the files of the database, or what its server says of it; payloads are in it.
        payloads: documents that users keep for their jobs.
        jobs: in the log.
        recent_jobs: those of the last `RECENT_DAYS`, or of `days` if the log is younger.
        days: so long a time these jobs came in, above 0.
        looked_at: how many of the newest jobs that have ended were looked at in the storage.
        in_storage: what the documents of those take together.
        free: on the disk on which the database lies; None where a server has it.
    """

    database: int
    payloads: int
    jobs: int
    recent_jobs: int
    days: float
    looked_at: int
    in_storage: int
    free: int | None
    is_storage_there: bool = False
    """Whether the storage lies on that disk too."""

    @property
    def of_job(self) -> float:
        """What a job takes in the database, without payloads."""
        return max(0, self.database - self.payloads) / max(1, self.jobs)

    @property
    def of_job_in_storage(self) -> float:
        """What the documents of a job take in the storage: history, document, status, result."""
        return self.in_storage / max(1, self.looked_at)

    @property
    def jobs_a_day(self) -> float:
        """How many jobs come in a day, of late."""
        return self.recent_jobs / self.days

    @property
    def a_day(self) -> float:
        """By how much database and storage grow in a day."""
        return self.jobs_a_day * (self.of_job + self.of_job_in_storage)

    @property
    def days_left(self) -> float | None:
        """In how many days the disk of the database is full; None where that cannot be said."""
        here = self.jobs_a_day * (self.of_job + (self.of_job_in_storage if self.is_storage_there else 0.0))
        return None if self.free is None or here <= 0 else self.free / here

    def value(self) -> dict[str, float | int | None]:
        """Return it as JSON: bytes, jobs, days."""
        left = self.days_left
        return {
            "database_bytes": self.database,
            "payload_bytes": self.payloads,
            "jobs": self.jobs,
            "bytes_a_job": round(self.of_job),
            "storage_bytes_a_job": round(self.of_job_in_storage) if self.looked_at else None,
            "storage_bytes_about": round(self.of_job_in_storage * self.jobs) if self.looked_at else None,
            "jobs_looked_at": self.looked_at,
            "jobs_a_day": round(self.jobs_a_day, 3),
            "bytes_a_day": round(self.a_day),
            "free_bytes": self.free,
            "days_left": None if left is None else round(left, 1),
        }

    def sentences(self) -> list[str]:
        """Return the same in sentences."""
        said = [f"database: {size_of(self.database)}, {size_of(self.of_job)} a job; {count_of(self.jobs, 'job')}"]
        if self.payloads:
            said.append(f"payloads in it: {size_of(self.payloads)}")
        if self.looked_at:
            whole = size_of(self.of_job_in_storage * self.jobs)
            each = size_of(self.of_job_in_storage)
            said.append(f"storage: {each} a job, by the newest {self.looked_at} that have ended; about {whole} for all")
        else:
            said.append("storage: not known; no job has ended so far, or none of its documents can be read")
        said.append(f"growth: {self.jobs_a_day:,.1f} jobs a day of late, {size_of(self.a_day)} a day")
        if self.free is not None:
            left = self.days_left
            when = "" if left is None else f", full in {_days(left)}" if left < NEVER else ", not full in this century"
            said.append(f"disk of the database: {size_of(self.free)} free{when}")
        return said


NEVER = 36525.0


def size_of(size: float) -> str:
    """Return a size in words, such as 6.8 kB."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= length:
            return f"{size / length:,.1f} {unit}"
    return f"{size:.0f} bytes"


def _days(days: float) -> str:
    return f"{days / 365.25:,.1f} years" if days >= 2 * 365.25 else f"{days:,.1f} days"
