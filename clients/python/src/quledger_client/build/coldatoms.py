"""Circuits of the four cold-atom backends; what each gate does is in the laboratory's page about its backends."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from quledger_client.build import known
from quledger_client.build.circuit import Circuit
from quledger_client.build.rules import Rules
from quledger_client.errors import Fault

Pair = Sequence[int] | Literal["all"]
"""Two neighbours, or all wires of the device."""


class _Chain(Circuit):
    """Wires in a row, each measured by its number."""

    def measure(self, *wires: int) -> Self:
        """Add the outcome of these wires, in this order."""
        for wire in wires:
            self.add("measure", wire)
        return self

    def measure_all(self) -> Self:
        """Add the outcome of every wire, in order."""
        return self.measure(*range(self.wires))

    def _all(self, wires: Pair) -> Sequence[int]:
        return range(self.rules.wires) if isinstance(wires, str) and wires == "all" else wires


class SingleQudit(Circuit):
    """One collective spin of `atoms` atoms, of one atom if nothing is loaded.

    Args:
        atoms: loaded at the beginning.
    """

    usual: ClassVar[Rules] = known.SINGLEQUDIT

    def __init__(self, atoms: int | None = None, **options: Any) -> None:
        super().__init__(1, **options)
        if atoms is not None:
            self.load(atoms)

    def load(self, atoms: int) -> Self:
        """Begin anew with so many atoms."""
        return self.add("load", 0, atoms)

    def rlx(self, omega: float) -> Self:
        """Evolve under Lx."""
        return self.add("rlx", 0, omega)

    def rlz(self, delta: float) -> Self:
        """Evolve under Lz."""
        return self.add("rlz", 0, delta)

    def rlz2(self, chi: float) -> Self:
        """Evolve under Lz²."""
        return self.add("rlz2", 0, chi)

    def sq_full(self, omega: float, delta: float, chi: float) -> Self:
        """Evolve under ωLx + δLz + χLz²."""
        return self.add("sq_full", 0, omega, delta, chi)

    def measure(self) -> Self:
        """Sample here; the last one counts."""
        return self.add("measure", 0)


class MultiQudit(_Chain):
    """Collective spins in a row, of one atom each unless loaded."""

    usual: ClassVar[Rules] = known.MULTIQUDIT
    anywhere: ClassVar[frozenset[str]] = frozenset({"barrier", "multiqudit_full"})

    def load(self, wire: int, atoms: int) -> Self:
        """Put so many atoms there; the last one of a wire counts."""
        return self.add("load", wire, atoms)

    def rlx(self, wire: int, omega: float) -> Self:
        """Evolve one spin under Lx."""
        return self.add("rlx", wire, omega)

    def rlz(self, wire: int, delta: float) -> Self:
        """Evolve one spin under Lz."""
        return self.add("rlz", wire, delta)

    def rlz2(self, wire: int, chi: float) -> Self:
        """Evolve one spin under Lz²."""
        return self.add("rlz2", wire, chi)

    def rlxly(self, wires: Pair, coupling: float) -> Self:
        """Let neighbours exchange: L₊ᵃL₋ᵇ + L₋ᵃL₊ᵇ."""
        return self.add("rlxly", self._all(wires), coupling)

    def rlzlz(self, wires: Pair, coupling: float) -> Self:
        """Couple neighbours by LzᵃLzᵇ."""
        return self.add("rlzlz", self._all(wires), coupling)

    def multiqudit_full(self, omega: float, delta: float, chi: float, jxy: float, jzz: float) -> Self:
        """Evolve all spins under all of these together."""
        return self.add("multiqudit_full", range(max(2, self.wires)), omega, delta, chi, jxy, jzz)


class Fermions(_Chain):
    """Fermions on the sites of a chain; wires 2s and 2s + 1 are spin up and down of site s."""

    usual: ClassVar[Rules] = known.FERMIONS
    anywhere: ClassVar[frozenset[str]] = frozenset(known.FERMIONS.instructions)

    def __init__(self, **options: Any) -> None:
        rules = options.get("rules") or self.usual
        super().__init__(rules.wires, **options)
        self._filled: set[int] = set()

    def load(self, *wires: int) -> Self:
        """Put a fermion on each of these wires, in this order."""
        for wire in wires:
            self.add("load", wire)
        return self

    def fhop(self, wires: Pair, t: float) -> Self:
        """Let both spins hop between two sites, such as those of the wires `(0, 1, 2, 3)`."""
        return self.add("fhop", self._all(wires), t)

    def fint(self, u: float) -> Self:
        """Let n↑n↓ act on every site."""
        return self.add("fint", self._all("all"), u)

    def fphase(self, wires: Pair, mu: float) -> Self:
        """Let n↑ + n↓ act on a site, such as that of the wires `(2, 3)`."""
        return self.add("fphase", self._all(wires), mu)

    def _follow(self, name: str, wires: tuple[int, ...]) -> None:
        if name == "load":
            self._filled.update(wires)
        elif name not in ("barrier", "measure"):
            # Where the fermions of these wires are then, nobody can say.
            self._filled.difference_update(wires)

    def _wrong(self, name: str, wires: tuple[int, ...]) -> list[Fault]:
        if name != "load" or wires[0] not in self._filled:
            return []
        message = f"wire {wires[0]} already holds a particle; Pauli's principle forbids a second one"
        return [Fault("wires[0]", message)]


class Rydberg(_Chain):
    """A chain of atoms with a Rydberg level each."""

    usual: ClassVar[Rules] = known.RYDBERG
    anywhere: ClassVar[frozenset[str]] = frozenset({"barrier", "rydberg_block", "rydberg_full"})

    def __init__(self, wires: int | None = None, **options: Any) -> None:
        rules = options.get("rules") or self.usual
        super().__init__(rules.wires if wires is None else wires, **options)

    def rlx(self, wire: int, omega: float) -> Self:
        """Evolve one atom under Sx."""
        return self.add("rlx", wire, omega)

    def rlz(self, wire: int, delta: float) -> Self:
        """Evolve one atom under Sz."""
        return self.add("rlz", wire, delta)

    def rydberg_block(self, phi: float) -> Self:
        """Let the atoms in the Rydberg state repel each other."""
        return self.add("rydberg_block", self._all("all"), phi)

    def rydberg_full(self, omega: float, delta: float, phi: float) -> Self:
        """Evolve all atoms under the drive and their repulsion together."""
        return self.add("rydberg_full", self._all("all"), omega, delta, phi)
