"""The filter of system calls, as the kernel would run it, for both machines whose calls are known."""

import errno

import pytest

from tasks.sandbox.seccomp import (
    ALLOW,
    ANY_BIT,
    AT_LEAST,
    EQUAL,
    ERRNO,
    INSTRUCTION,
    KILL,
    LOAD,
    RETURN,
    X32,
    Denied,
    program,
)
from tasks.sandbox.syscalls import (
    CHANGES,
    KERNEL,
    MACHINES,
    NEWEST,
    PROCESSES,
    PROGRAMS,
    SHARED,
    SIGNALS,
    Machine,
    numbers,
)

NONE = Denied()
ALL = Denied(network=True, changes=True, writing=True, processes=True, programs=True, signals=True)
REFUSED, MISSING = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS

CLONE_THREAD_OF_GLIBC = 0x3D0F00
SIGCHLD, CLONE_NEWUSER, CLONE_PARENT = 17, 0x10000000, 0x8000

machines = pytest.mark.parametrize("here", MACHINES.values(), ids=MACHINES)


def answer(text: bytes, here: Machine, number: int, *arguments: int, audit: int | None = None) -> int:
    """Run the filter, as the kernel does, on one call; of 64 bits of an argument only the lower 32 are looked at."""
    given = [*arguments, *(6 - len(arguments)) * [0]]
    data = {0: number, 4: here.audit if audit is None else audit}
    data |= {16 + 8 * place: value & 0xFFFFFFFF for place, value in enumerate(given)}
    place = accumulator = 0
    instructions = list(INSTRUCTION.iter_unpack(text))
    while True:
        code, if_true, if_false, value = instructions[place]
        place += 1
        match code:
            case code if code == RETURN:
                return value
            case code if code == LOAD:
                accumulator = data[value]
            case _:
                holds = {
                    EQUAL: accumulator == value,
                    AT_LEAST: accumulator >= value,
                    ANY_BIT: bool(accumulator & value),
                }[code]
                place += if_true if holds else if_false


@machines
def test_what_is_denied_to_everybody_and_what_only_to_those_who_have_no_use_for_it(here: Machine):
    """Each call of the lists, on each machine that has it."""
    open_to_all, strict = program(NONE, here), program(ALL, here)
    for number in numbers(here, *KERNEL):
        assert answer(open_to_all, here, number) == answer(strict, here, number) == REFUSED
    for number in numbers(here, "socket", *SHARED, *CHANGES, *PROCESSES, *PROGRAMS, *SIGNALS):
        assert answer(open_to_all, here, number) == ALLOW
        assert answer(strict, here, number) == REFUSED
    for number in numbers(here, "clone3", "openat2"):
        assert answer(open_to_all, here, number) == MISSING


@machines
def test_calls_of_another_kind_are_not_let_through(here: Machine):
    """Those of another machine kill; those that came later, or are numbered for another set, are answered with no."""
    text = program(NONE, here)
    (read,) = [0] if here.column == 0 else [63]
    assert answer(text, here, read) == ALLOW
    assert answer(text, here, read, audit=0x40000003) == KILL
    assert answer(text, here, NEWEST) != MISSING
    assert answer(text, here, NEWEST + 1) == MISSING
    assert answer(text, here, X32 | read) == REFUSED


@machines
def test_threads_are_no_processes_and_namespaces_are_for_nobody(here: Machine):
    """The flags of `clone` tell."""
    (clone,) = numbers(here, "clone")
    for text, process in ((program(NONE, here), ALLOW), (program(ALL, here), REFUSED)):
        assert answer(text, here, clone, CLONE_THREAD_OF_GLIBC) == ALLOW
        assert answer(text, here, clone, SIGCHLD) == process
        assert answer(text, here, clone, SIGCHLD | CLONE_NEWUSER) == REFUSED
        assert answer(text, here, clone, SIGCHLD | CLONE_PARENT) == REFUSED


@machines
def test_nothing_is_done_to_other_processes_by_their_limits_or_priority(here: Machine):
    """A process may lower its own limits, by the id 0 as libraries do, and no other one's."""
    text = program(NONE, here)
    for name in ("prlimit64", "sched_setaffinity", "sched_setscheduler"):
        (number,) = numbers(here, name)
        assert answer(text, here, number, 0) == ALLOW
        assert answer(text, here, number, 4711) == REFUSED
    (priority,) = numbers(here, "setpriority")
    assert answer(text, here, priority, 0, 0) == ALLOW
    assert answer(text, here, priority, 0, 4711) == REFUSED
    assert answer(text, here, priority, 2, 0) == REFUSED  # all processes of the user
    (fcntl,) = numbers(here, "fcntl")
    assert answer(text, here, fcntl, 3, 8, 4711) == REFUSED  # signals to the one that is named as the owner
    assert answer(text, here, fcntl, 3, 4, 2048) == ALLOW
    (prctl,) = numbers(here, "prctl")
    assert answer(text, here, prctl, 1, 0) == REFUSED  # to outlive the fork server
    assert answer(text, here, prctl, 15) == ALLOW


@machines
@pytest.mark.parametrize(("name", "place"), [("open", 1), ("openat", 2)])
def test_files_are_opened_for_reading(here: Machine, name: str, place: int):
    """Where nothing else keeps a job from writing."""
    text = program(ALL, here)
    for number in numbers(here, name):
        for flags, expected in ((0, ALLOW), (0o2000000, ALLOW), (1, REFUSED), (2, REFUSED), (0o101, REFUSED)):
            assert answer(text, here, number, *place * [0], flags) == expected
        assert answer(program(NONE, here), here, number, *place * [0], 2) == ALLOW
