"""What the operator reads of what runs here."""

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def speak() -> None:
    """Write our warnings to standard error: Prefect's set-up of the logs keeps them from the terminal."""
    ours = logging.getLogger("quledger")
    ours.setLevel(logging.INFO)
    if not ours.handlers:
        handler = logging.StreamHandler()
        handler.setLevel(logging.WARNING)
        handler.setFormatter(logging.Formatter(FORMAT))
        ours.addHandler(handler)


def hush_server() -> None:
    """Keep passwords out of the DEBUG log of a server: uvicorn writes down what comes through a websocket."""
    # A filter, as Prefect sets the level anew.
    for name in ("uvicorn.error", "uvicorn", "websockets.server"):
        logging.getLogger(name).addFilter(lambda record: record.levelno > logging.DEBUG)
