"""The command line: help, JSON, exit codes, and what it says when something is wrong."""

import http.server
import inspect
import json
import pkgutil
import re
import sys
import threading
from pathlib import Path

import pytest

from deployments.cli.app import app
from deployments.cli.commands import COMMANDS as REGISTERED
from deployments.cli.commands import GROUPS, PANELS
from models.settings import Settings, redact_url
from tests.installation import Installation

COMMANDS = [name for name in REGISTERED if name not in {"serve", "up", "worker"}]
"""Those that print one value for programs."""

GROUPED = [(title, name, *said) for title, (_, commands) in GROUPS.items() for name, said in commands.items()]
"""The commands of commands: both names, the function, and the line about it."""

EXAMPLE = "examples/rabi_oscillation.json"


@pytest.mark.parametrize("command", [*COMMANDS, *(f"{title} {name}" for title, name, *_ in GROUPED)])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    """`--help` of each command says what it does and knows `--json`."""
    app([*command.split(), "--help"], exit_on_error=False, result_action="return_value")
    text = capsys.readouterr().out
    assert "Usage" in text
    assert "--json" in text


def test_help_lists_every_command(lone_installation: Installation):
    """The program's own help names all commands, in the order of what is needed first."""
    text = lone_installation.run("--help", cold=True).stdout
    placed = [name for names in PANELS.values() for name in names]
    assert sorted(placed) == sorted({*REGISTERED, *GROUPS})
    assert re.findall(r"^│ ([a-z][a-z-]*) ", text, re.MULTILINE) == placed
    assert re.findall(r"^╭─ ([A-Z][\w ]+) ─", text, re.MULTILINE) == [*PANELS, "Options"]


@pytest.mark.parametrize(("function", "line"), [*REGISTERED.values(), *(said for _, _, *said in GROUPED)])
def test_the_help_says_what_the_function_says(function: str, line: str):
    """The line about a command, which is read without importing it, is the first one of its documentation."""
    said, _, _ = (inspect.getdoc(pkgutil.resolve_name(f"deployments.cli.{function}")) or "").partition("\n\n")
    assert said == line


@pytest.mark.parametrize("arguments", [("config", "--json"), ("status", "nosuch"), ("list",), ("nosuch",)])
def test_a_forked_program_is_the_installed_one(lone_installation: Installation, arguments: tuple[str, ...]):
    """The tests' quick way to start the program and the usual one say the same and end with the same code."""
    forked, installed = (lone_installation.run(*arguments, check=False, cold=cold) for cold in (False, True))
    assert (forked.returncode, forked.stdout) == (installed.returncode, installed.stdout)
    assert forked.stderr == installed.stderr


def test_submit_prints_the_id_alone(lone_installation: Installation):
    """`submit` prints the job's id and nothing else, and the job waits."""
    job = lone_installation.run("submit", "singlequdit", EXAMPLE, cold=True).stdout
    assert len(job.strip()) == 24
    assert job.strip().isalnum()
    assert lone_installation.json("status", job.strip())["state"] == "QUEUED"
    assert (lone_installation.store / f"jobs/queued/singlequdit/{job.strip()}.json").exists()


def test_submit_names_all_faults_and_stores_nothing(lone_installation: Installation, tmp_path: Path):
    """What the run would refuse is refused at once; unasked, or of a backend that cannot be loaded, it is handed in."""
    bad = json.dumps({"experiment_0": {"instructions": [["nope", [0], []]], "num_wires": 3, "shots": 0}})
    refused = lone_installation.run("submit", "singlequdit", "-", "--json", text=bad, check=False)
    assert refused.returncode == 2
    message = json.loads(refused.stderr)["message"]
    assert all(word in message for word in ("shots: got 0", "num_wires: got 3", "got 'nope'", "there is no measure"))
    assert lone_installation.states() == {}
    assert not list(lone_installation.store.rglob("*.json"))
    lone_installation.run("submit", "singlequdit", "-", "--no-check", text=bad)
    (tmp_path / "broken.json").write_text("{}")
    unsure = lone_installation.run("submit", "broken", EXAMPLE, QULEDGER_DEVICES=str(tmp_path))
    assert "without a check: the backend failed" in unsure.stderr
    assert list(lone_installation.states().values()) == ["QUEUED", "QUEUED"]


