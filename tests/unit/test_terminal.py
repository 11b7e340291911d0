"""What is printed arrives whatever the terminal is, and what goes wrong is one sentence."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deployments.cli import app as program
from deployments.cli import terminal
from deployments.cli.tables import Column, show_table
from models.errors import BadSetting
from models.settings import Settings
from tasks import prefect_settings

ROOT = Path(__file__).parents[2]
PRINT = """
import sys
from deployments.cli import terminal
terminal.prepare()
with open("/dev/null") as next_file:
    assert next_file.fileno() > 2, next_file.fileno()
assert sys.stdin.read() == ""
try:
    print({text!r}, flush=True)
except terminal.OutputLost as lost:
    print(lost, lost.refused, file=sys.stderr)
print("said")
print("to whom it may concern", file=sys.stderr)
"""


def run(shell: str, text: str = "hello", **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the few lines above by a shell that arranges the streams."""
    command = f'"$0" -c "$1" {shell}'
    variables |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    arguments = ["bash", "-o", "pipefail", "-c", command, sys.executable, PRINT.format(text=text)]
    return subprocess.run(
        arguments, env=os.environ | variables, capture_output=True, stdin=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "██ a… 0 ± 1 ü 量 \\udcfc ╭─╮ ⠋\n".encode()),
        ("latin-1", "## a~ 0 ± 1 ü \\u91cf \\udcfc +-+ *\n".encode("latin-1")),
        ("ascii", b"## a~ 0 +/- 1 \\xfc \\u91cf \\udcfc +-+ *\n"),
    ],
)
def test_any_text_is_printed_in_any_encoding(encoding: str, printed: bytes):
    """Our own characters have a plain one in their place, others are spelt out."""
    done = run("", "██ a… 0 ± 1 ü 量 \udcfc ╭─╮ ⠋", PYTHONIOENCODING=encoding)
    assert (done.stdout, done.returncode) == (printed + b"said\n", 0), done.stderr


@pytest.mark.parametrize("said", ["0", "00", "1", "-5", "²", "٣", "1e3", "x", "", "9" * 20])
def test_a_size_of_the_terminal_that_is_none_is_not_taken(said: str, monkeypatch: pytest.MonkeyPatch):
    """Else the help failed, or never ended."""
    monkeypatch.setenv("COLUMNS", said)
    monkeypatch.setenv("LINES", "24")
    terminal.settle_size()
    assert "COLUMNS" not in os.environ
    assert os.environ["LINES"] == "24"


def test_who_serves_waits_for_no_reader(monkeypatch: pytest.MonkeyPatch):
    """What nobody reads is left out and counted; a line that is read comes whole, and after that all do again."""
    monkeypatch.setattr(terminal, "PATIENCE", 0.1)
    read, write = os.pipe()
    try:
        out = io.TextIOWrapper(io.BufferedWriter(terminal._Descriptor(write, silent=False)), line_buffering=True)
        line = "x" * 99 + "\n"
        begun = time.monotonic()
        with terminal.serving():
            for _ in range(2000):
                out.write(line)
            assert time.monotonic() - begun < 5.0  # they have 200 kB, a pipe takes 64
            got = os.read(read, 10**6)
            assert got.startswith(line.encode() * 600)
            out.write("at last\n")
            said = os.read(read, 10**6).decode()
            left = 2000 - got.count(b"\n")
            assert said == f"\n[{left} lines were left out here: nobody read them]\nat last\n"
            out.write("as ever\n")
            assert os.read(read, 10**6) == b"as ever\n"
            for _ in range(1000):
                out.write(line)
            left = 1000 - os.read(read, 10**6).count(b"\n")
        out.write("over\n")
        assert os.read(read, 10**6).decode() == f"\n[{left} lines were left out here: nobody read them]\nover\n"
        out.detach()
    finally:
        os.close(read)
        os.close(write)


