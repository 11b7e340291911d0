"""A database that is not there: what only reads says so and makes none, what brings something in begins one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import qlued_file
from tests.contract.test_exit_codes import ALL, ARGUMENTS, NEED_NO_LOG
from tests.program import Program

BEGIN = {
    *("submit", "drain", "up", "serve", "worker", "pause", "user add", "project add", "token new", "db upgrade"),
    "restore",
}
"""Commands that bring something into a log that they make."""

LOOK_BY_THEMSELVES = {"verify", "rebuild", "db current", "db check", "db shell", "health"}
"""Commands that look at a database as it is, and made none before; their codes stand in the table."""


@pytest.fixture
def typo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that a setting names by mistake."""
    path = tmp_path / "there" / "typo.db"
    monkeypatch.setenv("QULEDGER_DATABASE", f"sqlite:///{path}")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return path


@pytest.mark.parametrize("command", sorted(ALL - NEED_NO_LOG - BEGIN - LOOK_BY_THEMSELVES))
def test_what_begins_no_log_names_the_setting(
    command: str, typo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With code 2, and neither the file nor its folder is made."""
    said = Program(tmp_path / "home", capsys).refused(*command.split(), *ARGUMENTS.get(command, "").split())
    assert f"there is no event log at sqlite:///{typo}" in said
    assert "where QULEDGER_DATABASE says" in said
    assert not typo.parent.exists()


def test_a_file_where_the_home_should_be_is_said_with_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are what has to be changed."""
    monkeypatch.setenv("QULEDGER_DATABASE", f"sqlite:///{tmp_path}/file/quledger.db")
    (tmp_path / "file").write_text("a file where a folder should be")
    code, _, said = Program(tmp_path / "home", capsys)("user", "add", "ann")
    assert code == 1
    assert "File exists; QULEDGER_HOME or QULEDGER_DATABASE names it" in said


@pytest.mark.parametrize("command", sorted(LOOK_BY_THEMSELVES))
def test_what_looks_at_a_database_makes_none(
    command: str, typo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As before."""
    code, _, _ = Program(tmp_path / "home", capsys)(*command.split(), *ARGUMENTS.get(command, "").split())
    assert code in (1, 3)
    assert not typo.parent.exists()


def test_backends_are_listed_without_a_log(typo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a new installation as well; it says that no jobs were counted."""
    program = Program(tmp_path / "home", capsys)
    said = program.said("backends")
    assert "rydberg" in said
    assert f"there is no event log at sqlite:///{typo}" in " ".join(said.split())
    assert {each["pending_jobs"] for each in program.json("backends")} == {0}
    assert not typo.parent.exists()


@pytest.mark.parametrize("command", ["adopt", "user import-qlued"])
def test_a_dry_run_changes_nothing(
    command: str, typo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what it would do to an empty log, and neither that nor a folder is made."""
    qlued_file.make(tmp_path / "qlued.db").close()
    store = tmp_path / "lab"
    monkeypatch.setenv("QULEDGER_STORAGE", store.as_uri())
    home = tmp_path / "home"
    said = Program(home, capsys).said(*command.split(), *([str(tmp_path / "qlued.db")] if "qlued" in command else []))
    assert "would" in said
    assert [path.exists() for path in (typo.parent, home, store)] == [False] * 3


def test_the_folder_of_a_mistyped_storage_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what only tries it; one that is there, empty or not, stays as it is."""
    program, store = Program(tmp_path / "home", capsys), tmp_path / "mis" / "typed"
    monkeypatch.setenv("QULEDGER_STORAGE", store.as_uri())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for command in ("storages", "storages --contract", "health"):
        program(*command.split())
        assert not store.parent.exists()
    store.mkdir(parents=True)
    assert program.said("storages") == "the storage: it can be used\n"
    assert store.exists()


@pytest.mark.parametrize("content", [b"", None])
def test_a_home_without_a_log(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the other setting; an empty file is none, and stays one. What hands in begins it, and then it is read."""
    home = tmp_path / "home"
    home.mkdir()
    if content is not None:
        (home / "quledger.db").write_bytes(content)
    program = Program(home, capsys)
    assert "in the home, which QULEDGER_HOME names" in program.refused("list")
    assert [(path.name, path.stat().st_size) for path in home.iterdir()] == (
        [] if content is None else [("quledger.db", 0)]
    )
    program.said("user", "add", "ann")
    assert program.json("list") == []
