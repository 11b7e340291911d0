"""Job documents as files on the command line."""

import sys
from pathlib import Path

from models.errors import InputError, UnreadableFile
from models.job_language.openqasm_opening import is_openqasm
from models.requests import qasm_document

USUAL_SHOTS = 1000


def document_in(file: Path, shots: int | None, seed: int | None, most: int) -> bytes:
    """Return the job document that a file holds, as `job_document`.

    Args:
        file: `-` is standard input; a name that ends in .qasm says that it is OpenQASM.
        most: bytes that it may hold; a device or a pipe may have no end.

    Raises:
        UnreadableFile: it cannot be read, or holds more.
    """
    return job_document(content_of(file, most), is_qasm=file.suffix == ".qasm", shots=shots, seed=seed)


def job_document(content: bytes, *, is_qasm: bool, shots: int | None, seed: int | None) -> bytes:
    """Return the job document in a file; an OpenQASM program is made into one.

    Args:
        is_qasm: the file's name says that it is OpenQASM; other texts are if they begin with the word OPENQASM.
        shots: of an OpenQASM program; None for 1000.
        seed: of the same.

    Raises:
        InputError: shots or seed were given for a document that says its own.
    """
    text = content.decode("utf-8", "surrogateescape")
    if is_qasm or is_openqasm(text):
        try:
            program = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"the program is not UTF-8 text (byte {error.start}); OpenQASM is") from None
        return qasm_document(program, USUAL_SHOTS if shots is None else shots, seed)
    if shots is not None or seed is not None:
        raise InputError("--shots and --seed are for OpenQASM programs; a job document says its own")
    return content


def content_of(file: Path, most: int) -> bytes:
    """Return what a file holds.

    Args:
        most: bytes; of a file that holds more, no more than one byte beyond them is read.

    Raises:
        UnreadableFile: it cannot be read, or holds more.
    """
    try:
        if str(file) == "-":
            content = sys.stdin.buffer.read(most + 1)
        else:
            with file.open("rb") as stream:
                content = stream.read(most + 1)
    except OSError as error:
        raise UnreadableFile(str(file), error.strerror or "unknown reason") from None
    if len(content) > most:
        raise UnreadableFile(str(file), f"it has more than {most / 1e6:g} MB")
    return content
