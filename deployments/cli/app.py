"""The program `quledger`: its commands, each imported when it is called, and its exit codes.

Each command prints for people, or with `--json` (all but `serve`, `up` and `worker`) one JSON value for programs.
`docs/adding-gates-and-commands.md` says what a new command needs.

Exit codes: 0 it worked; 1 it did not work this time (storage, database, Prefect, result not there yet);
2 the caller can put it right (unknown job, bad setting, bad file); 3 `verify` found something that differs, or a
result is not the one that was accepted.
"""

import gc
import itertools
import json
import sys
from typing import Any

from cyclopts import App, Group

from deployments.cli import terminal
from deployments.cli.commands import COMMANDS, GROUPS, PANELS
from deployments.cli.output import Json
from tasks.prefect_settings import forget_empty_variables

GARBAGE = 100_000
"""Objects more than before at which Python looks for garbage: nearly all that a command imports stays to its end."""

FLAGS = ["--help", "-h"]

app = App(
    name="quledger",
    help=(
        "Quantum jobs that people can trust: each one is a Prefect flow run, and its history is kept for ever."
        " `quledger demo` shows it; `quledger up` serves everything."
    ),
    help_flags=FLAGS,
    version=lambda: _version(),  # noqa: PLW0108 - looked up when it is asked for
    version_flags=["--version"],
    group_commands=Group("Options", sort_key=len(PANELS)),
    version_format="plaintext",  # markdown takes as long to import as the rest of it
)
PLACES: dict[str, dict[str, Any]] = {
    name: {"group": panel, "sort_key": place}
    for panel, names in [(Group(title, sort_key=row), names) for row, (title, names) in enumerate(PANELS.items())]
    for place, name in enumerate(names)
}
"""Where the help shows a command."""

for name, (function, line) in COMMANDS.items():
    app.command(f"deployments.cli.{function}", name=name, help=line, **PLACES.get(name, {}))


def list_backends(*, as_json: Json = False) -> int:
    """List the backends of this installation and how many jobs wait for each."""
    from deployments.cli.jobs import backends  # noqa: PLC0415 - when it is called, as all commands

    return backends(as_json=as_json)


for title, (about, commands) in GROUPS.items():
    group = App(name=title, help=about, help_flags=FLAGS, group_commands="Commands", **PLACES.get(title, {}))
    app.command(group)
    for name, (function, line) in commands.items():
        group.command(f"deployments.cli.{function}", name=name, help=line)
    if title == "backends":
        group.default(list_backends)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    gc.set_threshold(GARBAGE)
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
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except terminal.OutputLost:
        raise
    except Exception as error:  # noqa: BLE001 - the last net: nobody is shown a traceback
        from deployments.cli.failures import code_of, shown  # noqa: PLC0415 - where nothing fails they are not needed

        said = shown(error, arguments)
        return _complain(said, code_of(said))
    return code if isinstance(code, int) else 0


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse an argument that is empty: a variable of the caller was, and without it the call means something else.

    Raises:
        BadName: names it.
    """
    for before, argument in itertools.pairwise(["", *arguments]):
        name, equals, value = argument.partition("=")
        if not argument or (equals and not value and name.startswith("--")):
            name = name or (before if before.startswith("-") else "an argument")
            from models.errors import BadName  # noqa: PLC0415 - `--version` needs no pydantic

            raise BadName(f"{name} is empty; give it a value, or leave it out")


def _complain(error: Exception, code: int) -> int:
    """Print an error, and return the exit code."""
    message = {"error": type(error).__name__.lstrip("_"), "message": str(error)}
    print(json.dumps(message) if "--json" in sys.argv else f"quledger: {error}", file=sys.stderr)
    return code


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 - a tenth of a second that only this costs

    try:
        return metadata.version("quledger")
    except metadata.PackageNotFoundError:
        return "unknown: it is not installed"


if __name__ == "__main__":
    main()
