"""Mails notices by the SMTP server of the settings; a password is sent through TLS alone."""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from flows.telling.channel import SECONDS, NotTold
from models.errors import printable
from models.notices import Notice, line_of

TLS_PORT, PORT = 465, 587

MAIL_SECONDS = 2 * SECONDS
"""Of all that is said for one mail; each answer may take half of it."""


class Mail:
    """Mails to some addresses.

    Args:
        server: `smtp://` or `smtps://`, with the login.
    """

    name = "mail"

    def __init__(self, server: str, sender: str, receivers: Sequence[str], kinds: Sequence[str]) -> None:
        self._server = urlsplit(server)
        self._from, self._to, self.kinds = sender, receivers, kinds

    def tell(self, notice: Notice, now: datetime) -> None:
        """Send one mail to all; its id is that of the notice."""
        try:
            mail = self._mail(notice, now)
            with self._connected() as server:
                server.send_message(mail)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotTold(f"the mail server did not take it ({type(error).__name__})") from None

    def _mail(self, notice: Notice, now: datetime) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._from, ", ".join(self._to)
        mail["Subject"] = printable(f"Quledger: {line_of(notice)}", 120)
        mail["Date"], mail["Message-ID"] = format_datetime(now), f"<{notice.notice_id}@quledger>"
        facts = "\n".join(f"{name}: {value}" for name, value in notice.data.items() if value not in ("", None))
        mail.set_content(f"{line_of(notice)}\n\n{facts}\n\nat {notice.at:%Y-%m-%d %H:%M:%S} UTC\n")
        return mail

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        host, context = str(self._server.hostname), ssl.create_default_context()
        if is_tls := self._server.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(timeout=SECONDS)
        server._host = host  # type: ignore[attr-defined]  # noqa: SLF001 - STARTTLS looks there for the name
        with _ended_in_time(server), server:
            server.connect(host, self._server.port or (TLS_PORT if is_tls else PORT))
            if self._server.scheme == "smtp" and server.ehlo()[0] and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif self._server.scheme == "smtp" and self._server.password:
                raise NotTold("the mail server offers no TLS, and a password is not sent without")
            if self._server.username and self._server.password:
                server.login(unquote(self._server.username), unquote(self._server.password))
            yield server


@contextlib.contextmanager
def _ended_in_time(server: smtplib.SMTP) -> Iterator[None]:
    """Cut the connection after the time of one mail, also to a server that says something again and again."""

    def cut() -> None:
        if server.sock is not None:
            with contextlib.suppress(OSError):
                server.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(MAIL_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
