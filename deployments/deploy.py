"""Registers the work pool and the deployments of prefect.yaml: `python -m deployments.deploy`.

It may be repeated at any time, and has to be after an update. `quledger up` does it by itself.
"""

import contextlib
import json
import os
import subprocess
import sys

import httpx
import stamina

from deployments.processes.prefect_commands import START
from deployments.processes.prefect_server import PrefectUnavailable, prefect_server
from flows.prefect_api.client import ASK_SECONDS, ask, authentication
from models.errors import BadSetting, QuledgerError
from models.settings import Settings
from tasks import python
from tasks.prefect_settings import forget_empty_variables, home

POOL = "quledger"
MAX_ATTEMPTS = 3
"""A server on SQLite may be too busy to answer."""

HOUSEKEEPING = "reconcile"
"""Its schedule is one run a minute; the first one is made at once."""

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
    try:
        _run_commands(settings)
    except subprocess.CalledProcessError as error:
        log = settings.folder / "deploy.log"
        log.write_text(error.stdout + error.stderr, encoding="utf-8")
        begun = [line.removeprefix("$ ") for line in error.stdout.splitlines() if line.startswith(START)]
        msg = f"`{begun[-1] if begun else 'prefect'}` did not work; what it said is in {log}"
        raise PrefectUnavailable(msg) from None
    with contextlib.suppress(httpx.HTTPError):  # it is done a minute later then
        _run_now(HOUSEKEEPING)


def _run_now(name: str) -> None:
    """Have Prefect make the first run of a deployment's schedules, due as it was registered; later ones it makes alone.

    Raises:
        httpx.HTTPError: Prefect does not answer.
    """
    url = os.environ["PREFECT_API_URL"].rstrip("/")
    with httpx.Client(base_url=url, headers=authentication(), timeout=ASK_SECONDS) as client:
        deployment = ask(client, "GET", f"/deployments/name/{name}/{name}").json()
        active = [each["schedule"] for each in deployment["schedules"] if each["active"]]
        starts = [schedule["anchor_date"] for schedule in active if schedule.get("anchor_date")]
        if starts:
            schedule = {"start_time": min(starts), "end_time": max(starts), "min_runs": 1, "max_runs": 1}
            ask(client, "POST", f"/deployments/{deployment['id']}/schedule", schedule)


@stamina.retry(
    on=subprocess.CalledProcessError,
    attempts=MAX_ATTEMPTS,
    timeout=None,
    wait_initial=2.0,
    wait_exp_base=2.5,
    wait_jitter=0.0,
)
def _run_commands(settings: Settings) -> None:
    """Run the commands of Prefect; all of them may be repeated.

    Raises:
        subprocess.CalledProcessError: it failed each time; the error has what it said.
    """
    subprocess.run(  # noqa: S603 - our own words
        python.command("deployments.processes.prefect_commands", json.dumps(COMMANDS)),
        cwd=home(settings),
        env=os.environ | python.variables() | {"QULEDGER_CODE": str(python.ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )


def main() -> None:
    """Register all; exit with 1 if that may work later, with 2 if a setting has to be changed."""
    forget_empty_variables()
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
