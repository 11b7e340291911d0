"""A filter of system calls (seccomp), as a program that the kernel runs before each of them.

It looks at numbers and whole-number arguments; what a pointer leads to it cannot see, so calls that say all they want
in a structure (`clone3`, `openat2`) do not exist for a job, and the C library makes do with the older ones.
"""

import ctypes
import errno
import struct
from typing import NamedTuple

from tasks.sandbox import kernel
from tasks.sandbox.syscalls import (
    CHANGES,
    KERNEL,
    NEWEST,
    PROCESSES,
    PROGRAMS,
    SESSIONS,
    SHARED,
    SIGNALS,
    Machine,
    machine,
    numbers,
)

SET_MODE_FILTER, GET_ACTION_AVAILABLE = 1, 2
SPEC_ALLOW = 1 << 2
"""Without it older kernels slow the process down, for an attack that needs a secret in the same process."""

ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000
"""What becomes of a call: names from linux/seccomp.h, without SECCOMP_RET_."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions, as linux/bpf_common.h puts them together: of a word, compared with a constant."""

NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets in `struct seccomp_data`; of an argument the lower half is looked at, as the kernel does with these calls."""

X32 = 0x40000000
"""A bit of the numbers of another set of calls of x86_64."""

CLONE_PARENT, CLONE_THREAD, CLONE_NAMESPACES = 0x00008000, 0x00010000, 0x7E020000
TO_WRITE = 0o3 | 0o100 | 0o1000
"""Flags of `open`: to write, to create, to truncate."""

TERMINAL = (0x5412, 0x541C)
"""Calls of `ioctl` that type into a terminal."""

OWNER = (0x8901, 0x8902)
"""Calls of `ioctl` that say whom a socket sends signals to; `fcntl` has others for the same."""

F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15

INSTRUCTION = struct.Struct("=HBBI")


class Denied(NamedTuple):
    """What a filter denies beyond what no backend asks of the kernel.

    Attributes:
        network: sockets.
        changes: changes of files that are not open for writing, and what is shared by a number.
        writing: files that are opened for writing.
        processes: processes; threads are none.
        programs: to become another program.
        signals: signals, also to itself.
    """

    network: bool = False
    changes: bool = False
    writing: bool = False
    processes: bool = False
    programs: bool = False
    signals: bool = False


class _Test(NamedTuple):
    """A call is denied if this holds of one of its arguments.

    Attributes:
        holds: whether the comparison has to come out true.
    """

    argument: int
    compare: int
    value: int
    holds: bool = True


def is_available() -> bool:
    """Say whether the kernel takes a filter that answers with an error, on a machine whose calls are known."""
    here = machine()
    if here is None:
        return False
    try:
        kernel.syscall(*numbers(here, "seccomp"), GET_ACTION_AVAILABLE, 0, ctypes.byref(ctypes.c_uint32(ERRNO)))
    except OSError:
        return False
    return True


def program(denied: Denied, here: Machine) -> bytes:
    """Return the filter."""
    refuse = ERRNO | errno.EPERM
    missing = ERRNO | errno.ENOSYS
    text = [
        (LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, here.audit), (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, refuse),
        (AT_LEAST, 0, 1, NEWEST + 1), (RETURN, 0, 0, missing),
    ]  # fmt: skip
    for number in numbers(here, "clone3", "openat2"):
        text += [(EQUAL, 0, 1, number), (RETURN, 0, 0, missing)]
    # Told that it was done: a program that wants a session of its own does not care what it is for.
    for number in numbers(here, *SESSIONS):
        text += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO)]
    for number in numbers(here, *_names(denied)):
        text += [(EQUAL, 0, 1, number), (RETURN, 0, 0, refuse)]
    for name, tests in _tests(denied).items():
        for number in numbers(here, name):
            text += _conditional(number, tests, refuse)
    text.append((RETURN, 0, 0, ALLOW))
    return b"".join(INSTRUCTION.pack(*each) for each in text)


def apply(filter_program: bytes, here: Machine) -> None:
    """Put the filter before all system calls of this process, for ever; `PR_SET_NO_NEW_PRIVS` has been set."""
    text = ctypes.create_string_buffer(filter_program, len(filter_program))
    about = _Program(len(filter_program) // INSTRUCTION.size, ctypes.addressof(text))
    kernel.syscall(*numbers(here, "seccomp"), SET_MODE_FILTER, SPEC_ALLOW, ctypes.byref(about))


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _names(denied: Denied) -> list[str]:
    names = list(KERNEL)
    if denied.network:
        names.append("socket")
    if denied.changes:
        names += (*SHARED, *CHANGES)
    if denied.processes:
        names += PROCESSES
    if denied.programs:
        names += PROGRAMS
    if denied.signals:
        names += SIGNALS
    return names


def _tests(denied: Denied) -> dict[str, list[_Test]]:
    of_another = [_Test(0, EQUAL, 0, holds=False)]
    of_others = [_Test(0, EQUAL, 0, holds=False), _Test(1, EQUAL, 0, holds=False)]
    tests = {
        # Namespaces of its own; processes that would count for the fork server's and not for the job's.
        "clone": [_Test(0, ANY_BIT, CLONE_NAMESPACES | CLONE_PARENT)],
        "prctl": [
            _Test(0, EQUAL, option)
            for option in (
                kernel.PR_SET_PDEATHSIG,
                kernel.PR_SET_DUMPABLE,
                kernel.PR_SET_MM,
                kernel.PR_SET_CHILD_SUBREAPER,
            )
        ],
        "fcntl": [_Test(1, EQUAL, command) for command in (F_SETOWN, F_SETSIG, F_SETOWN_EX)],
        "ioctl": [_Test(1, EQUAL, command) for command in (*TERMINAL, *OWNER)],
        # The limits, priority and processors of another process, or of all of a user.
        "setpriority": of_others,
        "ioprio_set": [_Test(0, EQUAL, 1, holds=False), _Test(1, EQUAL, 0, holds=False)],
        **dict.fromkeys(
            ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"), of_another
        ),
    }
    if denied.processes:
        tests["clone"].append(_Test(0, ANY_BIT, CLONE_THREAD, holds=False))
    if denied.writing:
        tests |= {"open": [_Test(1, ANY_BIT, TO_WRITE)], "openat": [_Test(2, ANY_BIT, TO_WRITE)]}
    return tests


def _conditional(number: int, tests: list[_Test], refuse: int) -> list[tuple[int, int, int, int]]:
    """Return the part of the program about one call; it decides about that call for good."""
    body: list[tuple[int, int, int, int]] = []
    for test in tests:
        body += [
            (LOAD, 0, 0, ARGUMENTS + 8 * test.argument),
            (test.compare, *((0, 1) if test.holds else (1, 0)), test.value),
            (RETURN, 0, 0, refuse),
        ]
    body.append((RETURN, 0, 0, ALLOW))
    return [(EQUAL, 0, len(body), number), *body]
