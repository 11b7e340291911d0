"""The program `quledger`: its commands, each imported when it is called, and its exit codes.

Each command prints for people, or with `--json` (all but `serve`, `up` and `worker`) one JSON value for programs.
`docs/adding-gates-and-commands.md` says what a new command needs.

Exit codes: 0 it worked; 1 it did not work this time (storage, database, Prefect, result not there yet);
2 the caller can put it right (unknown job, bad setting, bad file); 3 `verify` found something that differs, or a
result is not the one that was accepted.
"""

import itertools
import json
import sys
from importlib import metadata

from cyclopts import App, CycloptsError

from deployments.cli import terminal
from deployments.cli.output import Json
from deployments.processes.logs import write_crash
from models.errors import BadName, InputError, NotAuthentic, QuledgerError, printable
from models.settings import Settings
from tasks.log_files import CLI
from tasks.prefect_settings import forget_empty_variables

FLAGS = ["--help", "-h"]

COMMANDS = {
    "submit": ("submitting:submit", "Hand in a job and print its id; or a sweep, a job for each row of a table."),
    "check": (
        "checking:check",
        "Check job documents as `submit` does, and store nothing.",
    ),
    "wait": ("following:wait", "Wait until jobs have ended; end with code 1 if one of them did not end in DONE."),
    "watch": ("following:watch", "Show jobs as they change: those that are named, or all there are. Ctrl-C ends it."),
    "label": ("labelling:label", "Set labels of a job, and take others away."),
    "group": (
        "grouping:group",
        "Show a group of jobs: its states, results, a figure; without a name list the groups.",
    ),
    "status": ("jobs:status", "Show where a job stands."),
    "why": (
        "why:why",
        "Show why a job stands where it does: its place in line, what holds it, when it is expected to start and end.",
    ),
    "result": ("results:result", "Show the result of a job: a histogram for each experiment."),
    "history": ("jobs:history", "Show every event of a job."),
    "retry": ("acts:retry", "Give a job that ended in ERROR through no fault of its own another chance."),
    "diff": (
        "comparing:diff",
        "Show in what two jobs differ: document, backend, program, calibration, versions, and their results.",
    ),
    "rerun": (
        "rerunning:rerun",
        "Hand in the document of a job again, as a new job that is derived from it, and print its id.",
    ),
    "cancel": (
        "acts:cancel",
        "Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.",
    ),
    "list": ("jobs:list_jobs", "List jobs, newest first."),
    "pause": (
        "pauses:pause",
        "Pause a backend: nothing of it begins any more, and jobs are still taken.",
    ),
    "resume": ("pauses:resume", "Serve a backend again that is paused; one that is not stays as it is."),
    "results": (
        "calibrations:results",
        "List the jobs whose results stand on a calibration, or on one that was withdrawn, newest first.",
    ),
    "export": (
        "exporting:export",
        "Write jobs into an archive that proves itself, or jobs, events or results into Parquet files.",
    ),
    "schema": ("schemas:schema", "Print the JSON Schema of a document; without a name list what there is."),
    "verify-archive": (
        "archives:verify_archive",
        "Check an archive of jobs by itself: every byte, the chain of each history, each hash, each signature.",
    ),
    "drain": (
        "serving:drain",
        "Serve the queues: take jobs from the storage and run each as a Prefect flow run.",
    ),
    "up": (
        "serving:up",
        "Serve everything: Prefect's server and UI, all deployments, their schedules. Ctrl-C stops it.",
    ),
    "serve": ("serving:serve", "Serve the HTTP API and the pages for people. Ctrl-C stops it."),
    "worker": (
        "serving:worker",
        "Serve the deployments of the Prefect server that PREFECT_API_URL names: jobs, drains, schedules.",
    ),
    "reconcile": (
        "reconcile:reconcile",
        "Bring right what a crash left behind: expired leases, documents that do not follow the log.",
    ),
    "verify": (
        "audit:verify",
        "Compare the log with itself, its views, the storage and Prefect; end with code 3 if anything differs.",
    ),
    "health": (
        "health:health",
        "Ask all parts of the laboratory how they are, and say what is down; end with code 1 if something is.",
    ),
    "prune": (
        "audit:prune",
        (
            "Delete old runs in Prefect's own database, which PREFECT_API_URL names."
            " The event log keeps all of its history."
        ),
    ),
    "retention": (
        "retention:retention",
        ("Show which results and payloads are older than they are kept; with `--apply`, remove them. Histories stay."),
    ),
    "rebuild": (
        "audit:rebuild",
        "Make the views of the log anew from its events; nothing else is changed. Stop the drains before.",
    ),
    "adopt": (
        "adopting:adopt",
        (
            "Show which jobs of a store the log does not know, and what would become of them; with `--apply`, take them"
            " over."
        ),
    ),
    "restore": (
        "audit:restore",
        "Bring the log up to the histories in the storages: an empty one gets all of them, or nothing.",
    ),
    "config": (
        "config:config",
        "Print all settings, without secrets; each one is the environment variable `QULEDGER_<NAME>`.",
    ),
    "storages": (
        "storages:storages",
        "Connect to each storage, and see whether it takes what a job writes.",
    ),
    "demo": (
        "demo:demo",
        "Submit seven real jobs to all four backends, two of them bad, run them, and show what came out.",
    ),
}
"""Command -> the function below `deployments.cli` that does it, and the line about it in the help."""

