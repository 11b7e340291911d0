"""What Linux offers a process against itself and Python has no functions for, by the documented calls of libc.

Elsewhere nothing here may be called; each call raises OSError if the kernel refuses it.
"""

import contextlib
import ctypes
import os
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP = 1, 4, 22
PR_SET_MM, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 35, 36, 38
"""Names from linux/prctl.h."""

_CAPABILITY_VERSION = 0x20080522
_LIBC = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: int) -> int:
    """Change something about this process, and about those that it forks from now on."""
    return _checked(_LIBC.prctl(ctypes.c_int(option), *map(ctypes.c_ulong, (*arguments, 0, 0, 0, 0)[:4])))


def ask(option: int, *arguments: int) -> None:
    """The same, where it is no matter if the kernel does not know it."""
    with contextlib.suppress(OSError):
        prctl(option, *arguments)


def syscall(number: int, *arguments: Any) -> int:
    """Call what libc has no function for.

    Args:
        arguments: whole numbers, or what `ctypes` passes as a pointer.
    """
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *passed))


def keep_capabilities(kept: int) -> None:
    """Give up all capabilities but these, for ever.

    Args:
        kept: a bit for each of them, as linux/capability.h numbers them.
    """
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    data = (ctypes.c_uint32 * 6)()
    _checked(_LIBC.capget(header, data))
    for word in range(2):
        low = kept >> 32 * word & 0xFFFFFFFF
        data[3 * word] &= low
        data[3 * word + 1] &= low
        data[3 * word + 2] = 0
    _checked(_LIBC.capset(header, data))


def _checked(answer: int) -> int:
    return _refused() if answer < 0 else answer


def _refused() -> NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
