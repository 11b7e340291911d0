"""Registers the work pool and the deployments of prefect.yaml: `python -m deployments.deploy`.

It may be done again at any time, and has to be after an update. `quledger up` does it by itself.
"""

import os
import subprocess
import sys
import time

from deployments.processes.prefect_server import PrefectUnavailable, prefect_server
from models.errors import BadSetting, QuledgerError
from models.settings import Settings
from tasks import python
from tasks.prefect_settings import home

POOL = "quledger"
PAUSES = (2.0, 5.0, 0.0)
"""After each try, in seconds: a server on SQLite may be too busy to answer."""

COMMANDS = (
    ["work-pool", "create", POOL, "--type", "process", "--overwrite"],
    ["block", "register", "-m", "tasks.prefect_block"],
    ["deploy", "--prefect-file", str(python.ROOT / "prefect.yaml"), "--all"],
)


def deploy() -> None:
    """Register all at the server that `PREFECT_API_URL` names.

    Raises:
        PrefectUnavailable: it did not work; what Prefect said is in `deploy.log` in the home.
    """
    settings = Settings.read()
    for command in COMMANDS:
        output = _patiently(command, settings)
        if output is not None:
            log = settings.folder / "deploy.log"
            log.write_text(output, encoding="utf-8")
            msg = f"`prefect {' '.join(command)}` did not work; what it said is in {log}"
            raise PrefectUnavailable(msg)


def _patiently(command: list[str], settings: Settings) -> str | None:
    """Run a command of Prefect until it works; return what it said where it never did."""
    output = None
    for pause in PAUSES:
        done = subprocess.run(  # noqa: S603 - our own words
            python.command("prefect", "--no-prompt", *command),
            cwd=home(settings),
            env=os.environ | python.variables() | {"QULEDGER_CODE": str(python.ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return None
        output = done.stdout + done.stderr
        time.sleep(pause)
    return output


def main() -> None:
    """Register all, and end with code 1 where that may work later, with 2 where a setting has to be changed."""
    try:
        settings = Settings.read()
        settings.folder.mkdir(parents=True, exist_ok=True)
        if "PREFECT_API_URL" not in os.environ:
            raise BadSetting("PREFECT_API_URL is not set; it says where the deployments are to be registered")
        with prefect_server(settings):
            deploy()
    except QuledgerError as error:
        print(f"quledger: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, BadSetting) else 1)
    print("registered: what prefect.yaml says")


if __name__ == "__main__":
    main()
