"""Landlock: what the kernel denies to a process and to all that it forks, by files, by TCP ports and by processes.

What each version of its ABI knows stands in the kernel's own documentation (userspace-api/landlock); what a version
does not know is not asked of it.
"""

import ctypes
import errno
import os
import stat
from typing import NamedTuple

from tasks.sandbox import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""The system calls, on all machines."""

VERSION = 1
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_BLOCK = 1 << 6, 1 << 11
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15

OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that a rule about something else than a folder may give."""

READ = READ_FILE | READ_DIR
USE = READ | WRITE_FILE | TRUNCATE | IOCTL_DEV

BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
ABSTRACT_SOCKETS, SIGNALS = 1 << 0, 1 << 1

_FILES_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""ABI -> how many rights over files it knows."""

NETWORK_ABI, SCOPES_ABI = 4, 6


class Rule(NamedTuple):
    """What may be done with a file or a folder, and with all that is in it."""

    path: str
    rights: int


class Ruleset(NamedTuple):
    """What a process is kept from.

    Attributes:
        files: the rights over files that are denied, but for the rules; 0 if none are.
        network: the rights over TCP ports that are denied.
        scopes: what is denied towards processes that are not its own descendants.
        rules: what may be done all the same; a path that is not there gives no right.
    """

    files: int
    network: int
    scopes: int
    rules: tuple[Rule, ...]


def abi() -> int:
    """Return which version of Landlock the kernel speaks, 0 for none."""
    try:
        return kernel.syscall(CREATE_RULESET, None, 0, VERSION)
    except OSError:
        return 0


def all_files(version: int) -> int:
    """Return all rights over files that a version of the ABI knows."""
    return (1 << _FILES_BY_ABI[min(version, max(_FILES_BY_ABI))]) - 1


def restrict(ruleset: Ruleset, version: int) -> None:
    """Keep this process from it, for ever; `PR_SET_NO_NEW_PRIVS` has been set.

    It can neither trace nor look into any process but its own descendants then, whatever the ruleset says.
    """
    known = 3 if version >= SCOPES_ABI else 2 if version >= NETWORK_ABI else 1
    words = (ruleset.files, ruleset.network, ruleset.scopes)[:known]
    about = (ctypes.c_uint64 * len(words))(*words)
    fd = kernel.syscall(CREATE_RULESET, about, ctypes.sizeof(about), 0)
    try:
        for rule in ruleset.rules:
            _add(fd, rule, ruleset.files)
        kernel.syscall(RESTRICT_SELF, fd, 0)
    finally:
        os.close(fd)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def _add(ruleset: int, rule: Rule, denied: int) -> None:
    try:
        fd = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP}:
            return
        raise
    try:
        rights = rule.rights & denied
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= OF_FILES
        if rights:
            kernel.syscall(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(_PathBeneath(rights, fd)), 0)
    finally:
        os.close(fd)
