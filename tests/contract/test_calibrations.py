"""The ledger of calibrations in the log, and the results that stand on them."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from models import clock
from models.calibrations import UnknownCalibration, Version, version_of
from models.facts import Compiled, Executed, Validated
from models.identity.errors import NotChanged
from models.identity.people import BackendRecord
from models.job import Job
from storage.audit.rebuild import rebuild
from storage.audit.verify import Verifier
from storage.identity import streams
from storage.identity.backend_records import record_of
from storage.identity.calibrations import Calibrations
from storage.identity.directory import Directory
from storage.identity.pauses import pause, resume
from storage.log import job_lists
from storage.log.database import reading, writing
from storage.log.job_lists import Query
from tests.contract.conftest import Houses
from tests.contract.log_fixture import LogFixture
from tests.unit.sandbox_fakes import CONFIG


def a_version(readout: float) -> Version:
    """Return a version with this readout error."""
    return version_of(CONFIG, {"readout": readout})


ONE, OTHER = a_version(0.01), a_version(0.02)


@pytest.fixture
def lab(tmp_path: Path, log_fixtures: Houses) -> LogFixture:
    """A log without jobs."""
    return log_fixtures(tmp_path)


def ledger(lab: LogFixture, actor: str = "one") -> Calibrations:
    """Return the ledger as a process of its own sees it."""
    return Calibrations(Directory(lab.log.engine), actor)


def run(lab: LogFixture, job_id: str, sha256: str) -> Job:
    """Run a job up to its execution on a version."""
    lab.submit(job_id)
    facts = (
        Validated(experiments=1, shots=1),
        Compiled(program_sha256="p", program_bytes=1, seed=1),
        Executed(
            seconds=1,
            cpu_seconds=1,
            seed=1,
            versions={},
            backend_config_sha256=ONE.config_sha256,
            calibration_sha256=sha256,
            result_sha256="r",
            result_bytes=1,
            staged="s",
        ),
    )
    return lab.log.append(lab.claim(), *facts, attempt=1, actor="w")


def events(lab: LogFixture) -> int:
    """Return how many control events there are."""
    with reading(lab.log.engine) as connection:
        return connection.scalar(text("SELECT count(*) FROM control_event")) or 0


def test_each_change_is_recorded_once_and_machines_that_differ_do_not_take_turns(lab: LogFixture):
    """Two processes publish as often as they like: each says once what is its own."""
    here, there = ledger(lab, "here"), ledger(lab, "there")
    for _ in range(3):
        here.publish("fake", ONE)
        there.publish("fake", OTHER)
    assert [each.sha256 for each in here.ledger("fake").periods] == [ONE.sha256, OTHER.sha256]
    here.ensure("fake", ONE)
    assert events(lab) == 2
    assert here.knows("fake", ONE.sha256)
    assert not here.knows("fake", OTHER.sha256)
    assert here.find(ONE.sha256).calibration.content["calibration"] == {"readout": 0.01}
    assert here.find(ONE.sha256).backend == "fake"


def test_results_are_found_by_what_they_stand_on(lab: LogFixture):
    """Also by the hash of a configuration, which results named before there was a ledger."""
    calibrations = ledger(lab)
    calibrations.publish("fake", ONE)
    for job_id, sha256 in (("new1", ONE.sha256), ("new2", ONE.sha256), ("old", "")):
        run(lab, job_id, sha256)
    engine = lab.log.engine

    def on(*hashes: str) -> list[str]:
        page = job_lists.page(engine, Query(everything=True, calibrations=hashes))
        assert job_lists.count(engine, Query(everything=True, calibrations=hashes)) == len(page.jobs)
        return sorted(job.job_id for job in page.jobs)

    assert on(ONE.sha256) == ["new1", "new2"]
    assert on(ONE.config_sha256) == ["old"]
    assert on(ONE.sha256, ONE.config_sha256) == ["new1", "new2", "old"]
    assert on(OTHER.sha256) == []
    owner = Query(owner="alice", calibrations=(ONE.sha256,))
    assert job_lists.page(engine, owner).jobs == []
    assert calibrations.hash_of(ONE.sha256[:12]) == ONE.sha256
    assert calibrations.hash_of(ONE.config_sha256[:12]) == ONE.config_sha256
    for wrong in ("00000000", "~~~~", "", ONE.sha256[:2]):
        with pytest.raises(UnknownCalibration):
            calibrations.hash_of(wrong)


def test_a_withdrawal_is_an_event_and_the_views_follow(lab: LogFixture):
    """Withdrawn twice it is as it was; rebuilt and verified, nothing differs."""
    calibrations = ledger(lab)
    calibrations.publish("fake", ONE)
    run(lab, "old", "")
    whose = [
        calibrations.withdraw(sha256, "laser off", by="op").backend
        for sha256 in (ONE.sha256, ONE.config_sha256, ONE.sha256)
    ]
    assert whose == ["fake", "rydberg", "fake"]
    assert events(lab) == 3
    assert set(calibrations.withdrawn()) == {ONE.sha256, ONE.config_sha256}
    assert calibrations.withdrawn([OTHER.sha256]) == {}
    calibrations.reinstate(ONE.config_sha256, "it was on", by="op")
    with pytest.raises(NotChanged):
        calibrations.reinstate(ONE.config_sha256, "it was on", by="op")
    assert (events(lab), set(calibrations.withdrawn())) == (4, {ONE.sha256})
    engine = lab.log.engine
    before = calibrations.ledger("fake")
    rebuild(engine)
    assert calibrations.ledger("fake") == before
    lab.relay.update_all()
    verified = [each for each in Verifier(engine, lab.stores).all() if each.what in ("view", "chain")]
    assert verified == []
    with writing(engine) as connection:
        connection.execute(text("UPDATE calibration SET withdrawn_at = ''"))
        connection.execute(text("UPDATE job SET calibration = 'x'"))
    found = {(each.job_id, each.what) for each in Verifier(engine, lab.stores).all()}
    assert {("backend/fake", "view"), ("old", "view")} <= found


def test_an_append_reads_a_few_rows_however_long_the_stream_is(lab: LogFixture):
    """And yet leaves the views as the whole stream tells them, also of what was first said long ago."""
    calibrations, directory = ledger(lab), Directory(lab.log.engine)
    versions = [a_version(place / 100) for place in range(5)]
    for version in [*versions, *versions[::-1], versions[2]]:
        calibrations.publish("fake", version)
        pause(directory, "fake", reason=version.sha256[:8], actor="op")
        pause(directory, "fake", reason=version.sha256[:8], until=clock.now() + timedelta(hours=1), actor="op")
    calibrations.withdraw(versions[0].sha256, "laser off", by="op")
    calibrations.withdraw(versions[4].sha256, "laser off", by="op")
    calibrations.reinstate(versions[0].sha256, "it was on", by="op")
    ledger(lab, "other").ensure("fake", versions[3])
    resume(directory, "fake", actor="op")
    held = [period.sha256 for period in calibrations.ledger("fake").periods]
    assert held == [version.sha256 for version in (*versions, *versions[-2::-1], versions[2])]
    lab.relay.update_all()
    assert list(Verifier(lab.log.engine, lab.stores).all()) == []
    with reading(lab.log.engine) as connection:
        found = record_of(connection, "backend/fake", {versions[1].sha256})
        whole = streams.fold_of(connection, "backend/fake")
    assert isinstance(whole, BackendRecord)
    assert found is not None
    assert (found.seq, found.last_hash, found.added_at) == (whole.seq, whole.last_hash, whole.added_at)
    assert (set(found.ledger.versions), len(found.ledger.periods)) == ({versions[1].sha256}, 1)
    assert found.ledger.versions[versions[1].sha256] == whole.ledger.versions[versions[1].sha256]
    assert (found.ledger.current, found.ledger.first) == (whole.ledger.current, len(whole.ledger.periods) - 1)
