"""Circuits of Qiskit with the gates of qiskit-cold-atom, as circuits of the cold-atom backends.

Its conventions (release 0.2.1 and later) are other ones, and are converted:

- `rlxly(g)` is g (LxLx + LyLy), the laboratory's J is that of L+L- + L-L+: J = g / 2.
- `fhop(j)` is -j (c+c + h.c.), the laboratory's t has no sign: t = -j, which is taken modulo 2 pi.
- Fermionic wires are spin by spin (all up, then all down), the laboratory's site by site.
- Angles of turns, of Lz squared, of phases and of interactions of fermions may be negative or large; they are taken
  modulo 2 pi (those of LzLz modulo 4 pi), which no outcome shows.
- An exchange, or a hopping over the whole chain, of the sign that the laboratory has not stands between turns of each
  second wire or site by pi.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from qiskit import QuantumCircuit

from quledger_client.build import Circuit, Fermions, MultiQudit, Rydberg, SingleQudit
from quledger_client.errors import Fault, Refused

TURN = 2 * math.pi
SITES = 4
SPECIES = 2


def cold_atom_circuit(circuit: QuantumCircuit, backend: str, *, seed: int | None = None) -> Circuit:
    """Return a circuit for a cold-atom backend, which `Client.submit` takes.

    Args:
        circuit: with gates of qiskit-cold-atom, or any of their names, wires and parameters; its measurements come
            back in their order.
        backend: `singlequdit`, `multiqudit`, `fermions` or `rydberg`.
        seed: of its random outcomes.

    Raises:
        Refused: it cannot be run there; all that cannot is named.
    """
    if backend not in _KINDS:
        raise Refused(f"{backend} is no cold-atom backend; there are {', '.join(_KINDS)}")
    made = _KINDS[backend](circuit, seed)
    gates = _FERMIONIC if isinstance(made, Fermions) else _SPINS
    faults: list[Fault] = []
    for place, each in enumerate(circuit.data):
        name = each.operation.name
        wires = [circuit.find_bit(qubit).index for qubit in each.qubits]
        where = f"instruction {place} ({name})"
        try:
            values = [float(value) for value in each.operation.params]
        except TypeError:
            faults.append(Fault(where, "it has a parameter without a value"))
            continue
        if name not in gates:
            faults.append(Fault(where, f"{backend} knows {', '.join(gates)}"))
            continue
        try:
            gates[name](made, wires, values, circuit.num_qubits)
        except Refused as error:
            faults.append(Fault(where, str(error)))
    if faults:
        raise Refused(f"the circuit {circuit.name} cannot be run by {backend}", faults)
    return made


def _fermions(circuit: QuantumCircuit, seed: int | None) -> Circuit:
    if circuit.num_qubits % SPECIES or circuit.num_qubits > SPECIES * SITES:
        size = circuit.num_qubits
        raise Refused(f"the circuit has {size} wires; fermions take two spins on each of at most {SITES} sites")
    return Fermions(seed=seed)


_KINDS: dict[str, Callable[[QuantumCircuit, int | None], Circuit]] = {
    "singlequdit": lambda _circuit, seed: SingleQudit(seed=seed),
    "multiqudit": lambda circuit, seed: MultiQudit(circuit.num_qubits, seed=seed),
    "fermions": _fermions,
    "rydberg": lambda circuit, seed: Rydberg(circuit.num_qubits, seed=seed),
}

_Gate = Callable[[Circuit, list[int], list[float], int], object]


def _turned(name: str, period: float = TURN) -> _Gate:
    def add(made: Circuit, wires: list[int], values: list[float], _size: int) -> None:
        made.add(name, sorted(wires), *(value % period for value in values))

    return add


def _as_it_is(name: str) -> _Gate:
    def add(made: Circuit, wires: list[int], values: list[float], _size: int) -> None:
        made.add(name, wires, *values)

    return add


def _rly(made: Circuit, wires: list[int], values: list[float], _size: int) -> None:
    for name, angle in (("rlz", 0.75 * TURN), ("rlx", values[0] % TURN), ("rlz", 0.25 * TURN)):
        made.add(name, wires, angle)


def _rlxly(made: Circuit, wires: list[int], values: list[float], _size: int) -> None:
    with _signed(made, values[0], [("rlz", [wire]) for wire in sorted(wires)[1::2]]) as coupling:
        made.add("rlxly", sorted(wires), coupling / 2)


@contextmanager
def _signed(made: Circuit, value: float, half_turns: list[tuple[str, list[int]]]) -> Iterator[float]:
    """Give the size of a coupling, between half turns that give it its sign."""
    turns = half_turns if value < 0 else []
    for name, wires in turns:
        made.add(name, wires, TURN / 2)
    yield abs(value)
    for name, wires in turns:
        made.add(name, wires, TURN / 2)


def _one_axis_twisting(made: Circuit, wires: list[int], values: list[float], _size: int) -> None:
    chi, delta, omega = values
    made.add("sq_full", wires, omega, delta, chi)


def _blockade(made: Circuit, wires: list[int], values: list[float], size: int) -> None:
    _expect_all(wires, size)
    made.add("rydberg_block", range(made.rules.wires), *values)


def _driven(made: Circuit, wires: list[int], values: list[float], size: int) -> None:
    _expect_all(wires, size)
    made.add("rydberg_full", range(made.rules.wires), *values)


def _expect_all(wires: list[int], size: int) -> None:
    if sorted(wires) != list(range(size)):
        raise Refused("it acts on all atoms of the chain at once")


def _measure(made: Circuit, wires: list[int], _values: list[float], size: int) -> None:
    made.add("measure", _sited(wires, size) if isinstance(made, Fermions) else wires)


def _nothing(_made: Circuit, _wires: list[int], _values: list[float], _size: int) -> None:
    """Do nothing, as a barrier does."""


_SPINS: dict[str, _Gate] = {
    "load": _as_it_is("load"),
    "rlx": _turned("rlx"),
    "rly": _rly,
    "rlz": _turned("rlz"),
    "rlz2": _turned("rlz2"),
    "rlxly": _rlxly,
    "rlzlz": _turned("rlzlz", 2 * TURN),
    "OAT": _one_axis_twisting,
    "rydberg_blockade": _blockade,
    "rydberg_block": _blockade,
    "rydberg_full": _driven,
    "barrier": _nothing,
    "measure": _measure,
}


def _sited(wires: Sequence[int], size: int) -> list[int]:
    """Return wires of the laboratory, site by site, of those of a circuit that has one spin after the other."""
    sites = size // SPECIES
    return [SPECIES * (wire % sites) + wire // sites for wire in wires]


def _sites(wires: Sequence[int], size: int) -> list[int]:
    """Return the sites on which a gate acts, in its order: first come their spins up, then their spins down.

    Raises:
        Refused: it acts on one spin of a site alone.
    """
    half, sites = len(wires) // SPECIES, size // SPECIES
    found = list(wires[:half])
    if max(found, default=0) >= sites or list(wires[half:]) != [site + sites for site in found]:
        raise Refused("it acts on both spins of each of its sites, first on all that are up")
    return found


def _load(made: Circuit, wires: list[int], _values: list[float], size: int) -> None:
    made.add("load", _sited(wires, size))


def _hop(made: Circuit, wires: list[int], values: list[float], size: int) -> None:
    sites = _sites(wires, size)
    if any(abs(one - other) != 1 for one, other in itertools.pairwise(sites)) or len(values) != len(sites) - 1:
        raise Refused("it hops between neighbours, with a parameter for each pair of them")
    if len(sites) == SPECIES:
        first = SPECIES * min(sites)
        made.add("fhop", range(first, first + 2 * SPECIES), -values[0] % TURN)
    elif len(sites) == SITES and len({*values}) == 1:
        # The hopping of a pair has whole eigenvalues, so that it has a period; that of a chain has none.
        second = [("fphase", [SPECIES * site, SPECIES * site + 1]) for site in range(1, SITES, 2)]
        with _signed(made, -values[0], second) as t:
            made.add("fhop", range(SPECIES * SITES), t)
    else:
        raise Refused("the laboratory hops between two sites, or over all four alike")


def _interact(made: Circuit, wires: list[int], values: list[float], size: int) -> None:
    if len(_sites(wires, size)) != size // SPECIES:
        raise Refused("it acts on all sites of the circuit")
    made.add("fint", range(SPECIES * SITES), values[0] % TURN)


def _phase(made: Circuit, wires: list[int], values: list[float], size: int) -> None:
    sites = _sites(wires, size)
    if len(values) != len(sites):
        raise Refused("it has a parameter for each of its sites")
    for site, value in zip(sites, values, strict=True):
        made.add("fphase", (SPECIES * site, SPECIES * site + 1), value % TURN)


_FERMIONIC: dict[str, _Gate] = {
    "load": _load,
    "fhop": _hop,
    "fint": _interact,
    "fphase": _phase,
    "barrier": _nothing,
    "measure": _measure,
}
