"""What is said of a command that fails, and with which code it ends."""

from cyclopts import CycloptsError

from deployments.cli.wrong_calls import sentence
from deployments.processes.logs import write_crash
from models.errors import BadName, InputError, NotAuthentic, QuledgerError
from models.settings import Settings
from tasks.log_files import CLI


class Unforeseen(Exception):
    """An error that nobody has foreseen; where it came from stands in a log in the home."""

    def __init__(self, error: Exception) -> None:
        try:
            log = Settings.read().folder / CLI
            write_crash(log, error)
            where = f"the details are in {log}"
        except (QuledgerError, OSError):
            where = "the details could not be written into the home"
        # Its own words may hold a secret.
        super().__init__(f"this failed, and should not have ({type(error).__name__}); {where}")


def shown(error: Exception) -> Exception:
    """Return what is said in its place: one sentence for the user, without a traceback."""
    if isinstance(error, CycloptsError):
        return BadName(sentence(error))
    return error if isinstance(error, QuledgerError) else Unforeseen(error)


def code_of(error: Exception) -> int:
    """Return the exit code: 2 where the caller can put it right, 3 for what is not authentic, else 1."""
    if isinstance(error, InputError | CycloptsError):
        return 2
    return 3 if isinstance(error, NotAuthentic) else 1
