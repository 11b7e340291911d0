"""The one table of exit codes in the README, against the commands themselves."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from deployments.cli.app import _run
from deployments.cli.commands import COMMANDS, GROUPS
from storage import layout
from storage.log.database import writing
from tests.contract.log_fixture import LogFixture
from tests.program import Program

README = Path(__file__).parents[2] / "README.md"
ALL = {name for name in COMMANDS if name not in GROUPS}
ALL |= {f"{title} {name}" for title, (_, commands) in GROUPS.items() for name in commands}

ARGUMENTS = {
    "submit": "singlequdit examples/rabi_oscillation.json --no-check",
    "wait": "abcd",
    "export": "abcd --archive nowhere/jobs.zip",
    "why": "abcd",
    "diff": "abcd efgh",
    "rerun": "abcd",
    "label": "abcd a=b",
    "group": "sweep",
    "status": "abcd",
    "result": "abcd",
    "history": "abcd",
    "retry": "abcd",
    "cancel": "abcd",
    "pause": "rydberg",
    "resume": "rydberg",
    "results": "--withdrawn",
    "drain": "--until-empty",
    "retention": "--results-days 1",
    "backends check": "rydberg",
    "backends history": "rydberg",
    "backends show": "rydberg --at 2026-01-01T00:00:00Z",
    "backends withdraw": "abcd --reason x",
    "backends reinstate": "abcd --reason x",
    "user add": "ann",
    "user set": "ann --disable",
    "user limits": "ann",
    "user link": "Ann ann",
    "user unlink": "Ann ann",
    "project add": "lab",
    "project set": "lab --member ann",
    "project limits": "lab",
    "token new": "ann",
    "token revoke": "0123456789ab",
    "db shell": "SELECT",
}
NEED_NO_LOG = {
    "adopt",
    *(
        "config",
        "schema",
        "verify-archive",
        "storages",
        "check",
        "demo",
        "prune",
        "backends show",
        "backends check",
        "user import-qlued",
        "db backup",
    ),
    *("keys new", "keys rotate", "keys show", "keys revoke"),
}
"""Commands that ask no database, or need a file, a key or another server first."""


IN_GROUPS = {
    *("add", "set", "limits", "link", "unlink", "import-qlued"),
    *("upgrade", "current", "backup", "size", "shell", "rotate"),
}
"""Commands of users, projects, keys and the database, which no route does."""

ELSEWHERE = {"backends check", "storages", "submit", "group", "diff", "rerun", "verify-archive"}
"""Commands that end with 3 in tests of their own."""


def table() -> dict[str, tuple[str, str, str]]:
    """Return what the README says of each command: what 1, 2 and 3 mean for it."""
    found: dict[str, tuple[str, str, str]] = {}
    rows = re.findall(r"^\| (`[^|]+`) \|([^|]*)\|([^|]*)\|([^|]*)\|$", README.read_text(), re.MULTILINE)
    for names, one, two, three in rows:
        for name in re.findall(r"`([^`]+)`", names):
            if name.startswith("QULEDGER_"):
                continue
            assert name not in found, f"{name} stands there twice"
            found[name] = one.strip(), two.strip(), three.strip()
    return found


def test_every_command_stands_in_the_table_once() -> None:
    """With what 2 means for it."""
    assert set(table()) == ALL
    assert all(two for _, two, _ in table().values())


def test_every_command_has_a_route_or_a_reason() -> None:
    """In the table of docs/api.md; some groups of commands stand there as a whole."""
    text = (README.parent / "docs" / "api.md").read_text().partition("## Command by command")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (`[^|]+?) \| ([^|]+) \|$", text, re.MULTILINE))
    said = {name for names in rows for quoted in re.findall(r"`([^`]+)`", names) for name in quoted.split()}
    assert {word for name in ALL for word in name.split()} <= said | IN_GROUPS
    assert all("/v1" in answer or answer.startswith("none: ") for answer in rows.values())


@pytest.mark.parametrize("command", sorted(ALL))
def test_a_call_that_cannot_be_is_2(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that no command knows."""
    code, out, err = Program(tmp_path / "home", capsys)(*command.split(), "--no-such-option")
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """The URL of a database where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"postgresql://u:t0psecret@127.0.0.1:{taken.getsockname()[1]}/lab"


@pytest.mark.parametrize("command", sorted(ALL - NEED_NO_LOG))
def test_a_log_that_does_not_answer_is_1(
    command: str, nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the command wants of it; and the table says what 1 means."""
    monkeypatch.setenv("QULEDGER_HOME", str(tmp_path))
    monkeypatch.setenv("QULEDGER_DATABASE", nobody)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert table()[command][0]
    assert _run([*command.split(), *ARGUMENTS.get(command, "").split()]) == 1
    said = capsys.readouterr()
    assert "t0psecret" not in said.out + said.err
    assert "Traceback" not in said.err


def test_what_differs_is_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command that the table has a 3 for; others have tests of their own."""
    shown: set[str] = set()
    program = Program(tmp_path, capsys)
    monkeypatch.setenv("QULEDGER_DATABASE", f"sqlite:///{tmp_path / 'log.db'}")
    monkeypatch.setenv("QULEDGER_STORAGE", (tmp_path / "store").as_uri())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def ends_with_3(*arguments: str) -> None:
        assert program(*arguments)[0] == 3
        shown.add(" ".join(each for each in arguments if each != "done"))

    lab = LogFixture(tmp_path)
    lab.submit("done")
    lab.finish(lab.take())
    lab.relay.update_all()
    lab.flip(layout.result("rydberg", "done"))
    ends_with_3("result", "done")
    ends_with_3("verify")
    with writing(lab.log.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    lab.log.engine.dispose()
    assert (_run(["db", "current"]), _run(["db", "check"])) == (3, 3)
    shown |= {"db current", "db check"}
    assert shown == {name for name, (_, _, three) in table().items() if three} - ELSEWHERE
