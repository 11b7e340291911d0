"""The four cold-atom devices of sqooler-example: what each of them takes and publishes.

The default sizes give the published configurations; other sizes change numbers and coupling maps, nothing else. What a
gate does stands in `tasks/backends/coldatoms/`: a job with one that is declared here alone ends in an error that names
it (`docs/adding-gates-and-commands.md`).
"""

import math

from models.job_language.devices import DeviceSpec, InstructionSpec

FULL_TURN = 2 * math.pi
MAX_COUPLING = 10 * FULL_TURN
MAX_FULL = 5e6 * math.pi
"""Largest parameter of the gates that evolve the whole device (dimensionless angle)."""


def singlequdit(max_atoms: int = 500) -> DeviceSpec:
    """Return one collective spin of up to `max_atoms` atoms."""
    here = ((0,),)
    zero_or_one = (0, 1)
    return DeviceSpec(
        display_name="singlequdit",
        description="Setup of a cold atomic gas experiment with a single qudit.",
        version="0.3",
        cold_atom_type="spin",
        num_wires=1,
        fixed_wires=True,
        needs_measure=True,
        instructions=(
            *_spin_gates(here, fewest=0),
            InstructionSpec(name="barrier", wires=zero_or_one, highest_wire=0),
            InstructionSpec(name="measure", wires=zero_or_one, highest_wire=0),
            _load_atoms(zero_or_one, 0, max_atoms),
            InstructionSpec(
                name="sq_full",
                wires=zero_or_one,
                highest_wire=0,
                parameters=("omega", "delta", "chi"),
                high=MAX_FULL,
                coupling_map=here,
                description="Apply the full time evolution on the array.",
                qasm_def="gate sq_full(omega, delta, chi) {}",
            ),
        ),
    )


def multiqudit(num_wires: int = 5, max_atoms: int = 500) -> DeviceSpec:
    """Return a chain of `num_wires` collective spins of up to `max_atoms` atoms each."""
    last, chain = num_wires - 1, tuple(range(num_wires))
    bonds = _unique(*((i, i + 1) for i in range(last)), *([chain] if num_wires > 1 else []))
    two_or_more = (2, num_wires)
    return DeviceSpec(
        display_name="multiqudit",
        description="Setup of a cold atomic gas experiment with a multiple qudits.",
        version="0.2",
        cold_atom_type="spin",
        num_wires=num_wires,
        instructions=(
            *_spin_gates(tuple((i,) for i in chain)),
            InstructionSpec(
                name="rlxly",
                wires=two_or_more,
                highest_wire=last,
                parameters=("J",),
                high=MAX_COUPLING,
                coupling_map=bonds,
                description="Entanglement between neighboring gates with an xy interaction",
                qasm_def="gate rlylx(J) {}",
            ),
            InstructionSpec(
                name="rlzlz",
                wires=two_or_more,
                highest_wire=last,
                parameters=("J",),
                high=MAX_COUPLING,
                coupling_map=bonds,
                description="Entanglement between neighboring gates with a zz interaction",
                qasm_def="gate rlzlz(J) {}",
            ),
            _barrier(num_wires),
            _measure(num_wires),
            _load_atoms((1, 1), last, max_atoms),
            InstructionSpec(
                name="multiqudit_full",
                wires=two_or_more,
                highest_wire=last,
                parameters=("omega", "delta", "chi", "Jxy", "Jzz"),
                high=MAX_FULL,
                coupling_map=tuple(chain[: i + 1] for i in chain),
                within_num_wires=False,
                description="Apply the Rydberg and Rabi coupling over the whole array.",
                qasm_def="gate multiqudit_full(omega, delta, chi, Jxy, Jzz) {}",
            ),
        ),
    )


