"""`quledger demo`: real jobs for all four backends through a real Prefect, shown so that a newcomer understands."""

import json
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deployments.cli import render
from deployments.cli.output import Json
from deployments.cli.results import histogram
from deployments.cli.tables import Cell, Column, ColumnKind, Row, show_table
from deployments.processes.drain import flows_ready, run_drain
from flows.artifacts.outcomes import Counted, outcomes_of
from models.errors import BadSetting
from models.job import Job, State
from models.settings import Settings
from models.submissions import Submission
from tasks.jobs.results import result_document
from tasks.jobs.submission import submit_document
from tasks.services import Services

EXAMPLES = Path(__file__).parents[2] / "examples"
MARKER = "quledger-demo"
"""A file of this name says that the folder is a demo's and may be made anew."""


class Story(NamedTuple):
    """One job of the demo and what it is about."""

    name: str
    backend: str
    about: str
    expected: State = State.DONE


STORIES = (
    Story("rabi_oscillation", "singlequdit", "one atom, eight pulse lengths: a Rabi oscillation"),
    Story("spin_squeezing", "singlequdit", "20 atoms twisted about one axis, and without the twist"),
    Story("spin_exchange", "multiqudit", "two spins of three atoms each exchange their excitation"),
    Story("fermionic_hop", "fermions", "two fermions hop between two tweezers, five hopping times"),
    Story("rydberg_blockade", "rydberg", "two atoms, without and with the Rydberg blockade"),
    Story("bad_instructions", "singlequdit", "a job with four mistakes: all are named at once", State.ERROR),
    Story("not_json", "rydberg", "half a document, as a cut connection leaves it", State.ERROR),
)


def demo(*, folder: Path = Path(".demo"), as_json: Json = False) -> int:
    """Submit seven real jobs to the four simulators of atoms, two of them bad, run them, and show what came out.

    Args:
        folder: Where the demo keeps its database and storage; it is made anew.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not (folder / MARKER).exists():
        msg = f"{folder} exists and is no demo's folder; name another one with --folder"
        raise BadSetting(msg)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    # A demo of its own, whatever the settings of this machine are.
    for name in ("QULEDGER_STORAGE", "QULEDGER_DATABASE", "QULEDGER_SIGN", "PREFECT_API_URL"):
        os.environ.pop(name, None)
    os.environ["QULEDGER_HOME"] = str(folder)

    console = Console(stderr=as_json, width=None if sys.stdout.isatty() else 120)
    columns = (TextColumn("   {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console)
    services = Services(Settings.read(), on_final=lambda _job: progress.advance(progress.task_ids[0]))
    started = time.monotonic()
    jobs = {story.name: _submit(services, story) for story in STORIES}
    console.print(f"[bold]1.[/] Handed in {len(jobs)} jobs. Each one is in the event log before anything runs it.\n")
    console.print("[bold]2.[/] Draining the queue: every job becomes one Prefect flow run with four tasks.")
    with flows_ready(services), progress:
        progress.add_task("jobs", total=len(jobs))
        run_drain(services, until_empty=True)
    console.print()
    ended = {name: services.log.get(job.job_id) for name, job in jobs.items()}
    if as_json:
        print(json.dumps({name: render.status_value(job) for name, job in ended.items()}))
    else:
        _explain(console, services, ended, time.monotonic() - started)
    return 0 if all(ended[story.name].state is story.expected for story in STORIES) else 1


def _submit(services: Services, story: Story) -> Job:
    document = (EXAMPLES / f"{story.name}.json").read_bytes()
    return submit_document(services, Submission(backend=story.backend, document=document, user="alice", project="demo"))


TABLE = (Column("job"), Column("backend"), Column("state"), Column("what it is", ColumnKind.TEXT))


def _row(story: Story, job: Job) -> Row:
    good = job.state is State.DONE
    about = story.about if good else f"{story.about}: {job.reason}"
    return job.job_id, job.backend, Cell(job.state, "green" if good else "red"), about


def _explain(console: Console, services: Services, jobs: dict[str, Job], seconds: float) -> None:
    console.print(f"[bold]3.[/] What became of them ({seconds:.0f} s in all, most of it Prefect's start):\n")
    show_table(console, TABLE, [_row(story, jobs[story.name]) for story in STORIES])

    console.print("\n[bold]4.[/] One result: with the blockade the outcome '1 1' (both excited) is gone.\n")
    outcomes = outcomes_of(result_document(services, jobs["rydberg_blockade"].job_id), 2)
    for (name, found), title in zip(outcomes.items(), ("without blockade", "with blockade"), strict=True):
        if isinstance(found, Counted):
            histogram(f"{name}, {title}", found)

    job = jobs["rabi_oscillation"]
    console.print("[bold]5.[/] The history of one job: append-only, hash-chained, mirrored into the storage.\n")
    render.history(services.log.history(job.job_id))

    # They go on to work wherever whoever tries them goes next.
    home, programs = shlex.quote(str(services.settings.folder)), shlex.quote(str(Path(sys.executable).parent))
    console.print(
        f"""
[bold]What to try next[/] (all of it looks at what this demo left behind):

  export QULEDGER_HOME={home} PATH={programs}:$PATH
  quledger list                                 all jobs
  quledger result {job.job_id}       the Rabi oscillation as histograms
  quledger history {jobs["bad_instructions"].job_id}      how a bad job ended
  quledger submit fermions examples/fermionic_hop.json
  quledger drain --until-empty                  run it
  ls -R $QULEDGER_HOME/storage                  what front ends (sqooler, qlued) read and write
  unset QULEDGER_HOME                           away from the demo, to a laboratory of your own
""",
        highlight=False,
        soft_wrap=True,
    )
