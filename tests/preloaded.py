"""What the fork server of `tests/forked.py` has imported before it forks; it imports this module and nothing else.

Prefect reads its settings as `prefect.context` is imported, and sets up the logs with `prefect.main`, which comes with
the flows. So a forked process has neither: they are there again, and read what its environment says, as soon as it
imports them.
"""

import contextlib
import copy
import gc
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from pydantic import BaseModel

from models.settings import Settings
from tasks.backends import registry
from tasks.backends.qubits import published
from tasks.prefect_settings import import_prefect, prepare, server_environment
from tasks.sandbox.fork_client import ONE_THREAD
from tasks.sandbox.job_process import PRELOADED
from tests.logging_variables import LOGGING
from tests.prefect_settings_again import KnownSettings, of_prefect

COMMANDS = ("app", "audit", "config", "demo", "jobs", "keys", "people", "reconcile", "results", "serving", "tokens")
STORAGES = ("fsspec_storage", "mongodb.mongo_storage", "s3.s3_storage")
"""Not Dropbox, whose library reads addresses as it is imported."""

COLD_ATOMS = ("fermions", "multiqudit", "rydberg", "singlequdit")
EARLY = (
    *(f"deployments.cli.{name}" for name in COMMANDS),
    *PRELOADED,
    "deployments.api.app",
    *("deployments.cli.failures", "deployments.frames"),
    "deployments.processes.connections",
    "deployments.processes.drain",
    "deployments.processes.embedded_api",
    "deployments.processes.up",
    "flows.prefect_api.client",
    *(f"storage.audit.{name}" for name in ("rebuild", "restore", "rollback")),
    *(f"storage.documents.{name}" for name in ("inbox", "locks", "marks", "relay")),
    *("storage.identity.calibrations", "storage.log.holds", "storage.log.mirror_cursor", "storage.signatures.signer"),
    *(f"storage.providers.{name}" for name in STORAGES),
    *(f"tasks.backends.coldatoms.{name}" for name in COLD_ATOMS),
    *published.PRELOADED,
    *(f"tasks.jobs.{name}" for name in ("claims", "leases", "submission")),
    "storage.uploads.tables",
    # What others import when they are first used.
    *("alembic.command", "alembic.ddl", "alembic.runtime.environment", "anyio._backends._asyncio", "rich.status"),
)
WITH_PREFECT = (
    "deployments.deploy",
    "deployments.processes.embedded_server",
    "deployments.processes.worker",
    "flows.drain_queue",
    "flows.prefect_api.retention",
    "flows.prefect_api.run_sync",
    "prefect.cli.block",
    "prefect.cli.deploy",
    "prefect.cli.work_pool",
    "prefect.server.api.server",
    "prefect.utilities.visualization",
    "tasks.prefect_block",
)


@contextlib.contextmanager
def _settings_of_nobody() -> Iterator[None]:
    """Let Prefect find no settings but its own defaults and ours."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("PREFECT_", "QULEDGER_")):
            del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder))
        prepare(settings)
        os.environ |= server_environment(settings) | ONE_THREAD
        try:
            import_prefect(settings)
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _settings_of_a_client() -> KnownSettings:
    """Read the settings of a program that has the address of a server."""
    with mock.patch.dict(os.environ):
        for name in of_prefect(os.environ).keys() - {"PREFECT_HOME"}:
            del os.environ[name]
        prepare(Settings(home=Path(os.environ["PREFECT_HOME"]).parent))
        os.environ["PREFECT_API_URL"] = "http://127.0.0.1:65535/api"
        with contextlib.chdir(os.environ["PREFECT_HOME"]):
            return KnownSettings(os.environ, sys.modules["prefect.context"].root_settings_context())


class Again(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports for the second time what is imported already; to be used in a process that was forked."""

    def __init__(
        self, with_prefect: set[str], settings: KnownSettings, logging: dict[str, Any], said: dict[str, str | None]
    ) -> None:
        """Keep it.

        Args:
            settings: what Prefect reads in nearly every program that is forked.
            logging: how Prefect logs with the settings of nobody, as nearly every program that is forked does.
            said: what those settings say of it.
        """
        self._modules = {name: sys.modules[name] for name in with_prefect}
        self._settings, self._logging, self._said = settings, logging, said
        self._context = sys.modules["prefect.context"]

    def begin(self) -> None:
        """Take away what depends on the environment."""
        for name in (*self._modules, "prefect.context"):
            del sys.modules[name]
        # Whoever asks for a setting before the settings are read gets none, and not those of the fork server.
        del vars(self._context)["GLOBAL_SETTINGS_CONTEXT"]
        importlib.reload(sys.modules["storage.failpoints"])  # it reads which point is meant as it is imported
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Know what was taken away."""
        if name == "prefect.context" or name in self._modules:
            return importlib.machinery.ModuleSpec(name, self, is_package=hasattr(self._kept(name), "__path__"))
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return what is there already."""
        return self._kept(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Read the settings, or set up the logs, as this import does it for the first time."""
        if module is self._context:
            module.GLOBAL_SETTINGS_CONTEXT = self._settings.now() or module.root_settings_context()
            return
        importlib.import_module("prefect.context")
        again, self._modules = self._modules, {}
        sys.modules.update(again)
        logging: Any = importlib.import_module("prefect.logging.configuration")
        read, default = logging.load_logging_config, logging.DEFAULT_LOGGING_SETTINGS_PATH
        if _said_of_logging() == self._said:
            logging.load_logging_config = lambda path: copy.deepcopy(self._logging) if path == default else read(path)
        logging.setup_logging()

    def _kept(self, name: str) -> ModuleType:
        return self._context if name == "prefect.context" else self._modules[name]


def _said_of_logging() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in LOGGING}


def _complete_models() -> None:
    """Build the models that would build themselves when they are first used."""
    models = BaseModel.__subclasses__()
    for model in models:
        models += model.__subclasses__()
        if not model.__pydantic_complete__:
            model.model_rebuild(raise_errors=False)


def _import_all() -> Again:
    with _settings_of_nobody():
        for name in EARLY:
            importlib.import_module(name)
        assert "prefect.main" not in sys.modules
        before = set(sys.modules)
        for name in WITH_PREFECT:
            importlib.import_module(name)
        ours = ("prefect.", "flows", "tasks.", "deployments.")
        with_prefect = {name for name in set(sys.modules) - before if name.startswith(ours)}
        configuration: Any = sys.modules["prefect.logging.configuration"]
        configuration.PROCESS_LOGGING_CONFIG.clear()
        logging, said = (
            configuration.load_logging_config(configuration.DEFAULT_LOGGING_SETTINGS_PATH),
            _said_of_logging(),
        )
        _complete_models()
        registry.names()
        settings = _settings_of_a_client()
    return Again(with_prefect, settings, logging, said)


AGAIN = _import_all()
gc.collect()
gc.freeze()  # a collection in a forked process leaves the shared pages alone