def test_a_pipe_that_lets_nobody_wait_is_waited_for():
    """Another program that shares it may have set it so."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [sys.executable, "-c", PRINT.format(text="x" * 100_000)]
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, stdout=writer
    )
    os.close(writer)
    with open(reader, "rb") as printed:
        assert printed.read() == b"x" * 100_000 + b"\nsaid\n"
    assert process.wait() == 0


def test_a_table_keeps_its_columns_in_any_encoding():
    """What is spelt out is as wide as it is then."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="quledger.spelt_out")
    console = Console(file=output)
    show_table(console, (Column("user"), Column("state")), [("Ünal", "DONE"), ("ann", "ERROR")])
    output.flush()
    lines = output.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert lines == ["user     state", "\\xdcnal  DONE", "ann      ERROR"]


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        (">/dev/full", b"the output cannot be written: No space left on device False\nto whom it may concern\n"),
        ("| true", b"the output cannot be written: Broken pipe True\nto whom it may concern\n"),
        (">&-", b"to whom it may concern\n"),
        ("2>&-", b""),
        ("2>/dev/full", b""),
        (">&- 2>&- <&-", b""),
    ],
)
def test_streams_that_are_closed_or_full(streams: str, said: bytes):
    """A loss is told once; whatever is closed is open to nothing, so that no file of ours takes its number."""
    # Whoever reads the pipe has gone before anything is written.
    done = run(f"{'< <(sleep 0.3)' if '|' in streams else ''} {streams}")
    assert (done.returncode, done.stderr) == (0, said)
    assert done.stdout == (b"hello\nsaid\n" if streams.startswith("2") else b"")


def test_an_unforeseen_error_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Where it came from stands in a log for its owner's eyes; its words, which may hold a secret, nowhere else."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setenv("QULEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(program, "app", fail)
    log = tmp_path / "home" / "cli.log"
    assert program._run(["list"]) == 1
    said = capsys.readouterr().err
    assert said == f"quledger: this failed, and should not have (RuntimeError); the details are in {log}\n"
    assert "RuntimeError: hunter2" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("QULEDGER_HOME", "/dev/null/x")
    assert program._run(["list"]) == 1
    assert "could not be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--user", ""], "--user is empty"),
        (["list", "--user="], "--user is empty"),
        (["submit", "x", "y", "--key", ""], "--key is empty"),
        (["status", ""], "an argument is empty"),
        (["list", "--limit", "1e400"], "--limit: got '1e400'; it must be a whole number"),
        (["list", "--limit", "9" * 5000], "it must be a whole number"),
        (["list", "--limit", "0"], "at least 1"),
        (["list", "--state", "SLEEPY"], "is no state"),
        (["list", "--nosuch"], "--nosuch"),
        (["sumbit"], "submit"),
        (["status"], "status requires an argument: JOB-ID"),
        (["pause", "rydberg", "--until"], "pause: --until requires an argument"),
        (["submit", "a b.json", "--backend", "qubits"], "submit: with --backend it takes --file 'a b.json'; or"),
        (["status", "abcd", "efgh"], "more than the command takes: 'efgh'"),
        (["cancel", "--since", "then", "--until", "now"], "'now' is no time"),
        (["export", "--archive", "a.zip", "--since", "then", "--until", "now"], "'now' is no time"),
        (["prune", "--days", "1e400"], "PREFECT_API_URL"),
        (["drain", "--time-budget", "nan"], "time budget"),
        (["drain", "--time-budget=-1"], "time budget"),
        (["drain", "--concurrency", "1" + "0" * 30], "from 1 to 64"),
        (["up", "--port", "1" + "0" * 30], "port"),
        (["up", "--port=-1"], "port"),
        (["submit", "singlequdit", "examples/bell.qasm", "--priority", "1" + "0" * 30], "priority"),
        (["wait", "abcd", "--timeout", "x"], "--timeout: got 'x'; it must be a number"),
        (["token", "new", "ann", "--days", "x"], "--days: got 'x'; it must be a number or never"),
        (["keys", "revoke", "x", "--since", "99999-01-01"], "it must be a time such as"),
    ],
)
def test_a_call_that_has_to_be_changed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
):
    """It ends with code 2 and one line that says what."""
    monkeypatch.setenv("QULEDGER_HOME", str(tmp_path))
    monkeypatch.delenv("QULEDGER_STORAGE", raising=False)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("tasks.services._services", None)
    assert program._run(arguments) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.startswith("quledger: ")
    assert line.count("\n") == 1
    assert len(line) < 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("PREFECT_API_URL", url)
            for url in ("nonsense", "http://[::1", "http://h:99999/api", "ftp://h/api", "http://ü/")
        ),
        ("PREFECT_API_AUTH_STRING", "ann:pässword"),
        ("PREFECT_SERVER_API_AUTH_STRING", "ann:pässword"),
    ],
)
def test_what_prefect_cannot_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    """Before Prefect is imported, and without its value."""
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=name) as caught:
        prefect_settings.prepare(Settings(home=tmp_path))
    assert value not in str(caught.value)


def test_variables_of_prefect_that_are_empty_are_unset(monkeypatch: pytest.MonkeyPatch):
    """As Docker Compose means them."""
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.setenv("PREFECT_API_KEY", "abc")
    prefect_settings.forget_empty_variables()
    assert "PREFECT_API_URL" not in os.environ
    assert os.environ["PREFECT_API_KEY"] == "abc"
