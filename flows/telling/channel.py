"""One way on which somebody is told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from models.errors import QuledgerError
from models.notices import Notice

SECONDS = 10.0
"""So long one telling may take."""


class NotTold(QuledgerError):
    """It could not be told now; it is tried again."""


class Channel(Protocol):
    """One way on which somebody is told.

    Attributes:
        name: of the subscriber in the database.
        kinds: what he is told.
    """

    name: str
    kinds: Sequence[str]

    def tell(self, notice: Notice, now: datetime) -> None:
        """Tell it; it may be told again.

        Raises:
            NotTold: it was not taken. The text names no secret.
        """
