"""Circuits for the cold-atom backends, checked while they are built."""

from quledger_client.build.circuit import Circuit
from quledger_client.build.coldatoms import Fermions, MultiQudit, Rydberg, SingleQudit
from quledger_client.build.rules import Instruction, Parameter, Rules

__all__ = ["Circuit", "Fermions", "Instruction", "MultiQudit", "Parameter", "Rules", "Rydberg", "SingleQudit"]
