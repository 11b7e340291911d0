"""Compares the log's views, the storages and Prefect with the log, and reports what differs."""

import asyncio
import functools
from itertools import islice
from typing import Annotated

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State as PrefectState
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed
from pydantic import Field

from flows.artifacts.job_report import escape_markdown
from flows.prefect_api.client import prefect_runs
from models.audit import Finding
from models.errors import QuledgerError
from models.storable import LINE
from models.words import count_of, no_or_count_of
from storage.audit.verify import PATIENCE, Verifier
from tasks.services import current

MAX_LISTED = 500


@flow(name="verify", persist_result=False)
async def verify(
    job_id: Annotated[str, Field(max_length=200, json_schema_extra=dict(LINE))] | None = None,
) -> PrefectState:
    """Compare log, views, storage and Prefect; the run fails if anything differs.

    Args:
        job_id: only this job; otherwise all of them, and every document that belongs to none.
    """
    services = current()
    runs_of = functools.partial(prefect_runs, str(PREFECT_API_URL.value()))
    verifier = Verifier(services.log.engine, services.stores, runs_of, services.signers.signatures, patience=PATIENCE)

    def compare() -> list[Finding]:
        return list(islice(verifier.all() if job_id is None else verifier.job(job_id), MAX_LISTED + 1))

    try:
        findings = await asyncio.to_thread(compare)
    except QuledgerError as error:
        return Failed(message=str(error))
    more = len(findings) > MAX_LISTED
    differ = f"more than {MAX_LISTED} differences" if more else no_or_count_of(len(findings), "difference")
    summary = f"{count_of(verifier.jobs, 'job')} verified: {differ}"
    lines = [f"# {summary}", "", *(f"Not compared: {escape_markdown(reason)}" for reason in verifier.left_out.values())]
    lines += [*(f"Note: {escape_markdown(note)}" for note in verifier.notes), ""]
    if findings:
        lines += ["| job | what | difference |", "|---|---|---|"]
        lines += [
            f"| {escape_markdown(each.job_id) or '-'} | {each.what} | {escape_markdown(each.message)} |"
            for each in findings[:MAX_LISTED]
        ]
    await acreate_markdown_artifact(markdown="\n".join(lines), key="verify", description=summary)
    return Failed(message=summary) if findings else Completed(message=summary)
