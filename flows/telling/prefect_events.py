"""Makes notices events of Prefect's, by its API: it takes one of an id that it has for the same, and none is lost."""

import os
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from flows.prefect_api.client import authentication
from flows.telling.channel import SECONDS, NotTold
from models.clock import to_text
from models.notices import Notice


class PrefectEvents:
    """Events of the Prefect that `PREFECT_API_URL` names."""

    name = "prefect"

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = kinds

    def tell(self, notice: Notice, now: datetime) -> None:  # noqa: ARG002 - an event has its own time
        """Hand in one event."""
        url = os.environ.get("PREFECT_API_URL")
        if not url:
            raise NotTold("PREFECT_API_URL is not set")
        try:
            with httpx.Client(base_url=url.rstrip("/"), timeout=SECONDS, headers=authentication()) as client:
                client.post("/events", json=[event_of(notice)]).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise NotTold(f"Prefect answered {error.response.status_code}") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotTold(f"Prefect does not answer ({type(error).__name__})") from None


def event_of(notice: Notice) -> dict[str, Any]:
    """Return a notice as Prefect takes it."""
    data = notice.data
    what = data.get("job_id") or data.get("backend") or "laboratory"
    return {
        "id": str(uuid.UUID(hex=notice.notice_id)),
        "event": f"quledger.{notice.kind}",
        "occurred": to_text(notice.at),
        "resource": {"prefect.resource.id": f"quledger.{notice.kind.partition('.')[0]}.{what}"},
        "payload": data,
    }