def test_one_key_is_one_job(lone_installation: Installation):
    """The same idempotency key twice gives the same job; with another document it is refused."""
    installation = lone_installation
    first, second = (installation.run("submit", "singlequdit", EXAMPLE, "--key", "k1").stdout for _ in range(2))
    assert first == second
    assert len(installation.states()) == 1
    other = installation.run("submit", "singlequdit", "examples/spin_squeezing.json", "--key", "k1", check=False)
    assert other.returncode == 2
    assert "another document" in other.stderr


def test_a_sweep_that_is_killed_is_completed(lone_installation: Installation, tmp_path: Path):
    """Killed when half of it has begun, it goes on with the rest; nothing begins twice."""
    (tmp_path / "sweep.csv").write_text("\n".join(["theta", *(f"{nth / 100}" for nth in range(100))]))
    instructions = [["load", [0], [20]], ["rlx", [0], ["{theta}"]], ["measure", [0], []]]
    template = {"experiment_0": {"instructions": instructions, "num_wires": 1, "shots": 4}}
    (tmp_path / "job.json").write_text(json.dumps(template))
    call = ("submit", "singlequdit", "--sweep", str(tmp_path / "sweep.csv"), "--template", str(tmp_path / "job.json"))
    killed = lone_installation.run(*call, "--no-check", check=False, QULEDGER_CRASH="submission.committed:kill:1")
    assert killed.returncode == -9
    assert len(lone_installation.states()) == 50
    said = lone_installation.json(*call, "--no-check")
    assert (said["submitted"], said["present"], len(lone_installation.states())) == (50, 50, 100)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("submit", "nosuch", EXAMPLE), 2, "no backend is called 'nosuch'"),
        (("submit", "rydberg", "nosuch.json"), 2, "cannot be read"),
        (("status", "nosuch"), 2, "no job has the id"),
        (("history", "../../etc/passwd"), 2, "no job has the id"),
        (("retry", "nosuch"), 2, "no job has the id"),
        (("result", "nosuch"), 2, "no job has the id"),
        (("drain", "--backend", "nosuch", "--until-empty"), 2, "no backend is called 'nosuch'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    lone_installation: Installation, arguments: tuple[str, ...], code: int, said: str
):
    """A call that cannot work ends with code 2 and one sentence, which is JSON if that was asked, and no traceback."""
    assert lone_installation.states() == {}  # and with it a log is begun
    as_json = arguments[0] != "submit"
    done = lone_installation.run(*arguments, *(["--json"] if as_json else []), check=False)
    assert done.returncode == code
    assert said in (json.loads(done.stderr)["message"] if as_json else done.stderr)
    assert "Traceback" not in done.stderr


def test_a_job_without_result_has_an_exit_code(lone_installation: Installation):
    """Asking too early for a result ends with code 1 and says where the job stands."""
    job = lone_installation.run("submit", "singlequdit", EXAMPLE).stdout.strip()
    done = lone_installation.run("result", job, check=False)
    assert done.returncode == 1
    assert "QUEUED" in done.stderr


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("QULEDGER_CONCURRENCY", "many", "QULEDGER_CONCURRENCY"),
        ("QULEDGER_DISPATCH", '{"rydburg": "deployment"}', "no backend is called 'rydburg'"),
        ("QULEDGER_MOST_AT_ONCE", '{"rydburg": 1}', "no backend is called 'rydburg'"),
        ("QULEDGER_STORAGE", "/no/url", "no URL"),
        ("QULEDGER_DATABASE", "nonsense", "no URL"),
        ("QULEDGER_DATABASE", "oracle://scott:tiger@h/d", "not supported"),
        ("QULEDGER_HOME", "/dev/null/x", "folder"),
        ("PREFECT_API_URL", "http://127.0.0.1:9/api", "Prefect does not answer"),
    ],
)
def test_a_bad_setting_is_named_and_its_value_is_not(
    lone_installation: Installation, setting: str, value: str, said: str
):
    """A setting that cannot be used is named in one sentence that holds no secret."""
    done = lone_installation.run(
        "drain", "--until-empty", check=False, **{"QULEDGER_HOME": str(lone_installation.home), setting: value}
    )
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "tiger" not in done.stderr
    assert "Traceback" not in done.stderr


