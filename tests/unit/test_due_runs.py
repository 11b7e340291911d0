"""What is due is the same list however Prefect is asked for it, and its deployments stay marked as served."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending, Scheduled

from flows.prefect_api import run_lists
from flows.prefect_api.run_lists import DueRuns
from models import clock
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@flow(name="wanted", persist_result=False)
async def wanted() -> None:
    """Be launched."""


async def launched(client: PrefectClient, name: str) -> tuple[UUID, list[str]]:
    """Return a deployment, and its runs: late by one second, by two, due tomorrow, and taken by somebody."""
    flow_id = await client.create_flow(wanted)
    deployment = await client.create_deployment(flow_id, name)
    now = clock.now()
    states = [Scheduled(scheduled_time=now + timedelta(seconds=after)) for after in (-1, -2, 86400)]
    runs = [
        await client.create_flow_run_from_deployment(deployment, name=str(number), state=state)
        for number, state in enumerate([*states, Pending()])
    ]
    return deployment, [str(run.id) for run in runs]


def test_it_is_asked_for_the_list_alone_until_it_has_to_be_told_again(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
):
    """The oldest first, and none that is due later, of another deployment, or taken; at most as many as are wanted."""

    async def look() -> None:
        async with get_client() as client:
            (deployment, (second, first, later, _)), (other, _) = [
                await launched(client, name) for name in ("ours", "other")
            ]
            asked: list[str] = []

            async def note(response: Any) -> None:
                asked.append(response.request.url.path.rpartition("/")[2])

            client._client.event_hooks["response"].append(note)
            due = DueRuns(client)

            async def found(limit: int = 50, *, later: bool = False) -> list[str]:
                return [str(run.id) for run in await due.list([deployment], limit, later=later)]

            assert [await found() for _ in range(3)] == 3 * [[first, second]]
            assert await found(1) == [first]
            assert await found(later=True) == [first, second, later]
            assert asked == ["get_scheduled_flow_runs", *4 * ["filter"]]
            # A deployment of which nothing was said yet, and one of which it was long ago.
            del asked[:]
            assert len(await due.list([deployment, other], 50)) == 4
            monkeypatch.setattr(run_lists, "NOTED_SECONDS", 0.0)
            assert await found() == [first, second]
            assert asked == 2 * ["get_scheduled_flow_runs"]

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        asyncio.run(look())


def test_what_is_asked_for_is_shown_as_served(prefect_api: str) -> None:
    """By the first look."""

    async def look() -> UUID:
        async with get_client() as client:
            deployment, _ = await launched(client, "served")
            await DueRuns(client).list([deployment], 50)
            return deployment

    async def status(deployment: UUID) -> str:
        async with get_client() as client:
            return str((await client.read_deployment(deployment)).status)

    with temporary_settings({PREFECT_API_URL: prefect_api}):
        deployment = asyncio.run(look())
        until(lambda: asyncio.run(status(deployment)).endswith(".READY"))