KEY_COMMANDS = {
    "new": ("keys:new", "Make the first key, and publish its public part."),
    "rotate": (
        "keys:rotate",
        (
            "Replace a key: a new one signs from now on. What the old one signed stays valid;"
            " its private part is destroyed."
        ),
    ),
    "show": ("keys:show", "List the keys, or print one public key as it is published."),
    "revoke": (
        "keys:revoke",
        "Revoke a key: what it signed from then on is not trusted any more. If it signs, a new key takes its place.",
    ),
}
"""The same of `quledger keys`."""

USER_COMMANDS = {
    "add": ("people:add_user", "Add a user."),
    "list": ("people:list_users", "List the users."),
    "set": (
        "people:set_user",
        "Give a user another role, or disable him: no token of his lets anybody in until he is enabled again.",
    ),
    "limits": (
        "people:limit_user",
        "Set limits of a user, or show them; `none` takes one away, and those that are not named stay.",
    ),
    "link": (
        "people:link",
        (
            "Let a user see the jobs that came in under a name without a token, by the inbox, Prefect or the"
            " command line."
        ),
    ),
    "unlink": ("people:unlink", "Take back what `link` allowed."),
    "import-qlued": (
        "import_qlued:import_qlued",
        "Show which users and tokens a database file of qlued has that are not here; with `--apply`, take them over.",
    ),
}
"""The same of `quledger user`."""

PROJECT_COMMANDS = {
    "add": ("people:add_project", "Add a project, whose members and viewers see each other's jobs in it."),
    "list": ("people:list_projects", "List the projects."),
    "set": ("people:set_project", "Change who belongs to a project."),
    "limits": (
        "people:limit_project",
        "Set limits of all jobs of a project together, or show them; as `quledger user limits`.",
    ),
}
"""The same of `quledger project`."""

TOKEN_COMMANDS = {
    "new": (
        "tokens:new",
        "Make a token and print it, alone on standard output; it is shown this once and kept nowhere.",
    ),
    "list": (
        "tokens:list_tokens",
        "List tokens by their ids; what is kept of each is a hash, so that none can be shown again.",
    ),
    "revoke": ("tokens:revoke", "Revoke a token: it lets nobody in any more, at once and for ever."),
}
"""The same of `quledger token`."""

BACKEND_COMMANDS = {
    "check": (
        "conformance:check",
        "Try a backend with good and bad documents in the sandbox of its jobs, and say all that is wrong with it.",
    ),
    "history": (
        "calibrations:history",
        "List which configurations and calibrations of a backend held when, and which of them were withdrawn.",
    ),
    "show": ("calibrations:show", "Print a configuration and calibration as it was kept."),
    "withdraw": ("calibrations:withdraw", "Withdraw a calibration: results that stand on it are not to be relied on."),
    "reinstate": (
        "calibrations:reinstate",
        "Take back the withdrawal of a calibration: its results can be relied on again.",
    ),
}
"""The same of `quledger backends`, which lists them where none follows."""

