"""What a shell may hand over that is no usable name: each is said in one sentence, never `should not have failed`."""

import json
from pathlib import Path

import pytest

from deployments.cli.app import _run
from storage.log.database import open_database
from tests.contract.log_fixture import LogFixture
from tests.program import Program

NO_TEXT = b"\xff".decode("utf-8", "surrogateescape")
LONG = "n" * 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose log holds one job."""
    folder = tmp_path_factory.mktemp("home")
    LogFixture(folder, open_database(f"sqlite:///{folder / 'quledger.db'}")).submit("one")
    return folder


@pytest.fixture
def program(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return Program(home, capsys)


@pytest.mark.parametrize(
    "call",
    [
        f"list --backend {NO_TEXT}",
        f"list --user {NO_TEXT}",
        f"group {NO_TEXT}",
        f"wait --group {NO_TEXT}",
        f"export --jobs {NO_TEXT}.parquet",
        f"db shell SELECT{NO_TEXT}",
    ],
)
def test_bytes_that_are_no_text_are_the_callers_fault(call: str, program: Program) -> None:
    """An argument of a shell may hold any bytes."""
    assert "not UTF-8 text" in program.refused(*call.split())


@pytest.mark.parametrize(
    "call",
    [
        f"export one --archive {LONG}",
        f"export one --jobs {LONG}",
        "export one --archive file/jobs.zip",
        "export one --jobs file/jobs.parquet",
        f"db backup {LONG}",
        "db backup file/copies",
    ],
)
def test_what_cannot_be_written_is_named(call: str, program: Program, tmp_path: Path) -> None:
    """A name that is too long, and a folder that is a file; and nothing is left behind."""
    (tmp_path / "file").touch()
    assert "cannot be written" in program.refused(*call.split())
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


@pytest.mark.parametrize("command", ["list", "verify", "rebuild", "db current", "db check", "db backup", "db size"])
def test_a_database_that_may_not_be_looked_at_is_1(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the home of somebody else; here its path is too long for the disk."""
    monkeypatch.setenv("QULEDGER_HOME", str(tmp_path))
    monkeypatch.setenv("QULEDGER_DATABASE", f"sqlite:///{tmp_path / LONG / 'quledger.db'}")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert _run(command.split()) == 1
    said = capsys.readouterr().err
    assert "should not have" not in said
    assert "File name too long" in said


def test_a_backup_of_what_is_no_database_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting that is no URL, or one of another kind of database."""
    monkeypatch.setenv("QULEDGER_HOME", str(tmp_path))
    for url, said in (("nonsense", "no URL"), ("mysql://lab/db", "not supported")):
        monkeypatch.setenv("QULEDGER_DATABASE", url)
        assert _run(["db", "backup"]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("call", ["submit singlequdit", "check singlequdit", "backends check singlequdit --document"])
def test_a_file_without_an_end_is_refused(call: str, program: Program) -> None:
    """No more of it is read than a document may hold."""
    assert "it has more than 16 MB" in program.refused(*call.split(), "/dev/zero")


def test_names_of_files_move_no_cursor(program: Program) -> None:
    """A name that holds an escape is spelt out for people; programs get it as it is."""
    name = "\x1b[31mred.parquet"
    code, out, _ = program("export", "one", "--jobs", name)
    assert (code, out) == (0, "\\u001b[31mred.parquet: 1 row of jobs\n")
    assert json.loads(program.said("export", "one", "--jobs", name, "--json"))["jobs"]["file"] == name
    code, _, err = program("check", "singlequdit", name + ".json", "other.json")
    assert code == 2
    assert "\x1b" not in err
