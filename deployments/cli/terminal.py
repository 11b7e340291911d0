"""Standard input, output and error as the commands use them: always there, and able to say any character."""

import codecs
import contextlib
import errno
import gc
import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

PLAIN = dict(zip("▁▂▃▄▅▆▇", "_.,-=+*", strict=True)) | {
    "█": "#",
    "…": "~",
    "±": "+/-",
    "─": "-",
    "━": "-",
    "╸": "-",
    "╺": "-",
    "│": "|",
    "❱": ">",
}
"""What stands for our own characters where the terminal or file has no code for them."""

_HANDLER = "quledger.spelt_out"

PATIENCE = 1.0
"""Seconds that who serves waits for a reader of what it prints, once; far less than the watchdog allows."""


NARROWEST, WIDEST = 10, 9999
"""Columns and lines beyond which a size is none: help for none of them would never end."""


class OutputLost(Exception):
    """What a command printed could not be written.

    Attributes:
        refused: the reader has had enough; anything else is a trouble.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the output cannot be written: {error.strerror}")
        self.refused = error.errno == errno.EPIPE


def prepare() -> None:
    """Make the three streams of this process what they have to be; call it before anything is opened or printed.

    Output that cannot be written raises `OutputLost` once. Errors that cannot be written are lost: there is nobody to
    tell.
    """
    # Else the next file that is opened, such as the database, would be the standard output of all that we start.
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - the number of standard error
        os.set_inheritable(free, True)
    os.close(free)
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    sys.stdout = _stream(1, sys.stdout, silent=False)
    sys.stderr = _stream(2, sys.stderr, silent=True)
    settle_size()


def settle_size() -> None:
    """Forget a size of the terminal that is none, such as 0, as if it had not been said."""
    for name in ("COLUMNS", "LINES"):
        size = os.environ.get(name, "")
        if not (size.isascii() and size.isdecimal() and len(size) <= len(str(WIDEST)) and int(size) >= NARROWEST):
            os.environ.pop(name, None)


def written(text: str, encoding: str) -> str:
    """Return a text as it will be read where it is written in this encoding."""
    return text.encode(encoding, _HANDLER).decode(encoding)


class _Descriptor(io.FileIO):
    """A file descriptor that fails once: what is written after that is lost.

    Attributes:
        is_serving: what nobody reads is dropped and counted, since whoever waits for a reader serves nobody.
    """

    is_serving = False

    def __init__(self, number: int, *, silent: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._silent = silent
        self._failed = False
        self._dropped = 0

    def write(self, content: Any, /) -> int:
        if not self._failed:
            try:
                if self.is_serving:
                    return self._offer(bytes(content))
                said = self._said_of_dropped()
                while said and self._has_room(None):
                    said = said[super().write(said) or 0 :]
                # Whoever shares the terminal or pipe may have told it not to let writers wait.
                while (number := super().write(content)) is None:
                    select.select([], [self], [])
            except OSError as error:
                self._failed = True
                if not self._silent:
                    raise OutputLost(error) from None
            else:
                return number
        return len(content)

    def _offer(self, content: bytes) -> int:
        """Write as much as there is room for in time."""
        rest = content
        if self._dropped and self._has_room(0.0):
            rest = self._said_of_dropped() + content
        while rest:
            if not self._has_room(0.0 if self._dropped else PATIENCE):
                self._dropped += rest.count(b"\n")
                break
            # So much never waits where there is room.
            rest = rest[super().write(rest[: select.PIPE_BUF]) or 0 :]
        return len(content)

    def _said_of_dropped(self) -> bytes:
        """Return what is to be said of what was left out, once."""
        number, self._dropped = self._dropped, 0
        return b"\n[%d lines were left out here: nobody read them]\n" % number if number else b""

    def _has_room(self, seconds: float | None) -> bool:
        return bool(select.select([], [self], [], seconds)[1])


@contextlib.contextmanager
def serving() -> Iterator[None]:
    """Let nothing that is printed within the block wait for a reader: what nobody reads is left out, and counted."""
    _Descriptor.is_serving = True
    try:
        yield
    finally:
        _Descriptor.is_serving = False


def _stream(number: int, given: TextIO | None, *, silent: bool) -> TextIO:
    if given is not None:
        given.flush()
    raw = _Descriptor(number, silent=silent)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=given.encoding if given is not None else "utf-8",
        errors=_HANDLER,
        line_buffering=silent or raw.isatty(),
    )


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Return what is written instead of characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if "\N{BRAILLE PATTERN BLANK}" <= character <= "\N{BRAILLE PATTERN DOTS-12345678}":
        return "*"  # what a spinner is made of
    if "\N{BOX DRAWINGS LIGHT HORIZONTAL}" <= character < "\N{UPPER HALF BLOCK}":
        return PLAIN.get(character, "+")
    return PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_HANDLER, _spell_out)


def end(code: int) -> NoReturn:
    """End the process with its exit code, also where something that was asked never answers."""
    if threading.active_count() > 1:
        from tasks.threads import MAY_HANG  # noqa: PLC0415 - few commands have begun a thread

        if any(thread.name.startswith(MAY_HANG) for thread in threading.enumerate()):
            # Python's own end would tear them out of the libraries in which they wait, which may abort the process.
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OutputLost, OSError):
                    stream.flush()
            os._exit(code)
    gc.freeze()  # Python's own end would look at every object once more: a quarter of what a short command takes
    sys.exit(code)
