"""Files that the commands write, such as figures."""

from collections.abc import Callable
from pathlib import Path

from models.files import UnwritableFile


def write_figure(file: Path, svg: str) -> None:
    """Write a figure.

    Raises:
        UnwritableFile: it is no SVG file, or cannot be written.
    """
    if file.suffix.lower() != ".svg":
        raise UnwritableFile(file, "a figure is an SVG file; name it so, as in figure.svg")
    write_file(file, lambda: file.write_text(svg, encoding="utf-8"))


def write_file(file: Path, write: Callable[[], object]) -> None:
    """Write a file.

    Raises:
        UnwritableFile: it cannot be written.
    """
    try:
        write()
    except OSError as error:
        raise UnwritableFile(file, error.strerror or "unknown reason") from None
    except UnicodeEncodeError:
        raise UnwritableFile(file, "its name is not UTF-8 text") from None
