"""What a database is that holds no log."""

from models.errors import LogUnavailable


class NoLog(LogUnavailable):
    """The database holds no log, or is not there."""
