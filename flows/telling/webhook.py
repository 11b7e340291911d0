"""POSTs notices to the URL of the settings, and to no other: it follows no redirect, and reads no answer's body."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import httpx

from flows.telling.channel import SECONDS, NotTold
from models.notices import Notice, headers_of


class Webhook:
    """One webhook.

    Args:
        secret: signs what is sent.
    """

    name = "webhook"

    def __init__(self, url: str, secret: str, kinds: Sequence[str]) -> None:
        self._url, self._secret, self.kinds = url, secret, kinds

    def tell(self, notice: Notice, now: datetime) -> None:
        """POST a notice; any answer of 200 to 299 says that it was taken."""
        headers = {"content-type": "application/json", "user-agent": "quledger"} | headers_of(notice, self._secret, now)
        try:
            code = asyncio.run(self._post(notice.content.encode(), headers))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise NotTold(f"the webhook does not answer ({type(error).__name__})") from None
        if code // 100 != 2:  # noqa: PLR2004 - what HTTP calls success
            raise NotTold(f"the webhook answered {code}")

    async def _post(self, content: bytes, headers: dict[str, str]) -> int:
        """Return the status; in the time of one telling, also where an answer comes byte by byte and never ends."""
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(timeout=SECONDS, follow_redirects=False) as client,
            client.stream("POST", self._url, content=content, headers=headers) as answer,
        ):
            return answer.status_code
