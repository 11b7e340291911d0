"""The sandbox's fork server for a forked drain: a child of it that stands by with the numbers libraries imported.

A drain starts its fork server when it has threads already, and cannot fork then. So it is forked before, waits until
the drain starts `tasks.sandbox.fork_server`, and becomes that, as the child that `subprocess.Popen` would have started.
"""

import json
import os
import socket
import subprocess
import sys
from typing import Any

from tasks.sandbox import fork_server

MESSAGE_BYTES = 100_000
MODULE = "tasks.sandbox.fork_server"


def stand_by() -> None:
    """Fork it from this process, which has one thread, and let the first fork server that is started be it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _wait_and_serve(theirs)
    theirs.close()
    waiting = [ours]

    class Popen(subprocess.Popen[Any]):
        """Starts a program, the first fork server by telling the one in waiting to go on."""

        def _execute_child(self, *given: Any) -> None:
            arguments, _, _, _, pass_fds, cwd, environment = given[:7]
            if MODULE not in arguments or not waiting:
                super()._execute_child(*given)  # type: ignore[misc]
                return
            with waiting.pop() as channel:
                how = {"arguments": arguments[4:], "environment": environment, "cwd": cwd, "number": pass_fds[0]}
                socket.send_fds(channel, [json.dumps(how).encode()], [pass_fds[0]])
            os.close(self._devnull)  # type: ignore[attr-defined]
            self.pid, self._child_created, self._closed_child_pipe_fds = pid, True, True

    subprocess.Popen = Popen  # type: ignore[misc]


def _wait_and_serve(channel: socket.socket) -> None:
    message, files, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 1)
    if not message:
        os._exit(0)  # the drain has ended and needed none
    how = json.loads(message)
    os.setsid()
    os.dup2(files[0], how["number"])
    os.closerange(3, how["number"])
    os.closerange(how["number"] + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    os.chdir(how["cwd"])
    os.environ.clear()
    os.environ.update(how["environment"])
    sys.argv = [MODULE, *how["arguments"]]
    try:
        fork_server.main()
    finally:
        os._exit(1)