DB_COMMANDS = {
    "upgrade": ("db:upgrade", "Make the database, or bring its tables to the version of this program."),
    "current": ("db:current", "Show at which version the database stands, and which one this program needs."),
    "check": (
        "db:check",
        "Look whether the database is whole: file, version, tables, triggers; end with code 3 if something differs.",
    ),
    "backup": ("db:backup", "Copy the database while it is used, and read the copy back."),
    "size": ("sizes:show_size", "Show what database and storage take, how that grows, when the disk is full."),
    "shell": ("db:shell", "Ask the database in SQL; it changes nothing unless told so."),
}
"""The same of `quledger db`."""

GROUPS = {
    "backends": ("List the backends of this installation and how many jobs wait for each.", BACKEND_COMMANDS),
    "keys": ("Make, show, rotate and revoke the keys with which backends sign.", KEY_COMMANDS),
    "user": ("Add, change and list the users of the API.", USER_COMMANDS),
    "project": ("Add, change and list projects, whose members see each other's jobs.", PROJECT_COMMANDS),
    "db": ("Look after the database of the log: upgrade, check, back up, ask.", DB_COMMANDS),
    "token": ("Make, list and revoke the tokens with which users and devices sign in.", TOKEN_COMMANDS),
}
"""Commands that have commands of their own: the line about each in the help, and these."""

app = App(
    name="quledger",
    help="Quantum jobs that people can trust: each one is a Prefect flow run, and its history is kept for ever.",
    help_flags=FLAGS,
    version=lambda: _version(),  # noqa: PLW0108 - looked up when it is asked for
    version_flags=["--version"],
)
for name, (function, line) in COMMANDS.items():
    app.command(f"deployments.cli.{function}", name=name, help=line)


def list_backends(*, as_json: Json = False) -> int:
    """List the backends of this installation and how many jobs wait for each."""
    from deployments.cli.jobs import backends  # noqa: PLC0415 - when it is called, as all commands

    return backends(as_json=as_json)


for title, (about, commands) in GROUPS.items():
    group = App(name=title, help=about, help_flags=FLAGS)
    app.command(group)
    for name, (function, line) in commands.items():
        group.command(f"deployments.cli.{function}", name=name, help=line)
    if title == "backends":
        group.default(list_backends)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    terminal.prepare()
    forget_empty_variables()
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except terminal.OutputLost as error:
        code = 0 if error.refused else _complain(error, 1)
    terminal.end(code)


def _run(arguments: list[str]) -> int:
    """Run a command and return its exit code; whatever goes wrong is said in one sentence."""
    try:
        _refuse_empty(arguments)
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _complain(BadName(printable(" ".join(str(error).split()))), 2)
    except QuledgerError as error:
        return _complain(error, 2 if isinstance(error, InputError) else 3 if isinstance(error, NotAuthentic) else 1)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except terminal.OutputLost:
        raise
    except Exception as error:  # noqa: BLE001 - the last net: nobody is shown a traceback
        return _complain(_Unforeseen(error), 1)
    return code if isinstance(code, int) else 0


class _Unforeseen(Exception):
    """An error that nobody has foreseen; where it came from stands in a log in the home."""

    def __init__(self, error: Exception) -> None:
        try:
            log = Settings.read().folder / CLI
            write_crash(log, error)
            where = f"the details are in {log}"
        except (QuledgerError, OSError):
            where = "the details could not be written into the home"
        # Its own words may hold a secret.
        super().__init__(f"this failed, and should not have ({type(error).__name__}); {where}")


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse an argument that is empty: a variable of the caller was, and without it the call means something else.

    Raises:
        BadName: names it.
    """
    for before, argument in itertools.pairwise(["", *arguments]):
        name, equals, value = argument.partition("=")
        if not argument or (equals and not value and name.startswith("--")):
            name = name or (before if before.startswith("-") else "an argument")
            raise BadName(f"{name} is empty; give it a value, or leave it out")


def _complain(error: Exception, code: int) -> int:
    """Print an error, and return the exit code."""
    message = {"error": type(error).__name__.lstrip("_"), "message": str(error)}
    print(json.dumps(message) if "--json" in sys.argv else f"quledger: {error}", file=sys.stderr)
    return code


def _version() -> str:
    try:
        return metadata.version("quledger")
    except metadata.PackageNotFoundError:
        return "unknown: it is not installed"


if __name__ == "__main__":
    main()
