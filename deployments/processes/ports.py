"""The ports on which we listen."""

import os
import socket

from models.errors import BadSetting

LOOPBACK = "127.0.0.1"


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a socket that listens.

    Args:
        option: of the command, by which another port is named.

    Raises:
        BadSetting: it cannot.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        # Its own words name the address once more.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        msg = f"port {port} of {host} cannot be listened on ({why}); name another one with {option}"
        raise BadSetting(msg) from None


def expect_free(ports: dict[str, int]) -> None:
    """Expect that ports of loopback can be listened on.

    Args:
        ports: each by the option that names it.

    Raises:
        BadSetting: one cannot; all that cannot are named.
    """
    faults = []
    for option, port in ports.items():
        try:
            listen(LOOPBACK, port, option).close()
        except BadSetting as error:
            faults.append(str(error))
    if faults:
        raise BadSetting("; ".join(faults))
