"""What people hand in as files: a job document, or an OpenQASM program, which is made into one."""

from models.errors import InputError
from models.job_language.openqasm_opening import is_openqasm
from models.requests import qasm_document

USUAL_SHOTS = 1000


def job_document(content: bytes, *, is_qasm: bool, shots: int | None, seed: int | None) -> bytes:
    """Return the job document in a file.

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
