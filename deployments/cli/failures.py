"""What is said of a command that fails, and with which code it ends."""

from collections.abc import Sequence

from cyclopts import CycloptsError

from deployments.cli.wrong_calls import sentence
from deployments.processes.logs import write_crash
from models.errors import BadName, InputError, NotAuthentic, QuledgerError, echo
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


def shown(error: Exception, arguments: Sequence[str]) -> Exception:
    """Return what is said in its place: one sentence for the user, without a traceback."""
    if isinstance(error, UnicodeEncodeError) and (broken := next(filter(_is_no_text, arguments), None)):
        return BadName(f"{echo(broken)} is not UTF-8 text")
    if isinstance(error, CycloptsError):
        return BadName(sentence(error))
    return error if isinstance(error, QuledgerError) else Unforeseen(error)


def _is_no_text(argument: str) -> bool:
    """Return whether an argument holds bytes that are no UTF-8: a file may be named so, but nothing in the log."""
    return any("\ud800" <= character <= "\udfff" for character in argument)


def code_of(said: Exception) -> int:
    """Return the exit code: 2 where the caller can put it right, 3 for what is not authentic, else 1."""
    if isinstance(said, InputError):
        return 2
    return 3 if isinstance(said, NotAuthentic) else 1
