"""Everything in one command: Prefect's server with its UI, all deployments, and a warm worker that serves them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from deployments.prefect_server import PrefectUnavailable, prefect_server
from models.settings import Settings
from tasks.services import Services

ROOT = Path(__file__).resolve().parent.parent
POOL = "quledger"
STOP_SECONDS = 40.0
RESTART_SECONDS = 2.0


def up(port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; then everything that was started here has ended.

    Args:
        port: of Prefect's server, on loopback; unused where `PREFECT_API_URL` names a server.
        say: called with each line for the operator.

    Raises:
        BadSetting: the port is taken.
        PrefectUnavailable: the deployments could not be registered.
    """
    settings = Settings.read()
    # What is wrong with settings, database or storage is said at once.
    Services(settings).open()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    say("Starting Prefect's server (some 15 s) ...")
    try:
        with prefect_server(settings, port) as url, _worker(settings) as begin:
            begin()
            deploy(settings, dict(os.environ))
            say(f"Prefect UI:      {url.removesuffix('/api')}")
            say(f"Prefect API:     {url}")
            say(f"Storage:         {settings.redacted()['storage']}")
            say("Launch a job:    UI > Deployments > run-job > Run > Custom run; or `quledger submit`")
            say("Ctrl-C stops everything; jobs under way are given back.")
            while True:
                time.sleep(RESTART_SECONDS)
                begin()
    finally:
        say("stopped")


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def deploy(settings: Settings, environment: dict[str, str]) -> None:
    """Register what prefect.yaml says, with the server that the environment names.

    Raises:
        PrefectUnavailable: it did not work.
    """
    for command in (["work-pool", "create", POOL, "--type", "process", "--overwrite"], ["deploy", "--all"]):
        done = subprocess.run(  # noqa: S603 - our own words
            [sys.executable, "-m", "prefect", "--no-prompt", *command],
            cwd=ROOT,
            env=environment | {"QULEDGER_CODE": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            log = settings.folder / "deploy.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(done.stdout + done.stderr, encoding="utf-8")
            msg = f"`prefect {' '.join(command)}` did not work; what it said is in {log}"
            raise PrefectUnavailable(msg)


@contextlib.contextmanager
def _worker(settings: Settings) -> Iterator[Callable[[], None]]:
    """Give a function that starts the worker unless it runs; it is ended with the block."""
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        if running and running[0].poll() is None:
            return
        running.clear()
        with (settings.folder / "worker.log").open("ab") as output:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "deployments.worker"],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    start_new_session=True,
                )
            )

    try:
        yield begin
    finally:
        for worker in running:
            assert worker.stdin is not None  # noqa: S101 - it was made with a pipe
            worker.stdin.close()
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
