"""Quledger's backends as devices of PennyLane."""

try:
    import pennylane as _pennylane  # noqa: F401 - whether it is there
except ModuleNotFoundError as error:
    message = "PennyLane is not installed: pip install 'quledger-client[pennylane]'"
    raise ModuleNotFoundError(message, name=error.name) from None

from quledger_client.pennylane.coldatoms import (
    FermionDevice,
    Hop,
    Interact,
    Level,
    Load,
    LoadFermion,
    Lz,
    Phase,
    RLx,
    RLxLy,
    RLz,
    RLz2,
    RLzLz,
    SpinDevice,
)
from quledger_client.pennylane.qubits import QubitDevice

__all__ = [
    "FermionDevice",
    "Hop",
    "Interact",
    "Level",
    "Load",
    "LoadFermion",
    "Lz",
    "Phase",
    "QubitDevice",
    "RLx",
    "RLxLy",
    "RLz",
    "RLz2",
    "RLzLz",
    "SpinDevice",
]
