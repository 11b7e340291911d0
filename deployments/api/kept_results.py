"""What was made of results, for the next who asks for the same."""

import threading
from collections import OrderedDict

from deployments.api.result_files import Form
from deployments.api.result_process import Made
from tasks.jobs.accepted import Accepted

MAX_BYTES = 48_000_000
"""Of all that is kept."""

MAX_ONE = MAX_BYTES // 4
"""What is larger would drive out too much else."""

MAX_NUMBER = 4000


class KeptResults:
    """What was made last of large results: a few megabytes, or the place where it stands in the stored bytes.

    It is found again by all that log and keys say of the result, so none is found whose key was revoked since. Whoever
    asks has read the stored bytes, and seen by their hash that they are the accepted ones.
    """

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._made: OrderedDict[str, Made] = OrderedDict()
        self._bytes = 0

    def get(self, accepted: Accepted, form: Form) -> Made | None:
        """Return what was made of a result; None where it has to be made anew."""
        name = _name(accepted, form)
        with self._changing:
            if name in self._made:
                self._made.move_to_end(name)
            return self._made.get(name)

    def put(self, accepted: Accepted, form: Form, made: Made) -> None:
        """Keep it, unless it is too large."""
        name = _name(accepted, form)
        if len(made.content) > MAX_ONE:
            return
        with self._changing:
            self._drop(name)
            self._made[name] = made
            self._bytes += len(made.content)
            while self._bytes > MAX_BYTES or len(self._made) > MAX_NUMBER:
                self._drop(next(iter(self._made)))

    def _drop(self, name: str) -> None:
        if (made := self._made.pop(name, None)) is not None:
            self._bytes -= len(made.content)


def _name(accepted: Accepted, form: Form) -> str:
    made_by = form.write.__module__, form.write.__name__, sorted(form.options.items())
    return f"{made_by} {accepted.model_dump_json()}"
