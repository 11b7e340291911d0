"""Backends that behave well, and that misbehave in every way, for the tests of the sandbox."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.backend import BackendConfig
from models.documents import Experiment
from models.errors import Fault, JobRejected

CONFIG = BackendConfig(
    description="For tests",
    version="0.1",
    display_name="fake",
    cold_atom_type="spin",
    gates=[],
    max_experiments=10,
    max_shots=100,
    simulator=True,
    supported_instructions=[],
    num_wires=1,
    wire_order="sequential",
    num_species=1,
)

SEEN: list[str] = []
"""What jobs leave behind in this module."""


class Backend:
    """Does one thing in one of its steps, and is well-behaved otherwise."""

    config = CONFIG

    def __init__(self, name: str) -> None:
        self.step, _, action = name.partition("-")
        self.action = ACTIONS[action or "nothing"]
        self.calls = dict.fromkeys(("validate", "compile", "execute"), 0)

    def at(self, step: str) -> Any:
        self.calls[step] += 1
        return self.action() if step == self.step else None

    def validate(self, document: Any) -> list[Experiment]:
        self.at("validate")
        return [Experiment(name=name, instructions=(), num_wires=1, **value) for name, value in document.items()]

    def predicted_cost(self, experiments: list[Experiment]) -> int:
        return 7 * len(experiments)

    def compile(self, experiments: list[Experiment], seed: int) -> Any:
        return {"did": self.at("compile"), "seed": seed, "pid": os.getpid(), "names": [e.name for e in experiments]}

    def execute(self, program: Any) -> list[Any]:
        did = self.at("execute")
        return [{"name": name, "did": did, "calls": self.calls} for name in program["names"]]


class RateLimitError(Exception):
    retryable = True


def loop() -> None:
    while True:
        pass


def ignore_cpu_warning() -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    loop()


def memory_bomb() -> None:
    hoard = []
    while True:
        hoard.append(bytearray(1_000_000))


def wrapped_memory_bomb() -> None:
    try:
        memory_bomb()
    except MemoryError as error:
        raise ValueError("no result") from error


def answer_bomb() -> str:
    return "x" * 3_000_000


def reject() -> None:
    faults = [Fault(message=f"wrong {n} ü", experiment="e", instruction=n, name="rx") for n in range(3000)]
    raise JobRejected(*faults)


class PeerError(Exception):
    def __init__(self) -> None:
        super().__init__("2 faults")
        self.faults = [{"message": "no such gate", "field": "name"}, "not a Fault"]


def reject_as_peer() -> None:
    raise PeerError


def break_down() -> None:
    raise KeyError(f"cannot read {__file__} for\n{Path.home()}/secret.json, 3/4 done " + 5000 * "x")


def be_busy() -> None:
    raise RateLimitError("the machine is busy")


def recurse() -> None:
    recurse()


def ignore_termination() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(3600)


def breed() -> list[int]:
    """Leave three processes behind: one in this session, one in its own, and one without a parent."""
    reader, writer = os.pipe()
    for kind in range(3):
        if os.fork() == 0:
            if kind > 0:
                os.setsid()
            if kind == 2 and os.fork() > 0:
                os._exit(0)
            os.write(writer, b"%d " % os.getpid())
            ignore_termination()
    pids = b""
    while pids.count(b" ") < 3:
        pids += os.read(reader, 100)
    return [int(pid) for pid in pids.split()]


def breed_and_exit() -> None:
    breed()
    os._exit(4)


def look_around() -> dict[str, Any]:
    """Return what a job can find out here."""
    secrets = [Path(f"/proc/{pid}/environ").read_bytes() for pid in ("self", os.getppid())]
    return {
        "environ": str(dict(os.environ)),
        "proc": b" ".join(secrets).decode(),
        "files": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        "links": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
        "cwd": os.getcwd(),
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
        "seen": list(SEEN),
    }


def leave_trace() -> None:
    SEEN.append("the result of another job")
    os.environ["LEFT"] = "the result of another job"
    SEEN.append(str(open(0)))  # a file that stays open


def write_file() -> None:
    with Path("/tmp/quledger-sandbox-test").open("wb", buffering=0) as file:  # noqa: S108
        file.write(b"x")


def talk_nonsense() -> None:
    os.write(3, b"\0\0\0\4" + b"\0" * 8 + b"nope")
    time.sleep(3600)


def promise_much() -> None:
    os.write(3, b"\0\0\0\2" + b"\xff" * 8 + b"{}")
    time.sleep(3600)


def close_channel() -> None:
    os.close(3)
    time.sleep(3600)


def draw() -> list[float]:
    import random

    import numpy as np

    return [random.random(), float(np.random.random())]


ACTIONS: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "loop": loop,
    "ignore_cpu_warning": ignore_cpu_warning,
    "nap": lambda: time.sleep(0.35),
    "sleep": lambda: time.sleep(3600),
    "memory_bomb": memory_bomb,
    "wrapped_memory_bomb": wrapped_memory_bomb,
    "answer_bomb": answer_bomb,
    "reject": reject,
    "reject_as_peer": reject_as_peer,
    "break_down": break_down,
    "be_busy": be_busy,
    "recurse": recurse,
    "leave": sys.exit,
    "exit": lambda: os._exit(3),
    "abort": os.abort,
    "kill_itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "ignore_termination": ignore_termination,
    "breed": breed,
    "breed_and_exit": breed_and_exit,
    "look_around": look_around,
    "leave_trace": leave_trace,
    "write_file": write_file,
    "talk_nonsense": talk_nonsense,
    "promise_much": promise_much,
    "close_channel": close_channel,
    "draw": draw,
    "return_object": object,
    "return_surrogate": lambda: "\ud800",
}


def load(name: str) -> Backend:
    return Backend(name)


def names() -> list[str]:
    return ["good"]