def fermions(sites: int = 4) -> DeviceSpec:
    """Return a chain of `sites` tweezers; site s has the modes 2s (spin up) and 2s + 1 (spin down)."""
    modes = tuple(range(2 * sites))
    last = len(modes) - 1
    pairs = tuple((2 * s, 2 * s + 1) for s in range(sites))
    hops = tuple((*pairs[s], *pairs[s + 1]) for s in range(sites - 1))
    return DeviceSpec(
        display_name="fermions",
        description=(
            "simulator of a fermionic tweezer hardware. The even wires denote the occupations of the spin-up fermions"
            " and the odd wires denote the spin-down fermions"
        ),
        version="0.1",
        cold_atom_type="fermion",
        num_wires=len(modes),
        num_species=2,
        wire_orders=("interleaved",),
        instructions=(
            InstructionSpec(name="load", wires=(1, 1), highest_wire=last, within_num_wires=False, fills=True),
            _barrier(len(modes)),
            InstructionSpec(
                name="fhop",
                wires=(4, max(4, len(modes))),
                highest_wire=last,
                parameters=("j_i",),
                high=FULL_TURN,
                coupling_map=_unique(*hops, *([modes] if sites > 1 else [])),
                within_num_wires=False,
                description="hopping of atoms to neighboring tweezers",
            ),
            InstructionSpec(
                name="fint",
                wires=(2, len(modes)),
                highest_wire=last,
                parameters=("u",),
                high=FULL_TURN,
                coupling_map=(modes,),
                within_num_wires=False,
                description="on-site interaction of atoms of opposite spin state",
            ),
            InstructionSpec(
                name="fphase",
                wires=(2, len(modes)),
                highest_wire=last,
                parameters=("mu_i",),
                high=FULL_TURN,
                coupling_map=_unique(*pairs, modes),
                within_num_wires=False,
                description="Applying a local phase to tweezers through an external potential",
            ),
            InstructionSpec(name="measure", wires=(1, 1), highest_wire=last, within_num_wires=False),
        ),
    )


def rydberg(num_wires: int = 5) -> DeviceSpec:
    """Return a chain of `num_wires` atoms of spacing 1 with a Rydberg level each."""
    chain = tuple(range(num_wires))
    last = num_wires - 1
    drive, turn, _ = _spin_gates(tuple((i,) for i in chain))
    all_of_them = (min(2, num_wires), num_wires)
    return DeviceSpec(
        display_name="rydberg",
        description="A chain of qubits realized through Rydberg atoms.",
        version="0.3",
        cold_atom_type="spin",
        num_wires=num_wires,
        instructions=(
            drive.model_copy(update={"description": "Evolution under Rlx", "qasm_def": "gate rlx(omega) {}"}),
            turn.model_copy(update={"description": "Evolution under the Rlz gate"}),
            InstructionSpec(
                name="rydberg_block",
                wires=all_of_them,
                highest_wire=last,
                parameters=("phi",),
                high=FULL_TURN,
                coupling_map=(chain,),
                within_num_wires=False,
                description="Apply the Rydberg blockade over the whole array",
                qasm_def="gate rydberg_block(phi) {}",
            ),
            InstructionSpec(
                name="rydberg_full",
                wires=all_of_them,
                highest_wire=last,
                parameters=("omega", "delta", "phi"),
                high=MAX_FULL,
                coupling_map=(chain,),
                within_num_wires=False,
                description="Apply the Rydberg and Rabi coupling over the whole array.",
                qasm_def="gate rydberg_full(omega, delta, phi) {}",
            ),
            _barrier(num_wires),
            _measure(num_wires),
        ),
    )


def _spin_gates(coupling_map: tuple[tuple[int, ...], ...], fewest: int = 1) -> tuple[InstructionSpec, ...]:
    """Return rlx, rlz and rlz2, which act on one wire; `rydberg` has the first two of these three."""
    rows = (
        ("rlx", "omega", FULL_TURN, "Evolution under Lx", "gate lrx(omega) {}"),
        ("rlz", "delta", FULL_TURN, "Evolution under the Z gate", "gate rlz(delta) {}"),
        ("rlz2", "chi", MAX_COUPLING, "Evolution under lz2", "gate rlz2(chi) {}"),
    )
    return tuple(
        InstructionSpec(
            name=name,
            wires=(fewest, 1),
            highest_wire=len(coupling_map) - 1,
            parameters=(parameter,),
            high=high,
            coupling_map=coupling_map,
            description=description,
            qasm_def=qasm_def,
        )
        for name, parameter, high, description, qasm_def in rows
    )


def _load_atoms(wires: tuple[int, int], last: int, max_atoms: int) -> InstructionSpec:
    parameters = ("atoms",)
    return InstructionSpec(
        name="load", wires=wires, highest_wire=last, parameters=parameters, low=1, high=max_atoms, whole=True
    )


def _barrier(num_wires: int) -> InstructionSpec:
    """Return `barrier`; it does nothing, so wires beyond the experiment's are harmless."""
    return InstructionSpec(name="barrier", wires=(0, num_wires), highest_wire=num_wires - 1, within_num_wires=False)


def _measure(num_wires: int) -> InstructionSpec:
    return InstructionSpec(name="measure", wires=(1, 1), highest_wire=num_wires - 1)


def _unique(*maps: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(dict.fromkeys(maps))
