"""Files that the command line names to be written."""

from pathlib import Path

from models.errors import InputError, echo


class UnwritableFile(InputError):
    """A file that the command line names cannot be written."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"the file {echo(str(file))} cannot be written: {reason}")
