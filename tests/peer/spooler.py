"""Runs in the peer's environment: sqooler's own spooler loop with a backend that answers every job at once."""

import sys
from typing import Literal

from pydantic import BaseModel
from sqooler.schemes import LocalLoginInformation
from sqooler.spoolers import Spooler, create_memory_data
from sqooler.storage_providers.local import LocalProvider
from sqooler.utils import main, update_backends


class AnyExperiment(BaseModel):
    """Whatever a test queues."""

    shots: int
    num_wires: int
    wire_order: Literal["interleaved", "sequential"]
    instructions: list


class AnyInstruction(BaseModel):
    """Whatever a test queues."""

    name: str
    wires: list[int]
    params: list[float]


def answering() -> Spooler:
    """Return a spooler that answers every job at once."""
    names = ("load", "rlx", "rlz2", "measure")
    spooler = Spooler(dict.fromkeys(names, AnyInstruction), AnyExperiment, n_wires=1, version="peer", n_max_shots=10**6)
    spooler.gen_circuit = lambda name, job: create_memory_data(["peer"] * job.shots, name, job.shots)
    return spooler


def run(store: str, *backends: str) -> None:
    """Serve the queues until killed; start again where the loop dies because somebody else was quicker."""
    provider = LocalProvider(LocalLoginInformation(base_path=store))
    spoolers = {backend: answering() for backend in backends or ("singlequdit",)}
    update_backends(provider, spoolers)
    while True:
        try:
            main(provider, spoolers)
        except OSError:
            continue


if __name__ == "__main__":
    run(*sys.argv[1:])