class _Somebody(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Welcome</h1>")

    do_POST = do_GET  # noqa: N815 - so it is called

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("command", "code"), [("drain", 1), ("prune", 1), ("reconcile", 0)])
def test_a_server_that_is_no_prefect_is_named(lone_installation: Installation, command: str, code: int):
    """Somebody else's server at `PREFECT_API_URL`, and a slash at its end: one sentence; 0 where it was not needed."""
    lone_installation.submit("singlequdit", {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Somebody) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/api/"
        done = lone_installation.run(command, check=False, PREFECT_API_URL=url)
        server.shutdown()
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert ("127.0.0.1" in done.stderr) == bool(code)


def test_config_shows_no_secret(lone_installation: Installation):
    """`config` prints every setting, and passwords as ***."""
    values = lone_installation.json("config", QULEDGER_STORAGE="s3://user:hunter2@bucket/x?token=hunter3")
    assert values["storage"] == "s3://***@bucket/x?***"
    assert values["home"] == str(lone_installation.home)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:hunter2@db.lab:5432/log", "postgresql://***@db.lab:5432/log"),
        ("postgresql://ann:hun::ter2@[::1]/log?sslmode=require", "postgresql://***@[::1]/log?***"),
        ("postgresql+psycopg://ann:hun?ter2@db.lab/log", "postgresql+psycopg://***?***"),
        ("postgresql:///log?password=hun@ter2", "postgresql://***?***"),
    ],
)
def test_the_address_of_a_database_is_shown_without_its_password(url: str, shown: str):
    """Whatever stands in a password, nothing of it is printed."""
    assert redact_url(url) == shown
    assert "hun" not in repr(Settings(database=url))


def test_backends_lists_them_all(lone_installation: Installation):
    """`backends` lists each backend with its configuration and its queue."""
    lone_installation.run("submit", "fermions", "examples/fermionic_hop.json")
    rows = {row["display_name"]: row for row in lone_installation.json("backends")}
    assert list(rows) == ["singlequdit", "multiqudit", "fermions", "rydberg", "qubits", "noisyqubits"]
    assert rows["fermions"]["pending_jobs"] == 1
    assert "fermions" in lone_installation.run("backends").stdout


def test_a_storage_that_cannot_be_written_is_named(lone_installation: Installation, tmp_path: Path):
    """A drain on a storage that cannot be written ends with one sentence; the jobs keep waiting."""
    installation = lone_installation
    job = installation.run("submit", "singlequdit", EXAMPLE).stdout.strip()
    (tmp_path / "file").write_text("not a folder")
    storage = (tmp_path / "file" / "store").as_uri()
    done = installation.run("drain", "--until-empty", check=False, QULEDGER_STORAGE=storage)
    assert done.returncode == 1
    assert "the storage does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert installation.json("status", job)["state"] == "QUEUED"


def test_submit_works_while_the_storage_does_not(lone_installation: Installation, tmp_path: Path):
    """A job handed in while the storage is down is in the log; `reconcile` writes its documents later."""
    installation = lone_installation
    (tmp_path / "file").write_text("not a folder")
    storage = (tmp_path / "file" / "store").as_uri()
    job = installation.run("submit", "singlequdit", EXAMPLE, QULEDGER_STORAGE=storage).stdout.strip()
    down = installation.run("reconcile", "--json", check=False, QULEDGER_STORAGE=storage)
    assert (down.returncode, json.loads(down.stdout)["failed"]) == (1, 1)
    assert installation.json("reconcile") == {"expired": 0, "relayed": 1, "failed": 0, "crashed": 0}
    assert installation.read(f"status/singlequdit/{job}.json")["status"] == "INITIALIZING"
    assert installation.json("reconcile") == {"expired": 0, "relayed": 0, "failed": 0, "crashed": 0}


def test_the_demo_tells_its_story(lone_installation: Installation, tmp_path: Path):
    """`demo` runs seven jobs, two of them bad, and shows table, histogram, history and what to try next."""
    installation = lone_installation
    done = installation.run("demo", "--folder", str(tmp_path / "demo"))
    assert done.stdout.count("DONE") >= 5
    assert done.stdout.count("ERROR") >= 2
    for part in ("Rabi", "blockade", "█", "submitted", "completed", "What to try next", "not JSON", "rly"):
        assert part in done.stdout, part
    assert "Traceback" not in done.stdout + done.stderr
    # What it proposes works in any folder, and says how to leave the demo again.
    export = next(line.strip() for line in done.stdout.splitlines() if "export QULEDGER_HOME" in line)
    assert export.startswith(f"export QULEDGER_HOME={tmp_path / 'demo'} PATH={Path(sys.executable).parent}:")
    assert "unset QULEDGER_HOME" in done.stdout
    again = installation.run("demo", "--folder", str(tmp_path), check=False)
    assert again.returncode == 2
    assert "is no demo's folder" in again.stderr
