"""No command about one job or one page reads all events or all jobs: each of its statements has an index to go by."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from models import clock
from models.facts import Submitted, Validated
from tasks.jobs.why import drained_at
from tasks.services import Services
from tests.contract.databases import Databases
from tests.finished import experiment, finish, run
from tests.program import Program

NOT_QUITE = {"diff", "results", "health", "export", "verify"}
"""Commands that have something to say of jobs which were made like this."""

MOST_COMMANDS = 100
ONE, OTHER, WAITING, RUNNING = ("done", "other", "waits", "runs")
COMMANDS = f"""
status {ONE}
status {WAITING}
status {ONE} --at 0s
history {ONE}
why {WAITING}
why {RUNNING}
result {ONE}
diff {ONE} {OTHER}
verify {ONE}
wait {ONE}
watch {ONE}
label {ONE} sample=A7
list
list --backend rydberg
list --user ann
list --state queued
list --state executed
list --state done
list --state error
list --state error --user ann
list --group sweep
list --label sample=A7
list --at 0s --backend rydberg
group
group sweep
results --withdrawn
results --standing-on cccc
backends
backends history rydberg
export {ONE} --jobs FOLDER/jobs.parquet
export {ONE} --archive FOLDER/jobs.zip --no-programs
pause rydberg
resume rydberg
cancel --user ann --state queued
cancel --backend rydberg --state queued
cancel --group sweep
retry --backend rydberg
cancel {WAITING}
health
user list
token list
"""

IN_ORDER = re.compile(
    r"SCAN job USING (COVERING )?INDEX ix_job_(recent|labelled|group)$|SCAN event USING INDEX ix_event_"
)
"""Read until a page is full, or small parts of the table."""

Asked = list[tuple[str, Any]]


def reads_all(connection: Connection, asked: Asked) -> list[str]:
    """Return the statements that read `event` or `job` as a whole."""
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:
        # Of a table with a few rows it would read all, index or not.
        connection.exec_driver_sql("SET enable_seqscan = off")
    found = []
    for said, values in asked:
        plan = connection.exec_driver_sql(f"EXPLAIN {'' if is_postgres else 'QUERY PLAN '}{said}", values)
        steps = [str(row[-1]).strip(" ->") for row in plan]
        whole = [step for step in steps if re.match(r"(SCAN|Seq Scan on) (event|job)\b", step)]
        found += [f"{said}: {step}" for step in whole if not IN_ORDER.match(step)]
    return found


def submit(services: Services, job_id: str, user: str) -> None:
    """Hand in a job of a group."""
    about = {"backend": "rydberg", "user": user, "group": "sweep", "source": "cli", "received_at": clock.now()}
    services.log.submit(job_id, Submitted.of(job_id.encode(), keep_up_to=9, **about), "test")


def test_no_tool_reads_the_whole_log(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Each command works, and of what it asks the database nothing is answered by all events or all jobs."""
    url = databases.new(tmp_path)
    monkeypatch.setenv("QULEDGER_DATABASE", url)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    program = Program(tmp_path / "home", capsys)
    with program.services() as services:
        for job_id, user in ((ONE, "ann"), (OTHER, "bob"), (RUNNING, "bob"), (WAITING, "ann")):
            submit(services, job_id, user)
        finish(services, ONE, experiment("e", "0", "1"))
        finish(services, OTHER, experiment("e", "1", "1"))
        run(services, RUNNING, Validated(experiments=1, shots=1))
        services.relay.update_all()
    asked: Asked = []

    def note(_connection: Any, _cursor: Any, said: str, values: Any, *_: Any) -> None:
        if re.match(r"\s*(SELECT|WITH|UPDATE|DELETE)\b", said):
            asked.append((said, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for line in COMMANDS.replace("FOLDER", str(tmp_path)).strip().splitlines():
            if line.startswith("verify") and databases.kind == "postgresql":
                continue  # it keeps a connection of its own until the process ends
            code, _, err = program(*line.split())
            assert code == 0 or line.split()[0] in NOT_QUITE, (line, code, err)
        with program.services() as services:
            assert drained_at(services).keys() == {"rydberg"}
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    with databases.open(url).connect() as connection:
        assert len(asked) > MOST_COMMANDS
        assert reads_all(connection, asked) == []
