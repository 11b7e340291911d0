"""Tables in a terminal: nothing that a name or a reason holds takes away what tells the rows apart."""

import io
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from deployments.cli import demo, render, results
from deployments.cli.config import print_settings
from flows.artifacts.outcomes import Counted
from models.errors import Fault
from models.events import seal
from models.facts import CancelRequested, Claimed, Compiled, Failed, Submitted
from models.job import Job, State, apply
from tests.installation import Installation

WHEN = datetime(2026, 11, 21, 9, 10, 46, tzinfo=UTC)
ODD = {
    "plain": "x",
    "long": "a long reason, in words, " * 80,
    "one word": "w" * 2000,
    "wide": "量子计算" * 60,
    "combining": "e\u0301\u0323" * 200,
    "leading accent": "\u0301" * 30 + "x",
    "right to left": "שלום עולם " * 20,
    "override": "\u202e\u2066evil\u2069\u200f" * 20,
    "control": "\x1b[2J\x1b[31m\x07\r\n\t\x00\x9b" * 10,
    "markup": "[bold red][/] [link=http://x]y[/link]" * 10,
    "surrogate": "\ud800" * 20,
    "emoji": "👩\u200d👩\u200d👧 ❤\ufe0f 🇩🇪 " * 20,
}
IDS = ["0123456789abcdef01234567", "20261120_101112-singlequdit-carol-of-the-lab-0a1b2", "j"]


