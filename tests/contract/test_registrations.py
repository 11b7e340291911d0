"""Jobs that have an id and no submission yet: on every database, shared by all servers of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import UnknownJob
from models.names import is_job_id
from storage.uploads import registrations
from storage.uploads.registrations import Registrations, TooManyRegistered, UploadedBefore
from storage.uploads.secrets import shared_secret
from tests.contract.databases import Databases

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def test_an_input_comes_once(databases: Databases, tmp_path: Path):
    """What one server has given out, another one takes; the same input again is no harm, another one is refused."""
    url = databases.new(tmp_path)
    one, other = (Registrations(databases.open(url)) for _ in range(2))

    job_id = one.register("ann")
    assert is_job_id(job_id)
    assert other.get(job_id)[:2] == (job_id, "ann")
    assert other.get(job_id).content is None
    other.fill(job_id, b"{}")
    one.fill(job_id, b"{}")
    with pytest.raises(UploadedBefore):
        one.fill(job_id, b"[]")
    assert one.get(job_id).content == b"{}"


def test_what_was_submitted_is_no_registration_any_more(databases: Databases, tmp_path: Path):
    """Nor is what never was one."""
    found = Registrations(databases.open(databases.new(tmp_path)))
    job_id = found.register("ann")
    found.remove(job_id)
    found.remove(job_id)

    for each in (job_id, "f" * 24, "../" + job_id, "", "\0"):
        with pytest.raises(UnknownJob):
            found.get(each)
        with pytest.raises(UnknownJob):
            found.fill(each, b"{}")


def test_after_a_day_it_is_gone(databases: Databases, tmp_path: Path):
    """Whoever registers next removes what is old."""
    clock = Clock()
    found = Registrations(databases.open(databases.new(tmp_path)), clock)
    old = found.register("ann")
    clock.now += timedelta(hours=23)
    young = found.register("ann")
    assert found.get(old).registered_at == NOW

    clock.now += timedelta(hours=1)
    with pytest.raises(UnknownJob):
        found.get(old)
    newest = found.register("bob")
    clock.now -= timedelta(hours=2)  # a clock that jumps back brings nothing back
    with pytest.raises(UnknownJob):
        found.get(old)
    assert {found.get(each).user for each in (young, newest)} == {"ann", "bob"}


def test_a_user_has_so_many_at_once(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of jobs, and of bytes; another user is not held up, and what is submitted makes room."""
    found = Registrations(databases.open(databases.new(tmp_path)))
    monkeypatch.setattr(registrations, "MAX_OPEN", 2)
    first = found.register("ann")
    found.register("ann")
    with pytest.raises(TooManyRegistered, match="2 jobs were registered and not submitted"):
        found.register("ann")
    found.register("bob")
    found.remove(first)
    second = found.register("ann")

    monkeypatch.setattr(registrations, "MAX_OPEN", 100)
    monkeypatch.setattr(registrations, "MAX_BYTES", 1_000_000)
    found.fill(second, b"0" * 800_000)
    found.fill(second, b"0" * 800_000)
    third = found.register("ann")
    with pytest.raises(TooManyRegistered, match=r"3 jobs .* with 0\.8 MB"):
        found.fill(third, b"0" * 200_001)
    assert found.get(third).content is None
    found.fill(third, b"0" * 200_000)


def test_the_servers_of_one_log_share_a_secret(databases: Databases, tmp_path: Path):
    """It is made once, and another log has another."""
    url = databases.new(tmp_path)
    one, other = databases.open(url), databases.open(url)

    assert shared_secret(one, "oqtopus") == shared_secret(other, "oqtopus") == shared_secret(one, "oqtopus")
    assert len(shared_secret(one, "oqtopus")) == 32
    assert shared_secret(one, "another") != shared_secret(one, "oqtopus")
