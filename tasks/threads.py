"""Threads that do what may never end: a process that has nothing else to do need not wait for them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

MAY_HANG = "may-hang-"
"""Begins their names."""

Made = TypeVar("Made")


def begun_apart(name: str, make: Callable[[], Made]) -> "Future[Made]":
    """Return what will be there when a thread of its own has made it; also an exit of the program is only its error."""
    answer: Future[Made] = Future()

    def run() -> None:
        try:
            answer.set_result(make())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            answer.set_exception(error)

    threading.Thread(target=run, name=f"{MAY_HANG}{name}", daemon=True).start()
    return answer
