"""One page a backend among Prefect's artifacts, kept up to date by the drain: what waits, runs and fails."""

import asyncio
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient

from models import clock
from models.job import Phase, State
from tasks import backends
from tasks.services import Services

HOUR = timedelta(hours=1)


class BackendPages:
    """The pages that one drain writes: each is made once and then changed in place."""

    def __init__(self, services: Services, client: PrefectClient, names: list[str], run_id: str | None) -> None:
        self._services, self._client, self._names, self._run_id = services, client, names, run_id
        self._ids: dict[str, str] = {}

    async def write(self) -> None:
        """Bring every page up to date."""
        for name, page in (await asyncio.to_thread(self._pages)).items():
            body: dict[str, Any] = {"data": page, "description": f"Backend {name}"}
            if name in self._ids:
                await self._client.request("PATCH", "/artifacts/{id}", path_params={"id": self._ids[name]}, json=body)
                continue
            body |= {"key": f"backend-{name}", "type": "markdown", "flow_run_id": self._run_id}
            answer = await self._client.request("POST", "/artifacts/", json=body)
            self._ids[name] = answer.json()["id"]

    def _pages(self) -> dict[str, str]:
        now = clock.now()
        counts, recent = self._services.log.counts(), self._services.log.recent(now - HOUR)
        checked = now.isoformat(sep=" ", timespec="seconds")
        return {
            name: page(
                name, backends.load(name).config.description, counts.get(name, {}), recent.get(name, {}), checked
            )
            for name in self._names
        }


def page(name: str, description: str, waiting: dict[str, int], recent: dict[str, int], checked: str) -> str:
    """Return the page of one backend.

    Args:
        waiting: number of jobs by phase.
        recent: number of the jobs of the last hour by state.
        checked: when the queue was looked at.
    """
    rows = {
        "waiting": waiting.get(Phase.WAITING, 0),
        "running": waiting.get(Phase.RUNNING, 0),
        "done, of the jobs of the last hour": recent.get(State.DONE, 0),
        "failed, of the jobs of the last hour": recent.get(State.ERROR, 0),
        "last look at the queue": checked,
    }
    return "\n".join(
        [
            f"# {name}",
            "",
            description,
            "",
            "| | |",
            "|---|---|",
            *(f"| {what} | {value} |" for what, value in rows.items()),
        ]
    )
