"""Control streams and their views: whoever changes them behind the log's back is found out."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from models.audit import Finding
from models.errors import LogBroken
from models.identity.facts import LimitsSet, MemberSet, NameLinked, ProjectAdded, UserAdded
from models.identity.limits import Limits
from models.identity.streams import device_stream, project_stream, user_stream
from models.identity.tokens import NewToken
from storage.audit.rebuild import rebuild
from storage.audit.restore import restore
from storage.audit.verify import Verifier
from storage.identity.directory import Directory
from storage.identity.views import VIEWS
from storage.log.database import reading, writing
from tests.contract.conftest import Houses
from tests.contract.log_fixture import LogFixture

UNGUARD = {
    "sqlite": ["DROP TRIGGER control_event_no_update", "DROP TRIGGER control_event_no_delete"],
    "postgresql": ["DROP TRIGGER control_event_append_only ON control_event"],
}


class Lab:
    """A log with jobs, and a directory with something in each view."""

    def __init__(self, log_fixture: LogFixture) -> None:
        self.log = log_fixture
        self.log.submit()
        self.log.relay.update_all()
        self.directory = Directory(log_fixture.log.engine)
        append = self.directory.append
        append(user_stream("alice"), UserAdded(role="operator"), NameLinked(name="pc"), actor="op")
        append(user_stream("bob"), UserAdded(), LimitsSet(limits=Limits(bytes=1)), actor="op")
        append(project_stream("lab"), ProjectAdded(), MemberSet(user="bob", role="viewer"), actor="op")
        self.token: NewToken = self.directory.issue(user_stream("bob"), ("read",), actor="op")
        self.directory.issue(device_stream("rydberg"), actor="op")
        self.directory.touch([self.token.token_id])

    def findings(self) -> list[Finding]:
        return list(Verifier(self.log.log.engine, self.log.stores).all())

    def tamper(self, *statements: str) -> None:
        with writing(self.directory.engine) as connection:
            for statement in [*UNGUARD[self.directory.engine.dialect.name], *statements]:
                connection.execute(text(statement))

    def rows(self) -> list[object]:
        with reading(self.directory.engine) as connection:
            return [sorted(str(dict(row)) for row in connection.execute(table.select()).mappings()) for table in VIEWS]


@pytest.fixture
def lab(tmp_path: Path, log_fixtures: Houses) -> Lab:
    """A laboratory in good order."""
    return Lab(log_fixtures(tmp_path))


def test_nothing_differs_where_nothing_was_touched(lab: Lab):
    """Users, projects, tokens, and their last use are no difference; nor does a job by itself ask for them."""
    assert lab.findings() == []
    assert list(Verifier(lab.log.log.engine, lab.log.stores).job("j")) == []


@pytest.mark.parametrize(
    ("statement", "stream", "said"),
    [
        (
            "UPDATE control_event SET actor = 'x' WHERE kind = 'limits_set'",
            "user/bob",
            "event 1 is not what was written",
        ),
        ("UPDATE control_event SET data = replace(data, 'viewer', 'member')", "project/lab", "event 1 is not what was"),
        ("UPDATE control_event SET data = '{}' WHERE kind = 'name_linked'", "user/alice", "event 1 are not what was"),
        (
            "UPDATE control_event SET data = '[' WHERE kind = 'device_added'",
            "device/rydberg",
            "event 0 are not what was",
        ),
        ("UPDATE control_event SET kind = 'user_enabled' WHERE kind = 'limits_set'", "user/bob", "event 1 is not what"),
        ("UPDATE control_event SET seq = 5 WHERE kind = 'limits_set'", "user/bob", "event 1 is not what was written"),
        ("UPDATE control_event SET recorded_at = 'soon' WHERE kind = 'limits_set'", "user/bob", "event 1 is no event"),
        ("UPDATE control_event SET stream = 'user/eve' WHERE stream = 'user/alice'", "user/eve", "event 0 is not what"),
        ("DELETE FROM control_event WHERE kind = 'limits_set'", "user/bob", "event 1 is missing"),
        (
            "DELETE FROM control_event WHERE kind = 'user_added' AND stream = 'user/bob'",
            "user/bob",
            "event 0 is missing",
        ),
    ],
)
def test_a_changed_event_is_named(lab: Lab, statement: str, stream: str, said: str):
    """Its stream is named, and nothing else, but for what its disappearance left behind."""
    lab.tamper(statement)
    found = {finding.job_id: finding for finding in lab.findings()}
    if "user/eve" in statement:
        assert found.pop("user/alice").what == "view"
    if "seq = 5" in statement:
        said = "event 1 is missing"
    assert set(found) == {stream}
    assert found[stream].what == "chain"
    assert said in found[stream].message
    with pytest.raises(LogBroken, match=f"0 jobs and 1 control stream have broken histories: {stream}"):
        rebuild(lab.directory.engine)


@pytest.mark.parametrize(
    ("statement", "stream", "said"),
    [
        (
            "UPDATE account SET role = 'operator' WHERE name = 'bob'",
            "user/bob",
            "`account` differs from the events in role",
        ),
        ("UPDATE account SET is_enabled = false WHERE name = 'bob'", "user/bob", "`account` differs"),
        ("UPDATE account SET limits = '{}' WHERE name = 'bob'", "user/bob", "differs from the events in limits"),
        ("DELETE FROM account WHERE name = 'bob'", "user/bob", "`account` has no row ('bob')"),
        (
            "INSERT INTO account SELECT 'eve', role, is_enabled, added_at, limits FROM account WHERE name = 'alice'",
            "user/eve",
            "`account` has a row that no event accounts for ('eve')",
        ),
        ("UPDATE membership SET role = 'member'", "project/lab", "`membership` differs from the events in role"),
        (
            "INSERT INTO membership VALUES ('lab', 'alice', 'member')",
            "project/lab",
            "no event accounts for ('lab', 'alice')",
        ),
        ("DELETE FROM project", "project/lab", "`project` has no row"),
        ("INSERT INTO name_link VALUES ('server', 'bob')", "user/bob", "`name_link` has a row that no event"),
        ("UPDATE name_link SET \"user\" = 'bob'", "user/alice", "`name_link` differs from the events in user"),
        (
            "UPDATE token SET scopes = 'read submit admin' WHERE device = ''",
            "user/bob",
            "differs from the events in scopes",
        ),
        (
            "UPDATE token SET expires_at = 'x' WHERE device <> ''",
            "device/rydberg",
            "differs from the events in expires_at",
        ),
        ("DELETE FROM token WHERE device <> ''", "device/rydberg", "`token` has no row"),
    ],
)
def test_a_changed_view_is_named_and_made_anew(lab: Lab, statement: str, stream: str, said: str):
    """The stream is named with what differs; `rebuild` brings back every row, and keeps when a token was used."""
    before = lab.rows()
    lab.tamper(statement)
    (finding,) = lab.findings()
    assert (finding.job_id, finding.what) == (stream, "view")
    assert said in finding.message
    assert rebuild(lab.directory.engine) == {"jobs": 1, "events": 1, "streams": 4}
    assert lab.findings() == []
    after = lab.rows()
    # Of a row that was lost nobody knows when it was last used.
    assert after == before
    assert isinstance(lab.directory.tokens(user="bob")[0].last_used_at, datetime)


def test_a_restore_neither_needs_nor_touches_them(lab: Lab, tmp_path: Path, log_fixtures: Houses):
    """The storage holds nothing of them, an empty log gets none back, and one that is restored keeps its own."""
    held = b"".join((lab.log.folder / name).read_bytes() for name in lab.log.files())
    for word in ("alice", "bob", "token_issued", lab.token.sha256, lab.token.text):
        assert word.encode() not in held
    empty = log_fixtures(tmp_path / "empty")
    assert restore(empty.log.engine, lab.log.storage)["jobs"] == 1
    assert Directory(empty.log.engine).users() == []
    before = lab.rows()
    lab.log.tamper("DELETE FROM event", "DELETE FROM job", "DELETE FROM mirror")
    assert restore(lab.directory.engine, lab.log.storage, ours=True)["jobs"] == 1
    assert lab.rows() == before
    assert lab.directory.caller_of(lab.token.text).user == "bob"
