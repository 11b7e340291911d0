"""A process that ends with the one that started it, which closes its standard input or is killed."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

_LOG = logging.getLogger("quledger.end")

ENDING_SECONDS = 30.0
"""So long its end may take; a parent that lives kills it ten seconds later."""


def end_with_parent(
    end: Callable[[], object], *, last: Callable[[], object] = lambda: None, seconds: float = ENDING_SECONDS
) -> None:
    """Watch standard input in a thread; once it has ended, have this process end, and see to it that it does.

    Args:
        end: begins the end.
        last: called where that has not come in time: Prefect, which the parent kept, is asked again and again.
        seconds: after which the process ends however much is left to do.
    """

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):  # not by its buffer, whose lock the end of the interpreter needs
            pass
        end()
        time.sleep(seconds)
        _LOG.warning("end_overdue action=exit seconds=%g", seconds)
        try:
            last()
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
