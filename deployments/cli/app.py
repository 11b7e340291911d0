"""The program `quledger`: its commands, each imported when it is called, and its exit codes.

Each command prints for people, or with `--json` (all but `up` and `worker`) one JSON value for programs.
`docs/adding-gates-and-commands.md` says what a new command needs.

Exit codes: 0 it worked; 1 it did not work this time (storage, database, Prefect, result not there yet);
2 the caller can put it right (unknown job, bad setting, bad file); 3 `verify` found something that differs, or a
result is not the one that was accepted.
"""

import json
import sys

from cyclopts import App

from models.errors import InputError, NotAuthentic, QuledgerError

FLAGS = ["--help", "-h"]

COMMANDS = {
    "submit": ("jobs:submit", "Hand in a job and print its id."),
    "status": ("jobs:status", "Show where a job stands."),
    "result": ("results:result", "Show the result of a job: a histogram for each experiment."),
    "history": ("jobs:history", "Show every event of a job."),
    "retry": ("jobs:retry", "Give a job that ended in ERROR through no fault of its own another chance."),
    "cancel": (
        "jobs:cancel",
        "Cancel a job: at once where it waits; where it runs, its worker stops it within seconds.",
    ),
    "list": ("jobs:list_jobs", "List jobs, newest first."),
    "backends": ("jobs:backends", "List the backends of this installation and how many jobs wait for each."),
    "drain": (
        "serving:drain",
        "Serve the queues: take jobs from the storage and run each as a Prefect flow run.",
    ),
    "up": (
        "serving:up",
        "Serve everything: Prefect's server and UI, all deployments, their schedules. Ctrl-C stops it.",
    ),
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
    "prune": (
        "audit:prune",
        (
            "Delete old runs in Prefect's own database, which PREFECT_API_URL names."
            " The event log keeps all of its history."
        ),
    ),
    "rebuild": (
        "audit:rebuild",
        "Make the views of the log anew from its events; nothing else is changed. Stop the drains before.",
    ),
    "restore": (
        "audit:restore",
        "Bring the log up to the histories in the storages: an empty one gets all of them, or nothing.",
    ),
    "config": (
        "config:config",
        "Print all settings, without secrets; each one is the environment variable `QULEDGER_<NAME>`.",
    ),
    "check": (
        "storages:check",
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

app = App(
    name="quledger",
    help="Quantum jobs that people can trust: each one is a Prefect flow run, and its history is kept for ever.",
    help_flags=FLAGS,
    version_flags=["--version"],
)
keys = App(
    name="keys",
    help="Make, show, rotate and revoke the keys with which backends sign.",
    help_flags=FLAGS,
)
app.command(keys)
for group, commands in ((app, COMMANDS), (keys, KEY_COMMANDS)):
    for name, (function, line) in commands.items():
        group.command(f"deployments.cli.{function}", name=name, help=line)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        code = app(exit_on_error=True)
    except QuledgerError as error:
        code = _complain(error)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has had enough.
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _complain(error: QuledgerError) -> int:
    """Print an error and return the exit code that it stands for."""
    message = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(message) if "--json" in sys.argv else f"quledger: {error}", file=sys.stderr)
    return 2 if isinstance(error, InputError) else 3 if isinstance(error, NotAuthentic) else 1


if __name__ == "__main__":
    main()
