"""Whether a request comes from the machine of the server, with nobody in between."""

import ipaddress
from collections.abc import Mapping
from contextvars import ContextVar

IS_NEAR: ContextVar[bool] = ContextVar("is_near", default=False)
"""Of the request that is being answered."""

_HANDED_ON = frozenset({b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})
"""Headers by which a proxy says that somebody else asks."""


def is_near(client: str, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request comes from this machine.

    Args:
        client: address of the other end of the connection.
    """
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return address.is_loopback and _HANDED_ON.isdisjoint(headers)