class Terminal(io.StringIO):
    """What looks like a terminal to whoever prints, or like a pipe."""

    def __init__(self, *, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return what a function prints on a terminal of so many cells (None: into a pipe), line by line."""

    def lines(width: int | None, function: Callable[..., None], *arguments: Any) -> list[str]:
        out = Terminal(tty=width is not None)
        console = Console(file=out, width=width or 240, color_system=None, legacy_windows=False)
        monkeypatch.setattr(render, "console", console)
        function(*arguments)
        text = out.getvalue()
        assert re.search(r"[^\n -~\u00a0-\U0010ffff]", text) is None, "a control character"
        assert not any(each in text for each in "\u202e\u2066\u2069\u200f\u200d")
        return text.splitlines()

    return lines


def job(job_id: str, state: State = State.ERROR, **fields: Any) -> Job:
    """Return a job as the log would show it."""
    about: dict[str, Any] = {
        "backend": "singlequdit",
        "user": "alice",
        "project": "",
        "priority": 0,
        "source": "cli",
        "document_sha256": "",
        "document_bytes": 1,
        "received_at": WHEN,
        "submitted_at": WHEN,
        "updated_at": WHEN + timedelta(seconds=1),
        "attempt": 12,
    }
    return Job(job_id=job_id, state=state, **(about | fields))


def reason(text: str) -> dict[str, Any]:
    """Return the fields of a job that ended for this reason; a fault bounds it, an old log need not have."""
    return {"faults": (Fault.model_construct(message=text, experiment=None, field=None),), "fault_count": 1}


@pytest.mark.parametrize("width", [80, 100, 200, None])
@pytest.mark.parametrize("what", ODD)
def test_list_keeps_id_user_state_and_attempt(printed: Callable[..., list[str]], what: str, width: int | None):
    """Whatever one job's user, backend or reason is, each row has its whole id, user, state and attempt in place."""
    odd = ODD[what]
    jobs = [
        job(IDS[0], State.DONE, user="bob", attempt=1),
        job(IDS[1], **reason(odd)),
        job(IDS[2], State.WITHDRAWN, user=odd, backend=odd[:50], attempt=345),
    ]
    lines = printed(width, render.jobs, jobs)
    head = lines[0]
    at = {name: cell_len(head[: head.index(name)]) for name in ("job", "user", "state", "attempt")}
    assert list(at) == sorted(at, key=lambda name: at[name])
    for each, user, state, attempt in zip(
        jobs, ("bob", "alice", None), ("DONE", "ERROR", "WITHDRAWN"), ("1", "12", "345"), strict=True
    ):
        (line,) = [line for line in lines if line.startswith(each.job_id + " ")]
        cells = {name: _from(line, start) for name, start in at.items()}
        assert cells["state"].split()[0] == state
        assert cells["attempt"].split()[0] == attempt
        assert user is None or cells["user"].split()[0] == user
        assert cells["user"].strip()
    if width is None:
        assert len(lines) == 4
        assert "…" not in "".join(lines)
    elif width >= 100:
        assert all(cell_len(line) <= width for line in lines)


def _from(line: str, cells: int) -> str:
    """Return the line from so many cells on; a column begins there, so no character stands across."""
    for at in range(len(line) + 1):
        if cell_len(line[:at]) == cells and (at == len(line) or cell_len(line[at]) > 0):
            assert line[at - 1] == " " or at == 0
            return line[at:]
    raise AssertionError(line)


@pytest.mark.parametrize("width", [80, 200])
def test_the_usual_list_fits_its_terminal(printed: Callable[..., list[str]], width: int):
    """With ids as we make them no line is longer than the terminal is wide."""
    jobs = [job(f"{nth:024x}", user=odd, **reason(odd)) for nth, odd in enumerate(ODD.values())]
    lines = printed(width, render.jobs, jobs)
    assert max(cell_len(line) for line in lines) <= width
    assert sum(line.startswith("0000") for line in lines) == len(ODD)


@pytest.mark.parametrize("width", [40, 80, 200, None])
@pytest.mark.parametrize("what", ODD)
def test_status_shows_the_whole_id_and_all_of_the_reason(
    printed: Callable[..., list[str]], what: str, width: int | None
):
    """The id is not broken, and a reason is wrapped, not cut."""
    lines = printed(width, render.status, job(IDS[1], user=ODD[what][:60], **reason(ODD[what])))
    assert lines[0] == f"job        {IDS[1]}"
    assert any(re.match(r"state +ERROR$", line) for line in lines)
    assert "…" not in "".join(lines)


def events(text: str) -> list[Any]:
    """Return the history of a job that failed for a reason."""
    submitted = Submitted.of(b"{}", keep_up_to=9, backend="singlequdit", source="cli", received_at=WHEN)
    fault = Fault.model_construct(message=text, experiment=None, field=None, instruction=None, name=None)
    failed = Failed.model_construct(stage="lease", blame="backend", faults=(fault,), fault_count=1)
    first = seal(submitted, job_id="j", seq=0, attempt=0, recorded_at=WHEN, actor="w", flow_run_id="r", prev_hash="0")
    assert apply(None, first).state is State.QUEUED
    text = text.encode("utf-8", "replace").decode()  # what the log can hold
    fault.__dict__["message"] = text
    second = seal(failed, job_id="j", seq=1, attempt=3, recorded_at=WHEN, actor="w", flow_run_id="r", prev_hash="0")
    return [first, second]


@pytest.mark.parametrize("width", [80, 200, None])
@pytest.mark.parametrize("what", ODD)
def test_history_keeps_number_attempt_and_event(printed: Callable[..., list[str]], what: str, width: int | None):
    """However long or odd the reason of a failure is, each event has one row that begins with its columns."""
    lines = printed(width, render.history, events(ODD[what]))
    rows = [line for line in lines if line.startswith("09:10:46.000")]
    assert rows[0].startswith("09:10:46.000  0    0        submitted  singlequdit, 2 bytes")
    assert rows[1].startswith("09:10:46.000  1    3        failed     in lease")
    assert len(rows) == 2
    assert width is None or max(cell_len(line) for line in lines) <= width
    assert width is not None or len(lines) == 4


def test_a_history_leaves_out_what_says_nothing(printed: Callable[..., list[str]]):
    """No hash of a holder, no reason that nobody gave, nothing that did not happen; a zero is said."""
    holder = "f9" * 32
    facts = [
        Claimed(worker="w1", lease_until=WHEN, lease_seconds=0.0, holder=holder),
        Claimed(worker="w1", lease_until=WHEN, lease_seconds=9.0, holder=holder, handed_on=True),
        CancelRequested(by="operator"),
        CancelRequested(by="operator", reason="too hot"),
    ]
    place = {"job_id": "j", "attempt": 1, "recorded_at": WHEN, "actor": "w", "flow_run_id": None, "prev_hash": "0"}
    lines = printed(None, render.history, [seal(fact, seq=seq, **place) for seq, fact in enumerate(facts)])
    said = [re.split(r"claimed +|cancel_requested +", line)[1] for line in lines[1:]]
    assert said == [
        "worker w1, lease_until 2026-11-21T09:10:46.000000+00:00, lease_seconds 0.0",
        "worker w1, lease_until 2026-11-21T09:10:46.000000+00:00, lease_seconds 9.0, handed_on True",
        "by operator",
        "by operator, reason too hot",
    ]


def test_the_seed_in_a_history_is_named_as_the_jobs(printed: Callable[..., list[str]]):
    """An experiment may have one of its own, which is in the document."""
    compiled = Compiled(program_sha256="cd" * 32, program_bytes=9, seed=7)
    place = {"job_id": "j", "attempt": 1, "recorded_at": WHEN, "actor": "w", "flow_run_id": None, "prev_hash": "0"}
    assert printed(None, render.history, [seal(compiled, seq=0, **place)])[1].endswith("job's seed 7")


@pytest.mark.parametrize("width", [80, 200, None])
@pytest.mark.parametrize("what", ODD)
def test_a_histogram_keeps_bars_and_counts(printed: Callable[..., list[str]], what: str, width: int | None):
    """Outcomes of any length go on below; each bar has its count and its share beside it."""
    lines = printed(width, results.histogram, "experiment_0", Counted(Counter({ODD[what]: 30, "1 0": 10})))
    assert lines[0] == "experiment_0: 40 shots"
    assert sum(bool(re.search(r"█{40}  30  +0\.750", line)) for line in lines) == 1
    assert sum(bool(re.search(r"^1 0 +█{13} +10 +0\.250", line)) for line in lines) == 1
    assert width is None or max(cell_len(line) for line in lines) <= width


@pytest.mark.parametrize("width", [80, 200, None])
@pytest.mark.parametrize("what", ODD)
def test_backends_and_demo_keep_their_columns(printed: Callable[..., list[str]], what: str, width: int | None):
    """A plug-in with an odd version and many instructions pushes nothing out of the table."""
    config = {
        "description": ODD[what],
        "version": ODD[what],
        "display_name": "plugin",
        "cold_atom_type": "spin",
        "gates": [],
        "max_experiments": 1,
        "max_shots": 1000,
        "simulator": True,
        "supported_instructions": [ODD[what]] * 5,
        "num_wires": 7,
        "wire_order": "interleaved",
        "num_species": 1,
    }
    counted = {"pending_jobs": 42, "running_jobs": 43, "sign": False, "kid": None}
    row = config | counted | {"status_msg": None, "last_queue_check": None}
    lines = printed(width, render.backends, [row])
    (line,) = [line for line in lines if line.startswith("plugin ")]
    assert [word for word in line.split() if word in ("7", "1000", "42", "43")] == ["7", "1000", "42", "43"]

    def told() -> None:
        story = demo.Story("x", "singlequdit", ODD[what])
        render.show_table(render.console, demo.TABLE, [demo._row(story, job(IDS[0], **reason(ODD[what])))])

    assert any(re.match(rf"{IDS[0]}  singlequdit  ERROR", line) for line in printed(width, told))


@pytest.mark.parametrize("width", [80, None])
def test_settings_and_results_are_shown_as_they_are(printed: Callable[..., list[str]], width: int | None):
    """What looks like a style is text, and nothing is cut."""
    value = "/data/[bold]/" + "x" * 300
    assert f"QULEDGER_HOME='{value}'" in printed(width, print_settings, {"home": value})
    others = {"devices": None, "sign": False, "dispatch": {"rydberg": "deployment"}, "poll_seconds": 0.2}
    lines = ["DEVICES=", "SIGN=false", """DISPATCH='{"rydberg": "deployment"}'""", "POLL_SECONDS=0.2"]
    assert printed(width, print_settings, others)[: len(lines)] == [f"QULEDGER_{line}" for line in lines]


@pytest.mark.slow
def test_findings_are_one_line_each(lone_installation: Installation):
    """`verify` prints each finding on a line of its own with the whole id, whatever a foreign document is called."""
    installation = lone_installation
    name = ("\u202e量\n\x1b[31m" * 9).encode().decode()
    installation.storage.put(f"status/singlequdit/{name}.json", b"{}")
    installation.storage.put(f"results/singlequdit/{IDS[1]}.json", b"{}")
    installation.submit("singlequdit", "{}")
    lines = installation.run("verify", check=False, COLUMNS="80").stdout.splitlines()
    assert len(lines) == 3
    assert any(line.startswith(f"{IDS[1]} foreign: ") for line in lines)
    assert all(line.isprintable() for line in lines)
