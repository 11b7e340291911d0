"""What a backend is: its published configuration and the three steps of a job.

A backend is any object that fits `Backend`; other packages offer theirs by the entry point group `quledger.backends`
and need to import nothing from here. The configuration has the shape of the storage contract (sqooler's
`BackendConfigSchemaIn`).
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

JSON = Any
"""A value that `json` can write."""


class GateConfig(BaseModel):
    """One gate as front ends see it.

    Attributes:
        parameters: the contract wants one string in a list, such as `["omega, delta, chi"]`.
    """

    model_config = ConfigDict(frozen=True)

    coupling_map: list[list[int]]
    description: str
    name: str
    parameters: list[str]
    qasm_def: str = "{}"


class BackendConfig(BaseModel):
    """The published configuration of a backend, in the field order of the contract."""

    model_config = ConfigDict(frozen=True)

    description: str
    version: str
    display_name: str = Field(pattern=r"^[a-z0-9]+$")
    cold_atom_type: Literal["fermion", "boson", "spin", "mixed"]
    gates: list[GateConfig]
    max_experiments: int
    max_shots: int
    simulator: bool
    supported_instructions: list[str]
    num_wires: int
    wire_order: Literal["sequential", "interleaved"]
    num_species: int
    pending_jobs: int | None = None
    status_msg: str | None = None
    last_queue_check: str | None = None
    sign: bool = False
    kid: str | None = None


class Access(BaseModel):
    """What the process of a job may reach beyond what Python and its libraries lie in.

    Attributes:
        network: networks, and the sockets of this machine.
        paths: files, and folders with all that is in them, to be read.
        devices: devices to be read, written and controlled.
        processes: processes of its own, which share the limits of the job.
        programs: other programs, in processes of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: bool = False
    paths: tuple[Annotated[str, Field(pattern="^/")], ...] = ()
    devices: tuple[Annotated[str, Field(pattern="^/")], ...] = ()
    processes: bool = False
    programs: bool = False

    @property
    def breeds(self) -> bool:
        """Whether it may have processes of its own."""
        return self.processes or self.programs


class Backend(Protocol):
    """A machine or simulator that runs jobs.

    Its class may have an attribute `access`, an `Access` or a mapping of the same shape, which says what its jobs need;
    its process is walled off from all else. One without it keeps what the drain may reach. An attribute
    `document_schema`, a JSON Schema, says to clients what its documents look like; nothing is judged by it.
    `calibration`, any JSON value, says what was measured of it by now (`models/calibrations.py`). `example`, a job
    document that it takes, is what `quledger backends check` tries it with.

    The three steps run in a child process that may be killed at any time. `validate` and `compile` have no
    side effects. Each step raises `JobRejected` (or any exception with a `faults` attribute) for what the
    user can put right; any other exception counts as the backend's own fault.
    """

    @property
    def config(self) -> BackendConfig:
        """The configuration as published, without the changing fields (queue check, pending jobs)."""
        ...

    def validate(self, document: JSON) -> Any:
        """Return the typed experiments of a parsed job document, or raise with **all** its faults."""
        ...

    def compile(self, experiments: Any, seed: int) -> JSON:
        """Return the program that will really run, as a JSON value.

        Args:
            experiments: what `validate` returned.
            seed: entropy for every random choice that the user did not seed; 0 <= seed < 2**63.
        """
        ...

    def execute(self, program: JSON) -> Iterable[JSON]:
        """Run the program; return one result of the contract (`models/results.py`) per experiment, in order.

        A generator that computes them one after another lets its user see how far the job has come.
        """
        ...
