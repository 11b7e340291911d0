"""The program `quledger`. Each command prints for people, or with `--json` one JSON value for programs.

Exit codes: 0 it worked; 1 it did not work this time (storage, database, Prefect, result not there yet);
2 the caller can put it right (unknown job, bad setting, bad file); 3 `verify` found something that differs, or a result is not the one that was accepted.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from models.errors import InputError, NotAuthentic, QuledgerError
from models.settings import Settings

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON value.")]

app = App(
    name="quledger",
    help="Quantum jobs that people can trust: each one is a Prefect flow run, and its history is kept for ever.",
    help_flags=["--help", "-h"],
    version_flags=["--version"],
)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    as_json = "--json" in sys.argv
    try:
        code = app(exit_on_error=True)
    except InputError as error:
        code = _complain(error, 2, as_json=as_json)
    except NotAuthentic as error:
        code = _complain(error, 3, as_json=as_json)
    except QuledgerError as error:
        code = _complain(error, 1, as_json=as_json)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has had enough.
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: QuledgerError, code: int, *, as_json: bool) -> int:
    message = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(message) if as_json else f"quledger: {error}", file=sys.stderr)
    return code


def _print(value: Any, show: Callable[[], None], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(value))
    else:
        show()


@app.command
def submit(  # noqa: PLR0913 - one parameter an option
    backend: str,
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    user: str = "",
    project: str = "",
    priority: int = 0,
    key: str | None = None,
    shots: int | None = None,
    seed: int | None = None,
    storage: str = "",
    as_json: Json = False,
) -> int:
    """Hand in a job and print its id.

    Args:
        backend: Display name of the backend; `quledger backends` lists them.
        file: The job document (JSON), or an OpenQASM program for a qubit device; `-` reads standard input.
        user: Whose job it is.
        project: What it belongs to.
        priority: Higher is served first among the jobs of one user.
        key: Idempotency key: the same key with the same document, of one user in one project, is the same job.
        shots: Of an OpenQASM program; 1000 if left out. A JSON document says its own.
        seed: Of an OpenQASM program: the same seed gives the same counts.
        storage: Name of the storage that holds its documents, where there are several; the first one by default.
    """
    from deployments.cli.files import job_document  # noqa: PLC0415 - each command imports what it alone needs
    from models.errors import UnreadableFile  # noqa: PLC0415
    from tasks.jobs.submission import submit_document  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    try:
        document = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(file), error.strerror or "unknown reason") from None
    document = job_document(document, is_qasm=file.suffix == ".qasm", shots=shots, seed=seed)
    services = current()
    services.check_access(storage)
    job = submit_document(
        services, backend, document, user=user, project=project, priority=priority, key=key, storage=storage
    )
    _print({"job_id": job.job_id, "state": job.state}, lambda: print(job.job_id), as_json=as_json)
    return 0


@app.command
def drain(
    *,
    until_empty: Annotated[bool, Parameter(negative="")] = False,
    backend: Annotated[list[str] | None, Parameter(name=["--backend", "-b"])] = None,
    concurrency: int | None = None,
    time_budget: float | None = None,
    as_json: Json = False,
) -> int:
    """Serve the queues: take jobs from the storage and run each as a Prefect flow run.

    Args:
        until_empty: End when no job is left; otherwise go on until Ctrl-C.
        backend: Serve only this backend; may be repeated.
        concurrency: Jobs at once.
        time_budget: Seconds after which no more job is begun.
    """
    from deployments.processes.drain import drain_here  # noqa: PLC0415

    counts, unserved = drain_here(
        backend, concurrency, until_empty=until_empty, time_budget=time_budget, show=None if as_json else print
    )
    said = ", ".join(f"{number} {state}" for state, number in counts.items()) or "no jobs"
    _print(counts, lambda: print(f"drained: {said}"), as_json=as_json)
    for reason in unserved:
        print(f"quledger: {reason}", file=sys.stderr)
    return 1 if unserved else 0


@app.command
def up(*, port: int = 4200) -> int:
    """Serve everything: Prefect's server and UI, all deployments, their schedules. Ctrl-C stops it.

    Args:
        port: Of the server, on loopback.
    """
    from deployments.processes.up import up as serve  # noqa: PLC0415

    serve(port, lambda line: print(line, flush=True))
    return 0


@app.command
def worker() -> int:
    """Serve the deployments of the Prefect server that PREFECT_API_URL names: jobs, drains, schedules."""
    from deployments.processes.drain import work_here  # noqa: PLC0415

    work_here()
    return 0


@app.command
def status(job_id: str, *, as_json: Json = False) -> int:
    """Show where a job stands.

    Args:
        job_id: The job's id.
    """
    from deployments.cli import render  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    job, held = current().log.get(job_id), current().holds.why(job_id)
    value = render.status_value(job) | ({"held": held} if held else {})
    _print(value, lambda: render.status(job, held), as_json=as_json)
    return 0


@app.command
def result(job_id: str, *, csv: Annotated[bool, Parameter(negative="")] = False, as_json: Json = False) -> int:
    """Show the result of a job: a histogram for each experiment.

    Args:
        job_id: The job's id.
        csv: Print the counts as CSV instead.
    """
    from deployments.cli import render  # noqa: PLC0415
    from deployments.cli.results import result_document  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    document = result_document(current(), job_id)
    if csv:
        render.result_csv(document)
    else:
        _print(document, lambda: render.result(document), as_json=as_json)
    return 0


@app.command
def history(job_id: str, *, as_json: Json = False) -> int:
    """Show every event of a job.

    Args:
        job_id: The job's id.
    """
    from deployments.cli import render  # noqa: PLC0415
    from models.errors import UnknownJob  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    events = current().log.history(job_id)
    if not events:
        raise UnknownJob(job_id)
    _print([render.event_value(event) for event in events], lambda: render.history(events), as_json=as_json)
    return 0


@app.command
def retry(job_id: str, *, as_json: Json = False) -> int:
    """Give a job that ended in ERROR through no fault of its own another chance.

    Args:
        job_id: The job's id.
    """
    from tasks.jobs.submission import revive  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    job = revive(current(), job_id)
    _print({"job_id": job.job_id, "state": job.state}, lambda: print(f"job {job.job_id} waits again"), as_json=as_json)
    return 0


@app.command
def cancel(job_id: str, *, reason: str = "", as_json: Json = False) -> int:
    """Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.

    Args:
        job_id: The job's id.
        reason: Why; it is kept in the job's history.
    """
    from models.job import State  # noqa: PLC0415
    from tasks.jobs.submission import cancel as cancel_job  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    job = cancel_job(current(), job_id, by="operator", reason=reason)
    said = f"job {job_id} is cancelled" if job.state is State.CANCELLED else f"job {job_id} is being stopped"
    _print({"job_id": job_id, "state": job.state}, lambda: print(said), as_json=as_json)
    return 0


@app.command(name="list")
def list_jobs(*, backend: str = "", user: str = "", state: str = "", limit: int = 50, as_json: Json = False) -> int:
    """List jobs, newest first.

    Args:
        backend: Only of this backend.
        user: Only of this user.
        state: Only in this state, such as QUEUED, DONE or ERROR.
        limit: At most so many.
    """
    from deployments.cli import render  # noqa: PLC0415
    from models.errors import BadName, echo  # noqa: PLC0415
    from models.job import State  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    if state and state.upper() not in State.__members__:
        raise BadName(f"{echo(state)} is no state; there are: {', '.join(State)}")
    if limit < 1:
        raise BadName("the limit has to be at least 1")
    jobs = current().log.jobs(backend=backend, user=user, state=state.upper(), limit=limit)
    _print([render.status_value(job) for job in jobs], lambda: render.jobs(jobs), as_json=as_json)
    return 0


@app.command
def backends(*, as_json: Json = False) -> int:
    """List the backends of this installation and how many jobs wait for each."""
    from deployments.cli import render  # noqa: PLC0415
    from tasks.backends import registry  # noqa: PLC0415
    from tasks.services import current  # noqa: PLC0415

    counts, signer = current().log.counts(), current().keys
    rows = [
        registry.load(name).config.model_dump()
        | {
            "pending_jobs": counts.get(name, {}).get("waiting", 0),
            "running_jobs": counts.get(name, {}).get("running", 0),
            "sign": signer.signs(name),
            "kid": signer.kid(name),
        }
        for name in registry.usable()
    ]
    _print(rows, lambda: render.backends(rows), as_json=as_json)
    return 0


@app.command
def reconcile(*, as_json: Json = False) -> int:
    """Bring right what a crash left behind: expired leases, documents that do not follow the log."""
    from deployments.processes.drain import reconcile_here  # noqa: PLC0415

    done = reconcile_here()
    _print(done, lambda: print(", ".join(f"{number} {what}" for what, number in done.items())), as_json=as_json)
    if "held" in done:
        print("quledger: the log is behind its mirror; run `quledger restore`", file=sys.stderr)
    return 1 if done["failed"] or "held" in done or "left_out" in done else 0


@app.command
def verify(job_id: str | None = None, *, prefect: bool | None = None, as_json: Json = False) -> int:
    """Compare the log with itself, its views, the storage and Prefect; end with code 3 if anything differs.

    Args:
        job_id: Only this job; otherwise all of them, and every document that belongs to none.
        prefect: Compare with Prefect; by default where PREFECT_API_URL is set.
    """
    from deployments.cli.audit import Verification  # noqa: PLC0415

    verification = Verification(prefect=prefect)
    findings = []
    count = 0
    for finding in verification.findings(job_id):
        count += 1
        if as_json:
            findings.append(finding.model_dump())
        else:
            print(finding)
    value = {
        "jobs": verification.jobs,
        "findings": findings,
        "prefect": verification.silent or None,
        "left_out": verification.left_out,
        "notes": verification.notes,
        "logged": verification.logged,
    }
    lines = [f"not compared: {reason}" for reason in verification.left_out]
    lines += [f"note: {note}" for note in verification.notes]
    lines.append(f"{verification.jobs} jobs verified: {count or 'no'} differences")
    _print(value, lambda: print("\n".join(lines)), as_json=as_json)
    if verification.silent:
        print(f"quledger: {verification.silent}", file=sys.stderr)
    for sentence in verification.logged:
        print(f"quledger: within a day there were {sentence}", file=sys.stderr)
    return 3 if count else 1 if verification.silent or verification.incomplete else 0


app.command(
    "deployments.cli.keys:app", name="keys", help="Make, show, rotate and revoke the keys with which backends sign."
)


@app.command
def prune(*, days: float = 30, as_json: Json = False) -> int:
    """Delete old runs in Prefect's own database, which PREFECT_API_URL names. The event log keeps all of its history.

    Args:
        days: Runs that ended longer ago than so many days are deleted.
    """
    from deployments.cli.audit import prune_here  # noqa: PLC0415

    done = prune_here(days)
    said = f"deleted {done['deleted']} runs that ended more than {days:g} days ago; left {done['left']} of unknown jobs"
    _print(done, lambda: print(said), as_json=as_json)
    return 0


@app.command
def rebuild(*, as_json: Json = False) -> int:
    """Make the views of the log anew from its events; nothing else is changed. Stop the drains before."""
    from deployments.cli.audit import rebuild_here  # noqa: PLC0415

    done = rebuild_here()
    _print(done, lambda: print(f"rebuilt {done['jobs']} jobs from {done['events']} events"), as_json=as_json)
    return 0


@app.command
def restore(
    *,
    source: Annotated[list[str] | None, Parameter(name="--from")] = None,
    mirror_wins: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Bring the log up to the histories in the storages: an empty one gets all of them, or nothing.

    Args:
        source: URL of a storage; may be repeated. Without it, the storages of the settings.
        mirror_wins: Where log and mirror each hold what the other does not, take over the mirror's events and set the
            log's aside, even if these have ended the job.
    """
    from deployments.cli.audit import restore_here  # noqa: PLC0415

    done = restore_here(source, mirror_wins=mirror_wins)
    forks = [fork._asdict() for fork in done.forks]
    lines = [f"not read: {name}: {reason}" for name, reason in done.left_out.items()]
    lines += [fork.message for fork in done.forks]
    lines.append(f"restored {done.counts['jobs']} jobs with {done.counts['events']} events\nNext: quledger reconcile")
    value: dict[str, Any] = {**done.counts, "forks": forks, "left_out": done.left_out}
    _print(value, lambda: print("\n".join(lines)), as_json=as_json)
    unsettled = not all(fork.settled for fork in done.forks)
    if unsettled:
        print("quledger: jobs stay held; look at them, then `quledger restore --mirror-wins`", file=sys.stderr)
    return 1 if unsettled or done.left_out else 0


@app.command
def config(*, as_json: Json = False) -> int:
    """Print all settings, without secrets; each one is the environment variable QULEDGER_<NAME>."""
    from deployments.cli import render  # noqa: PLC0415

    values = Settings.read().redacted()
    _print(values, lambda: render.settings(values), as_json=as_json)
    return 0


@app.command
def demo(*, folder: Path = Path(".demo"), as_json: Json = False) -> int:
    """Submit seven real jobs to all four backends, two of them bad, run them, and show what came out.

    Args:
        folder: Where the demo keeps its database and storage; it is made anew.
    """
    from deployments.demo import run_demo  # noqa: PLC0415

    return run_demo(folder, as_json=as_json)


if __name__ == "__main__":
    main()
