"""Words with which statements of OpenQASM begin, and what they say; `docs/qubits.md` lists all that is refused."""

REFUSED = {
    "def": "subroutines (def) are not supported; write a gate",
    "extern": "extern is not supported: there is no program outside to call",
    "defcal": "pulses (defcal) are not supported",
    "defcalgrammar": "pulses (defcalgrammar) are not supported",
    "cal": "pulses (cal) are not supported",
    "pragma": "pragmas are not supported",
    "box": "timing (box) is not supported",
    "delay": "timing (delay) is not supported",
    "stretch": "timing (stretch) is not supported",
    "duration": "timing (duration) is not supported",
    "input": "inputs are not supported; write the number into the program",
    "array": "arrays (array) are not supported; write registers",
    "opaque": "opaque gates are not supported: there is no definition to simulate",
}
"""What a statement may not begin with."""

TELLING = frozenset({"qubit", "qreg", "gate", "defcalgrammar"})
"""What statements of hardly another language begin with."""
