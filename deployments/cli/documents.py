"""Job documents as files on the command line."""

import sys
from pathlib import Path

from models.errors import InputError, UnreadableFile
from models.job_language.openqasm_opening import is_openqasm
from models.requests import qasm_document

USUAL_SHOTS = 1000


def document_in(file: Path, shots: int | None, seed: int | None) -> bytes:
    """Return the job document that a file holds, as `job_document`.

    Args:
        file: `-` is standard input; a name that ends in .qasm says that it is OpenQASM.

    Raises:
        UnreadableFile: it cannot be read.
    """
    return job_document(content_of(file), is_qasm=file.suffix == ".qasm", shots=shots, seed=seed)


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


def content_of(file: Path) -> bytes:
    """Return what a file holds.

    Raises:
        UnreadableFile: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UnreadableFile(str(file), error.strerror or "unknown reason") from None
