"""The warm worker of `quledger up`, which serves until the process that started it closes its standard input."""

import logging
import sys

from deployments.processes.logs import record, record_crash
from models.errors import QuledgerError
from models.settings import Settings
from tasks.prefect_settings import import_prefect, prepare
from tasks.services import Services, use


def main() -> None:
    """Serve until the parent has gone or closed standard input."""
    settings = Settings.read()
    prepare(settings)
    import_prefect(settings)
    record(sys.stderr)
    record_crash()
    try:
        _work(Services(settings))
    except QuledgerError as error:
        logging.getLogger("quledger.worker").critical("worker_ends action=start_again: %s", error)
        sys.exit(1)


def _work(services: Services) -> None:
    services.open(patient=True)
    use(services)
    from deployments.processes.worker import work  # noqa: PLC0415 - Prefect is imported once its settings stand

    work(services, with_parent=True)


if __name__ == "__main__":
    main()
