"""A page for each backend among Prefect's artifacts, kept up to date by the drain: what waits, runs and fails."""

import asyncio
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient

from flows.artifacts.job_report import escape_markdown
from models import clock
from models.backend import BackendConfig, GateConfig
from models.errors import printable
from models.job import Phase, State
from models.words import count_of
from tasks.backends import registry
from tasks.services import Services

HOUR = timedelta(hours=1)


class BackendPages:
    """The pages that one drain writes: each is made once and then changed in place."""

    def __init__(self, services: Services, client: PrefectClient, names: list[str], run_id: str | None) -> None:
        self._services, self._client, self._names, self._run_id = services, client, names, run_id
        self._ids: dict[str, str] = {}

    async def write(self) -> None:
        """Bring every page up to date."""
        for name, (description, text) in (await asyncio.to_thread(self._pages)).items():
            body: dict[str, Any] = {"data": text, "description": description}
            if name in self._ids:
                await self._client.request("PATCH", "/artifacts/{id}", path_params={"id": self._ids[name]}, json=body)
                continue
            body |= {"key": f"backend-{name}", "type": "markdown", "flow_run_id": self._run_id}
            answer = await self._client.request("POST", "/artifacts/", json=body)
            self._ids[name] = answer.json()["id"]

    def _pages(self) -> dict[str, tuple[str, str]]:
        """Return one line and the page of each backend."""
        now = clock.now()
        counts, recent = self._services.log.counts(), self._services.log.recent(now - HOUR)
        checked = f"{now:%Y-%m-%d %H:%M:%S} UTC"
        pages = {}
        for name in self._names:
            waiting = counts.get(name, {})
            line = f"{waiting.get(Phase.WAITING, 0)} waiting, {waiting.get(Phase.RUNNING, 0)} running"
            pages[name] = (line, page(registry.load(name).config, waiting, recent.get(name, {}), checked))
        return pages


def page(config: BackendConfig, waiting: dict[str, int], recent: dict[str, int], checked: str) -> str:
    """Return the page of one backend.

    Args:
        waiting: number of jobs by phase.
        recent: number of the jobs of the last hour by state.
        checked: when the queue was looked at.
    """
    rows = {
        "waiting": waiting.get(Phase.WAITING, 0),
        "running": waiting.get(Phase.RUNNING, 0),
        "submitted in the last hour": sum(recent.values()),
        "of these done": recent.get(State.DONE, 0),
        "of these failed": recent.get(State.ERROR, 0),
        "of these cancelled": recent.get(State.CANCELLED, 0),
    }
    gates = {gate.name for gate in config.gates}
    return "\n".join(
        [
            f"# {config.display_name}",
            "",
            escape_markdown(printable(config.description)),
            "",
            "| jobs | number |",
            "|---|---|",
            *(f"| {what} | {value} |" for what, value in rows.items()),
            "",
            f"Last look at the queue: {checked}",
            "",
            "## What it takes",
            "",
            _most(config),
            "",
            "| instruction | parameters | what it does |",
            "|---|---|---|",
            *(_gate(gate) for gate in config.gates),
            *(f"| `{name}` | | |" for name in config.supported_instructions if name not in gates),
        ]
    )


def _most(config: BackendConfig) -> str:
    wires, shots = count_of(config.num_wires, "wire"), count_of(config.max_shots, "shot")
    return f"At most {wires} and {shots} in an experiment, {count_of(config.max_experiments, 'experiment')} in a job."


def _gate(gate: GateConfig) -> str:
    parameters, description = escape_markdown(", ".join(gate.parameters)), escape_markdown(printable(gate.description))
    return f"| `{gate.name}` | {parameters} | {description} |"
