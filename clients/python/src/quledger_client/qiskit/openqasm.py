"""Circuits of Qiskit as text: OpenQASM 3 as its specification has it."""

import re

from qiskit import QuantumCircuit, qasm3

from quledger_client.errors import Refused

_ALL = "quledger_bits"
_BIT, _REGISTER = re.compile(r"bit (\S+);"), re.compile(r"let (\S+) = \{.*\};")


def shares_bits(circuit: QuantumCircuit) -> bool:
    """Return whether a classical bit is in more than one register."""
    return any(len(circuit.find_bit(bit).registers) > 1 for bit in circuit.clbits)


def text_of(circuit: QuantumCircuit) -> str:
    """Return the text of a circuit.

    Raises:
        Refused: Qiskit cannot write it so.
    """
    try:
        text: str = qasm3.dumps(circuit, allow_aliasing=True)
    except qasm3.QASM3ExporterError as error:
        message = f"the circuit {circuit.name} cannot be written as OpenQASM 3: {error}"
    else:
        return _shared(text, circuit) if shares_bits(circuit) else text
    raise Refused(message)


def _shared(text: str, circuit: QuantumCircuit) -> str:
    """Return a text whose bits and registers are parts of one register.

    Qiskit declares each bit and makes registers sets of them, which OpenQASM does not know: it joins registers alone.
    """
    registers = iter(circuit.cregs)
    lines, bits = [], 0
    for line in text.splitlines():
        if bit := _BIT.fullmatch(line):
            lines += [f"bit[{circuit.num_clbits}] {_ALL};"] if not bits else []
            lines.append(f"let {bit[1]} = {_ALL}[{bits}];")
            bits += 1
        elif register := _REGISTER.fullmatch(line):
            places = ", ".join(str(circuit.find_bit(each).index) for each in next(registers))
            lines.append(f"let {register[1]} = {_ALL}[{{{places}}}];")
        else:
            lines.append(line)
    return "\n".join([*lines, ""])
