"""Runs that wait to begin, and are not to begin once somebody has cancelled them."""

import logging
from collections.abc import Sequence
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.states import Pending, to_state_create

_LOG = logging.getLogger("quledger.prefect")

CANCELS = (StateType.CANCELLED, StateType.CANCELLING)


async def set_pending(client: PrefectClient, run_ids: Sequence[UUID], message: str) -> set[UUID]:
    """Set those of these runs to Pending that are still Scheduled; return them.

    Prefect lets no run become Pending that was cancelled before. And a Pending run that somebody cancels becomes
    *Cancelling*, which Prefect lets nobody set to Running; a Scheduled one would be *Cancelled*, which it does.
    """
    still = {"id": {"any_": [str(each) for each in run_ids]}, "state": {"type": {"any_": [StateType.SCHEDULED.value]}}}
    state = to_state_create(Pending(message=message)).model_dump(mode="json")
    body = {"flow_runs": still, "state": state, "limit": len(run_ids)}
    # The server has this call, though the client's list of calls lacks it.
    answer = await client.request("POST", "/flow_runs/bulk_set_state", json=body)  # type: ignore[arg-type]
    return {UUID(each["flow_run_id"]) for each in answer.json()["results"] if each["status"] == "ACCEPT"}


async def was_cancelled(client: PrefectClient, run_id: UUID) -> bool:
    """Say whether a run that has just been set to Running had been cancelled before, since it was last launched.

    Nothing that is asked before can tell: Prefect sets a run to Running whoever cancels it in between.
    """
    try:
        states = await client.read_flow_run_states(run_id)
    except Exception as error:  # noqa: BLE001 - Prefect only displays: a job is run though it cannot be asked
        _LOG.warning("run_unasked action=run run=%s: %s", run_id, type(error).__name__)
        return False
    for state in sorted(states, key=lambda each: each.timestamp, reverse=True):
        if state.type in (*CANCELS, StateType.SCHEDULED):
            return state.type in CANCELS
    return False
