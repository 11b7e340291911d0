"""The backends of a laboratory: what each can do, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from quledger_client.views import Calibration, View, moment, told

if TYPE_CHECKING:
    from quledger_client.aio import AsyncClient
    from quledger_client.client import Client


@dataclass(frozen=True)
class Gate:
    """A gate as its backend publishes it.

    Attributes:
        couplings: the combinations of wires on which it acts.
    """

    name: str
    parameters: tuple[str, ...]
    couplings: tuple[tuple[int, ...], ...]
    description: str


@dataclass(frozen=True)
class Limits:
    """How much one job may ask for; what else limits it, the backend's schema says."""

    wires: int
    shots: int
    experiments: int


class BackendInfo:
    """A backend as it stood when it was asked for.

    Attributes:
        name: display name, by which jobs are handed in.
        configuration: as it is published.
        waiting: how many jobs wait for it, of all users.
        running: how many jobs it runs.
        pause: why nothing of it begins, in one line; None where it is served.
        eta: when all that waits and runs now is expected to have ended; None where that is not known.
    """

    def __init__(self, view: View) -> None:
        view = told(view, "name")
        self.name: str = view["name"]
        self.configuration: Mapping[str, Any] = view["config"]
        self.waiting: int = view["waiting"]
        self.running: int = view["running"]
        self.pause: str | None = view["pause"]["text"] if view["pause"] else None
        self.eta: datetime | None = moment(view["eta"])

    @property
    def description(self) -> str:
        """One line."""
        return str(self.configuration["description"])

    @property
    def status(self) -> str:
        """`available`, or `paused`, or what its engine says: jobs are taken all the same."""
        return "paused" if self.pause else str(self.configuration.get("status_msg") or "available")

    @cached_property
    def gates(self) -> tuple[Gate, ...]:
        """What may be done with its wires."""
        return tuple(
            Gate(
                each["name"],
                tuple(name.strip() for text in each["parameters"] for name in text.split(",") if name.strip()),
                tuple(map(tuple, each["coupling_map"])),
                each["description"],
            )
            for each in self.configuration["gates"]
        )

    @property
    def instructions(self) -> tuple[str, ...]:
        """The names of all instructions, gates and others."""
        return tuple(self.configuration["supported_instructions"])

    @property
    def limits(self) -> Limits:
        """How much one job may ask for."""
        config = self.configuration
        return Limits(config["num_wires"], config["max_shots"], config["max_experiments"])

    @property
    def is_simulator(self) -> bool:
        """Whether it is no machine."""
        return bool(self.configuration["simulator"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.status}, {self.waiting} waiting, {self.running} running>"

    def _repr_html_(self) -> str:
        from quledger_client.notebook import backend_html  # noqa: PLC0415 - in notebooks alone

        return backend_html(self)


class Backend(BackendInfo):
    """A backend, which can be asked for more."""

    def __init__(self, client: "Client", view: View) -> None:
        super().__init__(view)
        self._client = client

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the documents that it takes, with the limits of its device."""
        return self._client.run(self._client.calls.schema(self.name))

    def calibration(self) -> Calibration | None:
        """Return what was measured of it, as it holds now; None where nothing was recorded."""
        return self._client.run(self._client.calls.calibration(self.name))


class AsyncBackend(BackendInfo):
    """The same for programs with an event loop."""

    def __init__(self, client: "AsyncClient", view: View) -> None:
        super().__init__(view)
        self._client = client

    async def schema(self) -> dict[str, Any]:
        """As `Backend.schema`."""
        return await self._client.run(self._client.calls.schema(self.name))

    async def calibration(self) -> Calibration | None:
        """As `Backend.calibration`."""
        return await self._client.run(self._client.calls.calibration(self.name))
