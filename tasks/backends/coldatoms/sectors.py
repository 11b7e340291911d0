"""Fermions of two spin species on a chain of sites, in the sector of fixed particle numbers.

The state is psi[up, down]: the row is a configuration of the up-spin fermions (a bit mask, bit s for site s), the
column one of the down-spin fermions; masks are in ascending order. The up modes come before the down modes in the
Jordan-Wigner order, so a hop between neighbouring sites has no sign; a `load` has one.

Source: P. Jordan and E. Wigner, Z. Phys. 47, 631 (1928).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.backends.coldatoms.sampling import Indices, Readout, probabilities_of

Real = NDArray[np.float64]
State = NDArray[np.complex128]
Masks = NDArray[np.int64]

TOLERANCE = 1e-9
"""A mode occupied with a lower probability than this counts as empty."""

SMALL = 64
"""Species with up to this many configurations hop by matrices."""

CHUNK_BYTES = 2**19
"""Larger ones hop in pieces of this size, which stay in the cache."""


class Occupied(Exception):
    """A particle was to be put into a mode that may hold one."""

    def __init__(self, probability: float) -> None:
        super().__init__(f"occupied with probability {probability:.3g}")
        self.probability = probability


class Hop(NamedTuple):
    """The pairs of configurations that a hop connects, and its sign."""

    one: Indices
    other: Indices
    sign: Real


@lru_cache(maxsize=256)
def configurations(sites: int, particles: int) -> Masks:
    """Return all masks of `sites` bits with `particles` set, ascending."""
    masks = [sum(1 << site for site in chosen) for chosen in combinations(range(sites), particles)]
    return np.array(sorted(masks), dtype=np.int64)


@lru_cache(maxsize=1024)
def hop_pairs(sites: int, particles: int, a: int, b: int) -> Hop:
    """Return what c+_a c_b + h.c. connects; the sign counts the particles between the two sites."""
    masks = configurations(sites, particles)
    low, high = min(a, b), max(a, b)
    one = np.flatnonzero((masks >> low & 1) > (masks >> high & 1))
    other = np.searchsorted(masks, masks[one] ^ (1 << low | 1 << high))
    between = (1 << high) - (1 << (low + 1))
    return Hop(one, other, 1.0 - 2.0 * (np.bitwise_count(masks[one] & between) & 1))


@lru_cache(maxsize=1024)
def _hop_matrices(sites: int, particles: int, a: int, b: int) -> tuple[Real, Real, Real]:
    """Return 1 - P, P and X with exp(-i t X) = (1 - P) + cos(t) P - i sin(t) X."""
    pairs = hop_pairs(sites, particles, a, b)
    size = len(configurations(sites, particles))
    hop = np.zeros((size, size))
    hop[pairs.one, pairs.other] = hop[pairs.other, pairs.one] = pairs.sign
    moving = hop @ hop
    return np.eye(size) - moving, moving, hop


@lru_cache(maxsize=64)
def doubly_occupied(sites: int, up: int, down: int) -> NDArray[np.uint8]:
    """Return the number of sites with both spins, shape (configurations of up, of down)."""
    count: NDArray[np.uint8] = np.bitwise_count(configurations(sites, up)[:, np.newaxis] & configurations(sites, down))
    return count


@lru_cache(maxsize=256)
def chain_hop_angles(sites: int, angle: float) -> tuple[tuple[int, float], ...]:
    """Return hops (site, angle) between neighbours whose product is the hop on all neighbours at once.

    With a phase i^s on site s, -i times the hopping matrix is real and antisymmetric, so its exponential is a
    rotation, which Givens rotations of neighbours make up; and each of these is a hop of two sites.
    Source: I. D. Kivlichan et al., Phys. Rev. Lett. 120, 110501 (2018).
    """
    hopping = np.diag(np.ones(sites - 1), 1) + np.diag(np.ones(sites - 1), -1)
    values, vectors = np.linalg.eigh(hopping)
    phase = 1j ** np.arange(sites)
    turned = phase[:, np.newaxis] * ((vectors * np.exp(-1j * angle * values)) @ vectors.T) * phase.conj()
    rest = np.ascontiguousarray(turned.real)
    hops = []
    for column in range(sites - 1):
        for row in range(sites - 1, column, -1):
            turn = math.atan2(rest[row, column], rest[row - 1, column])
            cos, sin = math.cos(turn), math.sin(turn)
            rest[[row - 1, row]] = np.array([[cos, sin], [-sin, cos]]) @ rest[[row - 1, row]]
            hops.append((row - 1, turn))
    return tuple(hops)  # in either order: the product is a symmetric matrix, as each hop is


class SectorState:
    """Two species of fermions on a chain, empty at first.

    Args:
        sites: how many sites the chain has.
    """

    def __init__(self, sites: int) -> None:
        self.sites = sites
        self.up = self.down = 0
        self.psi: State = np.ones((1, 1), dtype=np.complex128)

    def load(self, site: int, *, down: bool) -> None:
        """Apply the creation operator of one mode, with its sign.

        Raises:
            Occupied: the mode holds a particle with a probability above 1e-9.
        """
        psi = self.psi.T if down else self.psi
        particles = self.down if down else self.up
        masks = configurations(self.sites, particles)
        free = (masks >> site & 1) == 0
        lost = float(probabilities_of(psi[~free]).sum())
        if lost > TOLERANCE:
            raise Occupied(lost)
        new = configurations(self.sites, particles + 1)
        # passing the up modes as well would give a down fermion one sign for the whole state: nothing
        passed = np.bitwise_count(masks[free] & ((1 << site) - 1))
        result = np.zeros((len(new), psi.shape[1]), dtype=np.complex128)
        target = np.searchsorted(new, masks[free] | 1 << site)
        result[target] = psi[free] * (1.0 - 2.0 * (passed & 1))[:, np.newaxis]
        if down:
            self.psi, self.down = np.ascontiguousarray(result.T), particles + 1
        else:
            self.psi, self.up = result, particles + 1

    def hop(self, a: int, b: int, angle: float) -> None:
        """Apply exp(-i angle (c+_a c_b + h.c.)) for both spins."""
        rows, columns = self.psi.shape
        cos, sin = math.cos(angle), -1j * math.sin(angle)
        if max(rows, columns) <= SMALL:
            for particles, axis in ((self.up, 0), (self.down, 1)):
                if 0 < particles < self.sites:
                    still, moving, hop = _hop_matrices(self.sites, particles, a, b)
                    matrix = still + cos * moving + sin * hop
                    self.psi = self.psi @ matrix if axis else matrix @ self.psi
            return
        pairs = hop_pairs(self.sites, self.up, a, b)
        step = max(1, CHUNK_BYTES // (32 * columns))
        for begin in range(0, len(pairs.one), step):
            one, other = pairs.one[begin : begin + step], pairs.other[begin : begin + step]
            signed = (sin * pairs.sign[begin : begin + step])[:, np.newaxis]
            x, y = self.psi[one], self.psi[other]
            self.psi[one], self.psi[other] = cos * x + signed * y, signed * x + cos * y
        pairs = hop_pairs(self.sites, self.down, a, b)
        step = max(1, CHUNK_BYTES // (16 * columns))
        signed = sin * pairs.sign
        for begin in range(0, rows, step):
            part = self.psi[begin : begin + step]
            x, y = part[:, pairs.one], part[:, pairs.other]
            part[:, pairs.one], part[:, pairs.other] = cos * x + signed * y, signed * x + cos * y

    def hop_all(self, angle: float) -> None:
        """Apply exp(-i angle sum_s (c+_s c_{s+1} + h.c.)) for both spins."""
        for site, turn in chain_hop_angles(self.sites, angle):
            self.hop(site, site + 1, turn)

    def interact(self, strength: float) -> None:
        """Apply exp(-i strength sum_s n_up n_down)."""
        phases = np.exp(-1j * strength * np.arange(self.sites + 1))
        self.psi = self.psi * phases[doubly_occupied(self.sites, self.up, self.down)]

    def phase(self, angle: float, up_sites: Sequence[int], down_sites: Sequence[int]) -> None:
        """Apply exp(-i angle (sum of n_up on `up_sites` + sum of n_down on `down_sites`))."""
        phases = np.exp(-1j * angle * np.arange(self.sites + 1))
        up_mask, down_mask = (sum(1 << site for site in sites) for sites in (up_sites, down_sites))
        rows = phases[np.bitwise_count(configurations(self.sites, self.up) & up_mask)]
        columns = phases[np.bitwise_count(configurations(self.sites, self.down) & down_mask)]
        self.psi = self.psi * rows[:, np.newaxis] * columns

    def readout(self, measured: Sequence[int]) -> Readout:
        """Return the distribution of the occupations of modes; mode 2s is spin up on site s, 2s + 1 spin down."""
        weights = probabilities_of(self.psi)
        kept: list[Masks] = []
        for axis, particles in ((0, self.up), (1, self.down)):
            wanted = sum(1 << mode // 2 for mode in set(measured) if mode % 2 == axis)
            seen = configurations(self.sites, particles) & wanted
            order = np.argsort(seen, kind="stable")
            masks, first = np.unique(seen[order], return_index=True)
            weights = np.add.reduceat(weights.take(order, axis=axis), first, axis=axis)
            kept.append(masks)
        modes = sorted(set(measured))

        def occupations(outcomes: Indices) -> list[Indices]:
            pair = np.divmod(outcomes, len(kept[1]))
            return [kept[mode % 2][pair[mode % 2]] >> mode // 2 & 1 for mode in modes]

        return Readout(weights.reshape(-1), occupations, [modes.index(mode) for mode in measured])
