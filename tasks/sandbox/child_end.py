"""How a child process ended, and what that means for the job that it had."""

import math
import os
import signal
from typing import NamedTuple, NoReturn

from models.errors import ChildDied, LimitExceeded
from tasks.sandbox.descendants import MAX_PROCESSES
from tasks.sandbox.fork_server import BEYOND, NOT_FORKED
from tasks.sandbox.rlimits import Limits


class ChildEnd(NamedTuple):
    """How a child ended; `status` is that of `wait`, None if the fork server ended first."""

    status: int | None
    cpu_seconds: float

    def explain(self, limits: Limits, used_before: float) -> NoReturn:
        """Raise why the child ended without an answer.

        Args:
            limits: those of its job.
            used_before: CPU time of the jobs before that, in seconds.

        Raises:
            LimitExceeded: the job used more than it may.
            ChildDied: it ended for any other reason.
        """
        if self.status is None:
            raise ChildDied("the job's process was lost together with the fork server")
        if self.status == NOT_FORKED:
            raise ChildDied("the system had no process for the job")
        seconds = math.ceil(limits.cpu_seconds)
        match BEYOND.get(self.status):
            case "processes":
                raise LimitExceeded(f"the job had more than {MAX_PROCESSES} processes of its own", "processes")
            case "memory":
                raise LimitExceeded(f"the job's processes needed more than {limits.memory_mb:g} MB of memory", "memory")
            case "cpu":
                raise LimitExceeded(f"the job's processes used more than {seconds} s of CPU time", "cpu")
        code = os.waitstatus_to_exitcode(self.status)
        if code == -signal.SIGXCPU or (code < 0 and self.cpu_seconds - used_before >= seconds):
            raise LimitExceeded(f"the job used more than {seconds} s of CPU time", "cpu")
        if code == -signal.SIGKILL:
            raise ChildDied("the job's process was killed; the machine may be short of memory")
        how = f"by a signal: {signal.strsignal(-code)}" if code < 0 else f"by itself, with status {code}"
        raise ChildDied(f"the job's process ended {how}")
