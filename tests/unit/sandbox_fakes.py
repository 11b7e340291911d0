"""Backends that behave well, and that misbehave in every way, for the tests of the sandbox."""

import contextlib
import ctypes
import os
import random
import resource
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.backend import BackendConfig
from models.documents import Experiment
from models.errors import Fault, JobRejected
from tasks.sandbox.protocol import PREFIX, pack

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

FORBIDDEN_FILE = Path("/tmp/quledger-sandbox-test")
"""No job can write this."""

SEEN: list[str] = []
"""What jobs leave behind in this module."""


class Backend:
    """Does one thing in one of its steps, and is well-behaved otherwise."""

    config = CONFIG

    def __init__(self, name: str) -> None:
        self.step, _, action = name.partition("-")
        self.action = getattr(Actions, action or "nothing")
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


class Plain(Backend):
    """Returns what the contract wants."""

    def execute(self, program: Any) -> list[Any]:
        return [{"header": {"name": name}, "shots": 0, "data": {"memory": []}} for name in program["names"]]


def load(name: str) -> Backend:
    """Return the backend `step-action`, `plain`, or `good`."""
    return Plain(name) if name == "plain" else Backend(name)


def loaded() -> list[str]:
    """Return what the fork server loads beforehand."""
    return ["good"]


class BusyError(Exception):
    retryable = True


class PeerError(Exception):
    def __init__(self) -> None:
        super().__init__("2 faults")
        self.faults = [{"message": "no such gate", "field": "name"}, "not a Fault"]


class MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


def wait_for_ever() -> None:
    """Never come back, whatever signal is handled meanwhile."""
    while True:
        signal.pause()


class Actions:
    """Each returns something for the test, raises, or never comes back."""

    @staticmethod
    def nothing() -> None:
        pass

    # --- never come back

    @staticmethod
    def loop() -> None:
        while True:
            pass

    @staticmethod
    def ignore_cpu_warning() -> None:
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        Actions.loop()

    @staticmethod
    def nap() -> None:
        time.sleep(0.35)

    sleep = staticmethod(wait_for_ever)

    @staticmethod
    def ignore_termination() -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        wait_for_ever()

    # --- take too much

    @staticmethod
    def memory_bomb() -> None:
        hoard = []
        while True:
            hoard.append(bytearray(1_000_000))

    @staticmethod
    def wrapped_memory_bomb() -> None:
        try:
            Actions.memory_bomb()
        except MemoryError as error:
            raise ValueError("no result") from error

    @staticmethod
    def answer_bomb() -> str:
        return "x" * 3_000_000

    @staticmethod
    def promise_much() -> None:
        os.write(3, b"\0\0\0\2" + b"\xff" * 8 + b"{}")
        wait_for_ever()

    @staticmethod
    def promise_a_long_header() -> None:
        os.write(3, b"\xff" * 4 + b"\0" * 8 + b"{}")
        wait_for_ever()

    @staticmethod
    def write_file() -> None:
        with FORBIDDEN_FILE.open("wb", buffering=0) as file:
            file.write(b"x")

    # --- raise

    @staticmethod
    def reject() -> None:
        faults = [Fault(message=f"wrong {n} ü", experiment="e", instruction=n, name="rx") for n in range(3000)]
        raise JobRejected(*faults)

    @staticmethod
    def reject_as_peer() -> None:
        raise PeerError

    @staticmethod
    def break_down() -> None:
        raise KeyError(f"cannot read {__file__} for\n{Path.home()}/secret.json, 3/4 done " + 5000 * "x")

    @staticmethod
    def be_busy() -> None:
        raise BusyError("the machine is busy")

    @staticmethod
    def be_mute() -> None:
        raise MuteError

    @staticmethod
    def recurse() -> None:
        Actions.recurse()

    @staticmethod
    def leave() -> None:
        sys.exit("bye")

    @staticmethod
    def return_object() -> object:
        return object()

    # --- end the process, or its conversation

    @staticmethod
    def exit() -> None:
        os._exit(3)

    @staticmethod
    def abort() -> None:
        os.abort()

    @staticmethod
    def kill_itself() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @staticmethod
    def breed_and_exit() -> None:
        Actions.breed()
        os._exit(4)

    @staticmethod
    def talk_nonsense() -> None:
        os.write(3, b"\0\0\0\4" + b"\0" * 8 + b"nope")
        wait_for_ever()

    @staticmethod
    def tell_without_end() -> None:
        word = pack({"progress": {"done": 1, "of": 2}}) * 1000
        with socket.socket(fileno=os.dup(3)) as channel:
            while True:
                channel.sendall(word)

    @staticmethod
    def tell_nonsense() -> None:
        os.write(3, pack({"progress": {"done": "all", "of": 10**40}}))
        wait_for_ever()

    @staticmethod
    def tell_much() -> None:
        with socket.socket(fileno=os.dup(3)) as channel:
            while True:
                channel.sendall(pack({"progress": {"done": 1, "of": 2}}, 900_000) + bytes(900_000))

    @staticmethod
    def answer_nonsense() -> None:
        os.write(3, pack({"seconds": "long", "versions": [1]}))
        wait_for_ever()

    @staticmethod
    def answer_deep() -> None:
        text = b'{"seconds": ' + b"[" * 1_000_000
        with socket.socket(fileno=os.dup(3)) as channel:
            channel.sendall(PREFIX.pack(len(text), 0) + text)
        wait_for_ever()

    @staticmethod
    def much() -> str:
        return "x" * 100_000_000

    @staticmethod
    def close_channel() -> None:
        os.close(3)
        wait_for_ever()

    # --- tell something

    @staticmethod
    def breed() -> list[int]:
        """Leave three processes behind: in this session, in a session of its own, and there without a parent."""
        reader, writer = os.pipe()
        for kind in range(3):
            if os.fork() == 0:
                if kind > 0:
                    os.setsid()
                if kind > 1 and os.fork() > 0:
                    os._exit(0)
                os.write(writer, b"%d " % os.getpid())
                Actions.ignore_termination()
        pids = b""
        while pids.count(b" ") < 3:
            pids += os.read(reader, 100)
        return [int(pid) for pid in pids.split()]

    @staticmethod
    def look_around() -> dict[str, Any]:
        """Return what a job can find out here."""
        environs = b""
        for pid in ("self", os.getppid()):
            with contextlib.suppress(PermissionError):
                environs += Path(f"/proc/{pid}/environ").read_bytes()
        return {
            "environ": str(dict(os.environ)),
            "proc": environs.decode(),
            "files": sorted(int(name) for name in os.listdir("/proc/self/fd")),
            "links": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
            "cwd": str(Path.cwd()),
            "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
            "limits": [resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)],
            "seen": list(SEEN),
        }

    @staticmethod
    def leave_trace() -> None:
        SEEN.append("the result of another job")
        os.environ["LEFT"] = "the result of another job"
        os.dup(0)

    @staticmethod
    def draw() -> list[float]:
        return [random.random(), float(np.random.random())]  # noqa: NPY002 - the global generator is the point

    @staticmethod
    def burn() -> int:
        """Use more than half a second of CPU time and return which process this is."""
        until = time.process_time() + 0.55
        while time.process_time() < until:
            pass
        return os.getpid()

    @staticmethod
    def hoard() -> int:
        """Use 50 MB and return which process this is."""
        bytearray(50_000_000)
        return os.getpid()

    @staticmethod
    def who() -> int:
        """Return which process this is."""
        return os.getpid()

    @staticmethod
    def calculate() -> float:
        matrix = np.ones((600, 600), dtype=complex)
        return float(np.linalg.eigvalsh(matrix @ matrix)[-1])
