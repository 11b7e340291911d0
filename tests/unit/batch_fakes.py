"""A backend of which each document says what its validation does, whose processes are kept."""

import os
from typing import Any

from models.documents import Experiment
from tests.unit.sandbox_fakes import Actions, Backend


class Obedient(Backend):
    """Does what the document says, and is well-behaved otherwise; its shots are the process."""

    def validate(self, document: Any) -> list[Experiment]:
        getattr(Actions, document["do"])()
        return [Experiment(name="e", instructions=(), num_wires=1, shots=os.getpid())] * document.get("times", 1)


def load(_name: str) -> Backend:
    """Return the backend."""
    return Obedient("obedient")


def lasting(name: str) -> bool:
    """Say whether processes are kept."""
    return name != "fresh"


def loaded() -> list[str]:
    """Return what the fork server loads beforehand: a process that has to load it grows too much to be kept."""
    return ["any"]
