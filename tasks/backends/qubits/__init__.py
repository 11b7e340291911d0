"""The backend of qubits: OpenQASM in, counts and expectation values out."""
