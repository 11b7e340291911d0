"""The process that watches an event loop: `python -I -S watcher.py PID SECONDS REPORT`. It imports nothing of ours.

Standard input brings a byte from the loop every now and then; its end is the end of the watch. REPORT is the file,
open, into which the watched process writes what it was doing.
"""

import os
import select
import signal
import sys
import time

SIGNAL = signal.SIGUSR2
"""Has the watched process write what every thread of it is doing."""

BEATS = 20
"""So many times as long as a beat is what counts as standing still; also how often the watch looks."""

WRITE_SECONDS = 1.0
"""For so long the watched process may write."""


def watch(pid: int, seconds: float, report: int) -> None:
    """Wait until the loop has ended, or end its process."""
    quiet = 0
    while quiet < BEATS:
        # Counted in looks of our own, not by a clock: the whole machine may have slept.
        ready, _, _ = select.select([0], [], [], seconds / BEATS)
        if ready:
            if not os.read(0, 65536):
                return
            quiet = 0
            time.sleep(seconds / BEATS / 2)
        elif not _is_stopped(pid):
            quiet += 1
    if os.getppid() != pid:
        return
    said = f"quledger: the event loop of process {pid} stood still for {seconds:g} s; the process was ended"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    os.write(report, f"\n{when} {said}; this is what it was doing:\n".encode())
    os.kill(pid, SIGNAL)
    time.sleep(WRITE_SECONDS)
    os.kill(pid, signal.SIGKILL)
    # After that: what nobody reads may hold up whoever writes it.
    sys.stderr.write(f"{said} (see standstill.log)\n")
    sys.stderr.flush()


def _is_stopped(pid: int) -> bool:
    """Say whether somebody has stopped the process: it does not stand still by itself."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in {b"T", b"t"}
    except OSError:
        return False  # there is no such file on macOS


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    watch(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
