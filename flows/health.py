"""Asks all parts of the laboratory how they are, and shows the answer; the run fails if one of them is down."""

import asyncio

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State as PrefectState
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed

from flows.artifacts.job_report import escape_markdown
from flows.checkup import Checkup
from flows.telling.teller import Teller
from models.health import Health
from models.words import no_or_count_of
from tasks.services import current


@flow(name="health", persist_result=False)
async def health() -> PrefectState:
    """Ask database, storages, Prefect, drains, disks and clocks side by side; the run fails if one of them is down."""
    found = await asyncio.to_thread(Checkup(current(), str(PREFECT_API_URL.value())).ask)
    await asyncio.to_thread(Teller(current()).tell_health, found)
    summary = summary_of(found)
    await acreate_markdown_artifact(markdown=page(found), key="health", description=summary)
    return Failed(message=summary) if found.down else Completed(message=summary)


def summary_of(found: Health) -> str:
    """Return what is down, in one line."""
    if found.down:
        return f"down: {', '.join(part.name for part in found.down)}"
    odd = sum(part.status == "odd" for part in found.parts)
    return f"{len(found.parts)} parts asked: nothing is down, {no_or_count_of(odd, 'part')} to look at"


def page(found: Health) -> str:
    """Return the page about all parts."""
    rows = [
        f"| {part.name} | {part.status} | {escape_markdown(part.says)} | {escape_markdown(part.do)} |"
        for part in found.parts
    ]
    asked = f"Asked at {found.asked_at:%Y-%m-%d %H:%M:%S} UTC, answered within {found.seconds:.1f} s"
    return "\n".join(
        [f"# {summary_of(found)}", "", asked, "", "| part | | how it is | what to do |", "|---|---|---|---|", *rows]
    )
