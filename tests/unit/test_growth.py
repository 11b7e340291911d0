"""How much room a laboratory takes, by stated numbers."""

import pytest

from models.growth import Growth, size_of

GROWTH = Growth(
    database=7_000_000,
    payloads=1_000_000,
    jobs=1000,
    recent_jobs=300,
    days=30.0,
    looked_at=20,
    in_storage=80_000,
    free=1_000_000_000,
    is_storage_there=True,
)


def test_what_a_job_and_a_day_take():
    """6 kB in the database and 4 kB in the storage; ten jobs a day are 100 kB, and 10,000 days fill the disk."""
    assert (GROWTH.of_job, GROWTH.of_job_in_storage, GROWTH.jobs_a_day, GROWTH.a_day) == (6000.0, 4000.0, 10.0, 1e5)
    assert GROWTH.days_left == 10_000.0
    assert GROWTH._replace(is_storage_there=False).days_left == pytest.approx(16_666.7, abs=0.1)
    assert GROWTH.sentences() == [
        "database: 7.0 MB, 6.0 kB a job; 1,000 jobs",
        "payloads in it: 1.0 MB",
        "storage: 4.0 kB a job, by the newest 20 that have ended; about 4.0 MB for all",
        "growth: 10.0 jobs a day of late, 100.0 kB a day",
        "disk of the database: 1.0 GB free, full in 27.4 years",
    ]


def test_an_empty_log_says_what_it_can():
    """No job has ended, none came of late, and a server has the database."""
    empty = Growth(100_000, 0, 0, 0, 30.0, 0, 0, None)
    assert (empty.days_left, empty.a_day, empty.value()["storage_bytes_a_job"]) == (None, 0.0, None)
    assert empty.sentences() == [
        "database: 100.0 kB, 100.0 kB a job; 0 jobs",
        "storage: not known; no job has ended so far, or none of its documents can be read",
        "growth: 0.0 jobs a day of late, 0 bytes a day",
    ]
    assert empty._replace(free=5).sentences()[-1] == "disk of the database: 5 bytes free"
    assert GROWTH._replace(recent_jobs=1, days=30.0, free=10**15).sentences()[-1].endswith("not full in this century")
    assert (size_of(999), size_of(1000), size_of(2.5e9)) == ("999 bytes", "1.0 kB", "2.5 GB")
