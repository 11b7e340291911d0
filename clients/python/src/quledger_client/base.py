"""What the client for threads and the one for event loops have in common: where the laboratory is, and as whom."""

from os import PathLike
from typing import Any, Self

from quledger_client.asking import PATIENCE
from quledger_client.calls import Calls
from quledger_client.endpoint import Endpoint, Secret

TIMEOUT = 30.0


class BaseClient:
    """A laboratory, as the user of a token, before anything is asked of it."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT, patience: float = PATIENCE) -> None:
        # The text of the token stands in no frame that a traceback may show the values of.
        secret, token = Secret(token), ""
        self._begin(Endpoint(url, secret), timeout, patience)

    def _begin(self, endpoint: Endpoint, timeout: float, patience: float) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self.calls = Calls(patience)
        self._transport: Any = None
        self._is_closed = False

    @classmethod
    def local(
        cls, home: "str | PathLike[str] | None" = None, *, timeout: float = TIMEOUT, patience: float = PATIENCE
    ) -> Self:
        """Return a client of the `quledger up` or `quledger serve` of this machine.

        Args:
            home: its folder; QULEDGER_HOME or `~/.quledger` if left out.

        Raises:
            Unreachable: nothing has left an address and a token there.
        """
        from quledger_client.local import local_endpoint  # noqa: PLC0415 - few need it

        client = cls.__new__(cls)
        client._begin(local_endpoint(home), timeout, patience)  # noqa: SLF001 - it is of this class
        return client

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._endpoint.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self, '_endpoint', None)!r})"
