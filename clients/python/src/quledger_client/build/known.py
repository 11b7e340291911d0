"""The rules of the four cold-atom backends as they are published, for circuits that are built without a server."""

import math
from collections.abc import Iterable

from quledger_client.build.rules import Instruction, Parameter, Rules

TURN = 2 * math.pi
MAX_COUPLING, MAX_FULL = 10 * TURN, 5e6 * math.pi
MAX_ATOMS, MAX_SHOTS, MAX_SEED = 500, 1_000_000, 2**32 - 1
BOTH_ORDERS = ("interleaved", "sequential")


def _angles(high: float, *names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, 0.0, high) for name in names)


def _on(*combinations: Iterable[int]) -> frozenset[tuple[int, ...]]:
    return frozenset(map(tuple, combinations))


def _spins(last: int, fewest: int = 1) -> tuple[Instruction, ...]:
    each = _on(*((wire,) for wire in range(last + 1)))
    turns = (("rlx", TURN, "omega"), ("rlz", TURN, "delta"), ("rlz2", MAX_COUPLING, "chi"))
    return tuple(Instruction(name, fewest, 1, last, _angles(high, what), each) for name, high, what in turns)


def _rules(
    backend: str, wires: int, *instructions: Instruction, orders: tuple[str, ...] = BOTH_ORDERS, measured: bool = False
) -> Rules:
    return Rules(backend, wires, MAX_SHOTS, orders, measured, MAX_SEED, {each.name: each for each in instructions})


_ATOMS = (Parameter("atoms", 1, MAX_ATOMS, is_whole=True),)
_CHAIN = range(5)
_PAIRS = [(2 * site, 2 * site + 1) for site in range(4)]
_MODES = range(8)

SINGLEQUDIT = _rules(
    "singlequdit",
    1,
    *_spins(0, fewest=0),
    Instruction("barrier", 0, 1, 0),
    Instruction("measure", 0, 1, 0),
    Instruction("load", 0, 1, 0, _ATOMS),
    Instruction("sq_full", 0, 1, 0, _angles(MAX_FULL, "omega", "delta", "chi"), _on([0])),
    measured=True,
)

_BONDS = _on(*((wire, wire + 1) for wire in range(4)), _CHAIN)

MULTIQUDIT = _rules(
    "multiqudit",
    5,
    *_spins(4),
    Instruction("rlxly", 2, 5, 4, _angles(MAX_COUPLING, "J"), _BONDS),
    Instruction("rlzlz", 2, 5, 4, _angles(MAX_COUPLING, "J"), _BONDS),
    Instruction("barrier", 0, 5, 4),
    Instruction("measure", 1, 1, 4),
    Instruction("load", 1, 1, 4, _ATOMS),
    Instruction(
        "multiqudit_full",
        2,
        5,
        4,
        _angles(MAX_FULL, "omega", "delta", "chi", "Jxy", "Jzz"),
        _on(*(range(count) for count in range(2, 6))),
    ),
)

FERMIONS = _rules(
    "fermions",
    8,
    Instruction("load", 1, 1, 7),
    Instruction("barrier", 0, 8, 7),
    Instruction(
        "fhop", 4, 8, 7, _angles(TURN, "j_i"), _on(*((*_PAIRS[site], *_PAIRS[site + 1]) for site in range(3)), _MODES)
    ),
    Instruction("fint", 2, 8, 7, _angles(TURN, "u"), _on(_MODES)),
    Instruction("fphase", 2, 8, 7, _angles(TURN, "mu_i"), _on(*_PAIRS, _MODES)),
    Instruction("measure", 1, 1, 7),
    orders=("interleaved",),
)

RYDBERG = _rules(
    "rydberg",
    5,
    *_spins(4)[:2],
    Instruction("rydberg_block", 2, 5, 4, _angles(TURN, "phi"), _on(_CHAIN)),
    Instruction("rydberg_full", 2, 5, 4, _angles(MAX_FULL, "omega", "delta", "phi"), _on(_CHAIN)),
    Instruction("barrier", 0, 5, 4),
    Instruction("measure", 1, 1, 4),
)
