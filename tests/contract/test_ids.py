"""Which job is meant by what somebody typed."""

from pathlib import Path

import pytest

from models.errors import BadName, UnknownJob
from tests.contract.conftest import Houses


def test_a_job_is_meant_by_the_beginning_of_its_id(tmp_path: Path, log_fixtures: Houses):
    """Of at least four characters, and of one job alone; the whole id of a job is never in doubt."""
    log_fixture = log_fixtures(tmp_path)
    log = log_fixture.log
    for job_id in ("abcd", "abcd1", "abcd2", "ABCD3", "abc_d", "20260101_120000-x-ann-00000"):
        log_fixture.submit(job_id)
    assert [log.id_of(text) for text in ("abcd", "abcd1", "ABCD", "abc_", "2026")] == [
        *("abcd", "abcd1", "ABCD3", "abc_d", "20260101_120000-x-ann-00000")
    ]
    for unknown in ("abc", "abcd4", "abc%", "zzzz", "../x", "", "x" * 300):
        with pytest.raises(UnknownJob):
            log.id_of(unknown)
    log_fixture.submit("abcd11")
    for number in range(9):
        log_fixture.submit(f"many-{number}")
    assert log.id_of("abcd1") == "abcd1"
    with pytest.raises(BadName, match=r"several ids .*: many-0, many-1, many-2, many-3, many-4, ...; write more"):
        log.id_of("many")
