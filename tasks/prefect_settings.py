"""Prefect's settings come from our own files and the environment of this process, and from nowhere else.

Prefect would also read `.env`, `prefect.toml` and `pyproject.toml` of the current folder and the profiles of its home,
and any of them may name the database of somebody else. Nothing here may import Prefect, which reads its settings while
it is imported.
"""

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from tasks import python

if TYPE_CHECKING:
    from models.settings import Settings

SERVER_ENV = python.ROOT / "deployments" / "prefect-server.env"

QUIET = {
    "DO_NOT_TRACK": "1",
    # What runs say goes to Prefect's API and its UI; warnings and errors go into our own logs.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
}

_IGNORED = (
    *("PREFECT_PROFILE", "PREFECT_LOGGING_SETTINGS_PATH", "PREFECT_LOGGING_CONFIG_PATH"),
    *("PREFECT_TEST_MODE", "PREFECT_UNIT_TEST_MODE", "PREFECT_TESTING_TEST_MODE", "PREFECT_TESTING_UNIT_TEST_MODE"),
)
"""Variables that change which files Prefect reads, or put it into its test mode."""

_NOT_FOR_OUR_SERVER = (
    *("PREFECT_API_URL", "PREFECT_API_KEY"),
    *("PREFECT_SERVER_API_BASE_PATH", "PREFECT_SERVER_UI_SERVE_BASE", "PREFECT_UI_SERVE_BASE"),
    *("PREFECT__SERVER_EPHEMERAL", "PREFECT__SERVER_WEBSERVER_ONLY", "PREFECT__SERVER_FINAL"),
)
"""Variables that would put the API of our own server elsewhere, or leave out half of it."""

_SERVICES = (
    *("SCHEDULER", "LATE_RUNS", "FOREMAN", "REPOSSESSOR", "CLEANUP_RECONCILER", "CANCELLATION_CLEANUP"),
    *("PAUSE_EXPIRATIONS", "TASK_RUN_RECORDER", "EVENT_PERSISTER", "TRIGGERS"),
)

_FIXED = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "true" for name in _SERVICES} | {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "true",
    # What our server has to tell itself it tells within its process.
    "PREFECT_SERVER_DOCKET_URL": "memory://",
    "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect.server.utilities.messaging.memory",
    "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect.server.utilities.messaging.memory",
}
"""What our own server needs in order to work at all."""

_DATABASE = {
    f"PREFECT_{api}_DATABASE_{what}"
    for api in ("SERVER", "API")
    for what in ("CONNECTION_URL", "DRIVER", "HOST", "PORT", "USER", "NAME", "PASSWORD")
}
"""Variables that say which database a server of Prefect's uses."""


def server_settings() -> dict[str, str]:
    """Return the settings of Prefect's server from the file that Docker and Kubernetes read too."""
    lines = (line.strip() for line in SERVER_ENV.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def home(settings: "Settings") -> Path:
    """Return the folder of Prefect's database, which is below our home whatever `PREFECT_HOME` says."""
    return settings.folder / "prefect"


def forget_empty_variables() -> None:
    """Take Prefect's variables that are empty for unset, as ours are; call it where a process begins."""
    for name in [name for name, value in os.environ.items() if name.startswith("PREFECT_") and not value]:
        del os.environ[name]


def prepare(settings: "Settings") -> None:
    """Make Prefect's folder and set Prefect's variables in this process; call it before Prefect is imported.

    Raises:
        BadSetting: Prefect could not use one of them, and would say so in a traceback.
    """
    _check_variables()
    home(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in _IGNORED:
        os.environ.pop(name, None)
    os.environ |= {"PREFECT_HOME": str(home(settings)), "PREFECT_PROFILES_PATH": os.devnull}
    for name, value in (server_settings() | QUIET).items():
        os.environ.setdefault(name, value)
    if "PREFECT_API_URL" not in os.environ and "PREFECT_SERVER_API_AUTH_STRING" in os.environ:
        # The server will be ours, and asks us for its password too.
        os.environ.setdefault("PREFECT_API_AUTH_STRING", os.environ["PREFECT_SERVER_API_AUTH_STRING"])


def _check_variables() -> None:
    from models.errors import BadSetting  # noqa: PLC0415 - whoever forgets empty variables needs no pydantic

    url = os.environ.get("PREFECT_API_URL")
    if url is not None:
        os.environ["PREFECT_API_URL"] = url.rstrip("/")
        try:
            parts = urlsplit(url)
            right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url.isascii()
        except ValueError:  # a port or an IPv6 address that is none
            right = False
        if not right:
            raise BadSetting("PREFECT_API_URL is no address of a Prefect API; write http://host:4200/api")
    for name in ("PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_KEY"):
        if not os.environ.get(name, "").isascii():
            raise BadSetting(f"{name} has to be plain ASCII; with anything else Prefect lets nobody in")


def import_prefect(settings: "Settings") -> None:
    """Import Prefect once, after `prepare`, from within its own folder, where nobody else has put settings."""
    if "prefect.context" in sys.modules:
        return
    with contextlib.chdir(home(settings)):
        importlib.import_module("prefect.context")


def server_environment(settings: "Settings") -> dict[str, str]:
    """Return the environment of our own server: an operator's settings, except those that it needs as we set them."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_OUR_SERVER} | python.variables()
    if not _is_postgresql(kept):
        kept = {name: value for name, value in kept.items() if name not in _DATABASE}
        kept["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{quote(str(database(settings)))}"
    return kept | _FIXED


def database(settings: "Settings") -> Path:
    """Return the file of our own server's database."""
    return home(settings) / "prefect.db"


def _is_postgresql(environment: dict[str, str]) -> bool:
    """Return whether the environment names a PostgreSQL for Prefect; a database file is always the one in our home."""
    return any(
        environment.get(name, "").startswith("postgres") for name in _DATABASE if name.endswith(("URL", "DRIVER"))
    )
