"""How far a long execution has come, as an artifact of its task run."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from prefect.client.orchestration import get_client
from prefect.context import TaskRunContext

_LOG = logging.getLogger("quledger.progress")

FIRST_SECONDS = 3.0
"""What is quicker shows no progress."""

NEXT_SECONDS = 2.0


@contextlib.asynccontextmanager
async def show_progress(progress: Callable[[], tuple[int, int]]) -> AsyncIterator[None]:
    """Show the progress while the block runs.

    Args:
        progress: returns how much is done, of how much; (0, 0) where that is not known.
    """
    showing = asyncio.create_task(_show(progress))
    try:
        yield
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


async def _show(progress: Callable[[], tuple[int, int]]) -> None:
    run = TaskRunContext.get()
    if run is None:
        return
    await asyncio.sleep(FIRST_SECONDS)
    artifact, before = "", -1.0
    try:
        async with get_client() as client:
            while True:
                done, of = progress()
                percent = round(100 * done / of, 1) if of else 0.0
                if of and percent != before:
                    body = {"data": percent, "description": f"{done} of {of} experiments"}
                    if artifact:
                        await client.request("PATCH", "/artifacts/{id}", path_params={"id": artifact}, json=body)
                    else:
                        about = {"type": "progress", "task_run_id": str(run.task_run.id)}
                        about |= {"flow_run_id": str(run.task_run.flow_run_id)}
                        answer = await client.request("POST", "/artifacts/", json=body | about)
                        artifact = answer.json()["id"]
                    before = percent
                await asyncio.sleep(NEXT_SECONDS)
    except Exception as error:  # noqa: BLE001 - Prefect only displays: the execution goes on
        _LOG.warning("progress_failed action=none: %s", type(error).__name__)
