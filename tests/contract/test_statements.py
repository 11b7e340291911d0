"""How many statements the log asks of its database for one job: what each of them costs, every job pays."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, event

from models import clock
from models.facts import Compiled, Validated
from tests.contract.conftest import Houses

BEGIN = {"sqlite": 1, "postgresql": 0}
"""On SQLite the beginning of a transaction is a statement like others; of PostgreSQL the driver begins it."""


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Collect the statements of a block."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def test_a_job_costs_so_many_statements(tmp_path: Path, log_fixtures: Houses):
    """Submission, claim, three appends (one of two facts), a heartbeat and two looks at the job."""
    log_fixture = log_fixtures(tmp_path)
    log = log_fixture.log
    begin = BEGIN[log.engine.dialect.name]
    turn = 1 - begin
    with counted(log.engine) as statements:
        log_fixture.submit("j")
    assert len(statements) == begin + 4, statements
    with counted(log.engine) as statements:
        job = log_fixture.claim()
    assert len(statements) == (begin + 1) + (begin + turn + 7 + 3), statements
    with counted(log.engine) as statements:
        job = log.append(job, Validated(experiments=1, shots=1), attempt=1, actor="w")
    assert len(statements) == begin + 1 + 3, statements
    facts = Compiled(program_sha256="p", program_bytes=1, seed=5), log_fixture.executed(job)
    with counted(log.engine) as statements:
        log.append(job, *facts, attempt=1, actor="w")
    assert len(statements) == begin + 1 + 2 * 3, statements
    with counted(log.engine) as statements:
        log.heartbeat({"j": 1}, clock.now() + timedelta(seconds=60))
    assert len(statements) == begin + 3, statements
    with counted(log.engine) as statements:
        log.heartbeat({"j": 1}, clock.now() + timedelta(seconds=60))
    assert len(statements) == begin + 2, statements
    with counted(log.engine) as statements:
        log.get("j")
        log.history("j")
    assert len(statements) == 2 * (begin + 1), statements
