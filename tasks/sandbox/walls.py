"""The walls around the process of a job: what the kernel offers, what is asked of it, and what is walled off then.

Each wall that the kernel has is put up, and none is needed: where one is missing, `table` says so. They are put up in
the child, after everything was imported, and hold for it and for all that it starts until they end.
"""

import os
import sys
from collections.abc import Collection, Iterable
from typing import NamedTuple

from models.backend import Access
from tasks.sandbox import kernel, landlock, places, seccomp
from tasks.sandbox.landlock import Rule, Ruleset
from tasks.sandbox.syscalls import machine

_BY_FILES, _BY_NETWORK = 1 << 2, 0b11111 << 10
_BY_HARDWARE = 1 << 17 | 1 << 26
_ANY_FILE = 0b11111
"""Bits of linux/capability.h: to read any file, the network's, those of ports and terminals, to do all with files."""

OF_ALL = _ANY_FILE | _BY_NETWORK | _BY_HARDWARE
"""What a backend that declares nothing keeps of root's: not what would let it through a wall, such as SYS_PTRACE."""


class Offer(NamedTuple):
    """What the kernel offers.

    Attributes:
        is_linux: without it there are no walls at all.
        landlock: the version of its ABI, 0 for none.
        seccomp: whether it filters system calls.
        watch: whether it tells which processes another one has started.
    """

    is_linux: bool
    landlock: int
    seccomp: bool
    watch: bool


NOTHING = Offer(is_linux=False, landlock=0, seccomp=False, watch=False)
LANDLOCK, SECCOMP = ALL = ("landlock", "seccomp")


def offered(wanted: Collection[str] = ALL) -> Offer:
    """Return what the kernel offers of these; a process that ends again has tried it out."""
    if sys.platform != "linux":
        return NOTHING
    versions = [landlock.abi() if LANDLOCK in wanted else 0, 0]
    filters = [SECCOMP in wanted and seccomp.is_available(), False]
    nothing = Offer(is_linux=True, landlock=0, seccomp=False, watch=os.path.exists("/proc/thread-self/children"))
    offers = (nothing._replace(landlock=version, seccomp=each) for version in versions for each in filters)
    return next(filter(_holds, offers), nothing)


def _holds(offer: Offer) -> bool:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            Walls(Access(), offer, ()).put_up()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


class Walls:
    """The walls around the children of a fork server.

    Args:
        access: what they need; None for those that have not said it, and keep all but what is another process's.
        readable: what they may read, if walls keep them from files.
    """

    def __init__(self, access: Access | None, offer: Offer, readable: Iterable[str]) -> None:
        self._access, self._offer = access, offer
        self.kept_capabilities = OF_ALL if access is None else _BY_FILES
        self._ruleset = _ruleset(access, offer.landlock, readable) if offer.landlock else None
        here = machine() if offer.seccomp else None
        self._filter = None if here is None else (seccomp.program(_denied(access, offer), here), here)

    @property
    def may_breed(self) -> bool:
        """Whether the children may have processes of their own."""
        return self._access is None or self._access.breeds or self._filter is None

    def put_up(self) -> None:
        """Put them up around this process.

        Raises:
            OSError: the kernel has refused what it offered.
        """
        if self._offer.is_linux and self.may_breed:
            # What its processes leave behind is its own: so it is known whose it is.
            kernel.ask(kernel.PR_SET_CHILD_SUBREAPER, 1)
        if self._ruleset is not None:
            landlock.restrict(self._ruleset, self._offer.landlock)
        if self._filter is not None:
            seccomp.apply(*self._filter)


def _ruleset(access: Access | None, version: int, readable: Iterable[str]) -> Ruleset:
    signals = landlock.SIGNALS if version >= landlock.SCOPES_ABI else 0
    if access is None:
        # It has to deny something; nobody makes devices.
        return Ruleset(landlock.MAKE_BLOCK | landlock.MAKE_CHAR, 0, signals, ())
    with_network, run = access.network, landlock.EXECUTE if access.programs else 0
    return Ruleset(
        files=landlock.all_files(version),
        network=0 if with_network or version < landlock.NETWORK_ABI else landlock.BIND_TCP | landlock.CONNECT_TCP,
        scopes=signals and signals | (0 if with_network else landlock.ABSTRACT_SOCKETS),
        rules=(
            Rule(places.MYSELF, landlock.READ),
            *(Rule(path, landlock.READ | run) for path in places.without((*places.SYSTEM, *readable), ())),
            *(Rule(path, landlock.READ | run) for path in access.paths),
            *(Rule(path, landlock.READ) for path in (places.NAMES if with_network else ())),
            *(Rule(path, landlock.USE) for path in (*places.DEVICES, *access.devices)),
        ),
    )


def _denied(access: Access | None, offer: Offer) -> seccomp.Denied:
    if access is None:
        return seccomp.Denied()
    return seccomp.Denied(
        network=not access.network,
        changes=True,
        writing=not offer.landlock and not access.devices,
        processes=not access.breeds,
        programs=not access.programs,
        signals=not access.breeds and offer.landlock < landlock.SCOPES_ABI,
    )


def hide_memory() -> None:
    """Keep other processes of this user from this one's memory, environment and open files; no core is dumped."""
    if sys.platform == "linux":
        kernel.ask(kernel.PR_SET_DUMPABLE, 0)


class Wall(NamedTuple):
    """One thing that a job's process is kept from.

    Attributes:
        what: in words.
        by: what keeps it from that; empty if nothing does here.
        of_undeclared: the same for a backend that does not say what it needs.
    """

    what: str
    by: str
    of_undeclared: str


def table(offer: Offer) -> tuple[Wall, ...]:
    """Return what is walled off where this is offered."""
    version, filters = offer.landlock, "seccomp" if offer.seccomp else ""
    rules = f"Landlock {version}" if version else ""
    scopes = rules if version >= landlock.SCOPES_ABI else ""
    apart = ", ".join(filter(None, (rules, "not dumpable" if offer.is_linux else "")))
    watched = "a watch over all of them" if offer.watch else ""
    return (
        Wall("reading other files than those of its imports", rules, ""),
        Wall("writing, making and removing files", ", ".join(filter(None, (rules, filters))), ""),
        Wall("the network", ", ".join(filter(None, (filters, rules if version >= landlock.NETWORK_ABI else ""))), ""),
        Wall("signals to other processes", scopes or filters, scopes),
        Wall("memory and environment of other processes", apart, apart),
        Wall("limits, priority and processors of other processes", filters, filters),
        Wall("mounts, namespaces, keys, tracing and other calls of the system", filters, filters),
        Wall("starting processes and programs", filters, ""),
        Wall("more CPU time, memory or processes by starting many", filters or watched, watched),
        Wall("processes that outlive the job", filters or watched, watched),
    )
