"""The pause of a backend: nothing of it begins, jobs are still taken, and what waits keeps its place.

A plain pause also keeps back what was claimed and has not begun to execute: it is given back to its queue. With
*drain-down* whatever was claimed comes to its end. Either way what is executing is left alone: nobody pays twice for
time on a machine.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from models.clock import UtcDatetime, in_words
from models.errors import QuledgerError

MAX_REASON = 200


class Pause(BaseModel):
    """Why nothing of a backend begins.

    Attributes:
        drain_down: what was claimed before it comes to its end.
        until: it is over then by itself; None if somebody has to resume.
        since: when it began.
        by: who wanted it; for operators.
    """

    model_config = ConfigDict(frozen=True)

    backend: str
    drain_down: bool = False
    reason: str = ""
    until: UtcDatetime | None = None
    since: UtcDatetime
    by: str = ""

    def is_over(self, now: datetime) -> bool:
        """Return whether its time has come."""
        return self.until is not None and self.until <= now

    def __str__(self) -> str:
        until = f" until {in_words(self.until)}" if self.until else ""
        return f"{self.backend} is paused{until}" + (f": {self.reason}" if self.reason else "")


class Paused(QuledgerError):
    """A job that was claimed is not begun: its backend has been paused meanwhile."""

    def __init__(self, pause: Pause) -> None:
        super().__init__(f"given back: {pause}")
