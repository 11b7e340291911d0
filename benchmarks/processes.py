"""What the benchmarks need of the operating system: processes with what they cost, and a description of the machine."""

import contextlib
import os
import platform
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: Iterable[int]) -> float:
    """Return the CPU seconds of these processes, their descendants and all children that have ended."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            children[int(fields[1])].append(int(folder.name))
            used[int(folder.name)] = sum(int(field) for field in fields[11:15])
    todo, total = list(roots), 0
    while todo:
        pid = todo.pop()
        total += used.get(pid, 0)
        todo += children[pid]
    return total / TICK


class Program:
    """A process with a session of its own, which can be stopped for a while so that it costs others nothing."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path, **more: object) -> None:
        with log.open("ab") as output:
            options: dict[str, object] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": output} | more
            self.process = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 - our own words
                command, env=environment, start_new_session=True, text=True, **options
            )
        self.pid: int = self.process.pid

    def pause(self) -> None:
        """Stop it and what it started."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def ask(self, line: str) -> str:
        """Write a line to it and return the line that it answers."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer: str = self.process.stdout.readline()
        if not answer:
            msg = f"it ended: {self.process.args}"
            raise RuntimeError(msg)
        return answer.strip()

    def end(self, seconds: float = 20) -> None:
        """End it in good order, else by force."""
        if self.process.poll() is not None:
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def machine() -> str:
    """Return one line about this machine."""
    model = "unknown processor"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, load {load:.1f}"
    )
