"""A server that speaks the calls of Dropbox's API that we use, for the tests: HTTPS on loopback, with faults on demand.

No Dropbox was asked to write this. Requests, answers and errors follow Dropbox's documentation and the types of its
official client, which reads them. Files lie in SQLite, so the process can be killed at any moment and started again.

As a program: `python -m tests.dropbox_server FOLDER PORT`, with the certificate in FOLDER.
"""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.dropbox_files import FILES, Refused, Store, content_hash, union
from tests.waiting import until

KEY, SECRET, REFRESH = "labappkey", "s3cret-of-the-app", "r3fresh-of-the-lab"

START_SECONDS = 60
ROOT = Path(__file__).parents[1]


class Faults:
    """What goes wrong next, by order of a test, and how often each call came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()

    def add(self, faults: list[dict[str, Any]]) -> None:
        """Order faults: `call`, `kind`, and what belongs to the kind; `times` (1) so often, after `skip` (0) calls."""
        with self._lock:
            self._waiting += [{"times": 1, "skip": 0} | fault for fault in faults]

    def clear(self) -> None:
        """Forget what was ordered and counted."""
        with self._lock:
            self._waiting.clear()
            self.calls.clear()

    def next(self, call: str) -> dict[str, Any]:
        """Count a call; return the fault that is its own."""
        with self._lock:
            self.calls[call] += 1
            for fault in self._waiting:
                if fault["call"] in ("", call) and fault["times"]:
                    if fault["skip"]:
                        fault["skip"] -= 1
                        continue
                    fault["times"] -= 1
                    return fault
        return {}


class Dropbox(ThreadingHTTPServer):
    """The server."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.store = Store(folder / FILES)
        self.faults = Faults()
        self.tokens: dict[str, float] = {}
        self.refresh_tokens = {REFRESH}
        self.lifetime = 14400
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        # Each connection shakes hands in the thread that serves it.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that the other side cuts."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Dropbox

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Serve one call."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = self.path.removeprefix("/2/").lstrip("/")
        if call == "control":
            self._answer(200, json.dumps(self._control(json.loads(body))).encode())
            return
        fault = self.server.faults.next(call)
        try:
            self._serve(call, body, fault)
        except Refused as refused:
            json_body = refused.status == 409 or isinstance(refused.error, dict)
            content = json.dumps(refused.body) if json_body else str(refused.error)
            kind = "application/json" if json_body else "text/plain; charset=utf-8"
            self._answer(refused.status, content.encode(), {"Content-Type": kind} | refused.headers)
        except ConnectionAbortedError:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, call: str, body: bytes, fault: dict[str, Any]) -> None:
        kind = fault.get("kind", "")
        self._fail_before(kind, fault)
        if call == "oauth2/token":
            headers, content = {}, json.dumps(self._token(body)).encode()
        else:
            self._authorise()
            with self.server.store.whole():
                headers, content = self._call(call.removeprefix("files/"), body)
        if kind == "cut_after":
            raise ConnectionAbortedError
        if kind == "error_after":
            raise Refused("An error of the server", 500)
        if kind == "broken":
            content = content[:-1] + b"#"
        self._answer(200, content, headers, most=len(content) // 2 if kind == "cut_short" else None)
        if kind == "cut_short":
            raise ConnectionAbortedError

    def _control(self, order: dict[str, Any]) -> dict[str, Any]:
        server = self.server
        if order.get("clear"):
            server.faults.clear()
            server.lifetime, server.refresh_tokens = 14400, {REFRESH}
        server.faults.add(order.get("faults", []))
        if order.get("expire"):
            server.tokens = dict.fromkeys(server.tokens, 0.0)
        if "lifetime" in order:
            server.lifetime = order["lifetime"]
        if order.get("revoke"):
            server.refresh_tokens.clear()
            server.tokens.clear()
        return {"calls": dict(server.faults.calls)}

    def _fail_before(self, kind: str, fault: dict[str, Any]) -> None:
        if kind == "cut_before":
            raise ConnectionAbortedError
        if kind == "429":
            seconds, reason = fault.get("seconds", 1), fault.get("reason", "too_many_requests")
            headers = {"Retry-After": str(seconds)}
            if fault.get("plain"):
                raise Refused("Too many requests", 429, headers)
            raise Refused({"reason": {".tag": reason}, **fault.get("fields", {})}, 429, headers)
        if kind == "401":
            raise Refused(union(fault["tag"], **fault.get("fields", {})), 401)
        if kind == "409":
            raise Refused(fault["error"], 409)
        if kind.isdigit():
            raise Refused("An error of the server", int(kind))

    def _token(self, body: bytes) -> dict[str, Any]:
        given = dict(urllib.parse.parse_qsl(body.decode()))
        if (given.get("client_id"), given.get("client_secret")) != (KEY, SECRET):
            words = '{"error": "invalid_client", "error_description": "Invalid client_id or client_secret"}'
            raise Refused(words, 400)
        if given.get("grant_type") != "refresh_token" or given.get("refresh_token") not in self.server.refresh_tokens:
            words = '{"error": "invalid_grant", "error_description": "refresh token is invalid or revoked"}'
            raise Refused(words, 400, {"Content-Type": "application/json"})
        token = f"sl.{uuid.uuid4().hex}"
        self.server.tokens[token] = time.monotonic() + self.server.lifetime
        return {"access_token": token, "token_type": "bearer", "expires_in": 14400}

    def _authorise(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        # What an earlier process of this server gave out has run out.
        if not token.startswith("sl."):
            raise Refused(union("invalid_access_token"), 401)
        if self.server.tokens.get(token, 0.0) < time.monotonic():
            raise Refused(union("expired_access_token"), 401)

    def _call(self, call: str, body: bytes) -> tuple[dict[str, str], bytes]:
        store = self.server.store
        arg = json.loads(self.headers.get("Dropbox-API-Arg") or (body if body.startswith(b"{") else b"{}"))
        if "content_hash" in arg and arg["content_hash"] not in (None, content_hash(body)):
            raise Refused(union("content_hash_mismatch"))
        if call == "download":
            found, content = store.download(arg)
            return {"Dropbox-API-Result": json.dumps(found), "Content-Type": "application/octet-stream"}, content
        calls: dict[str, Callable[[], Any]] = {
            "upload": lambda: store.commit(arg, body),
            "upload_session/start": lambda: store.session_start(body),
            "upload_session/append_v2": lambda: store.session_append(arg["cursor"], body),
            "upload_session/finish": lambda: store.session_finish(arg, body),
            "get_metadata": lambda: store.get_metadata(arg),
            "move_v2": lambda: store.move(arg),
            "delete_v2": lambda: store.delete(arg),
            "list_folder": lambda: store.list_folder(arg),
            "list_folder/continue": lambda: store.go_on(json.loads(urllib.parse.unquote(arg["cursor"]))),
            "users/get_current_account": lambda: _ACCOUNT,
        }
        if call not in calls:
            raise Refused(f"Unknown API function: {call!r}", 400)
        return {}, json.dumps(calls[call]()).encode()

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, *, most: int | None = None
    ) -> None:
        self.send_response(status)
        usual = {"Content-Type": "application/json", "X-Dropbox-Request-Id": uuid.uuid4().hex}
        for name, value in (usual | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:most])
        self.wfile.flush()


_ACCOUNT = {
    "account_id": "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc",
    "name": {
        "given_name": "Ann",
        "surname": "Installation",
        "familiar_name": "Ann",
        "display_name": "Ann Installation",
        "abbreviated_name": "AL",
    },
    "email": "ann@lab.example",
    "email_verified": True,
    "disabled": False,
    "locale": "en",
    "referral_link": "https://db.tt/ZITNuhtI",
    "is_paired": False,
    "account_type": {".tag": "basic"},
    "root_info": {".tag": "user", "root_namespace_id": "3235641", "home_namespace_id": "3235641"},
}


class Service:
    """A server as a process of its own, that can be killed and started again on the same files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        from tests.certificates import self_signed  # noqa: PLC0415 - the server itself starts without it

        self._certificate, _ = self_signed(folder, "127.0.0.1")

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a process finds it; all but the login are the official client's own."""
        host = f"127.0.0.1:{self.port}"
        return {
            "DROPBOX_APP_KEY": KEY,
            "DROPBOX_APP_SECRET": SECRET,
            "DROPBOX_REFRESH_TOKEN": REFRESH,
            "DROPBOX_API_HOST": host,
            "DROPBOX_API_CONTENT_HOST": host,
            "REQUESTS_CA_BUNDLE": str(self._certificate),
            "NO_PROXY": "127.0.0.1",
        }

    def url(self) -> str:
        """Return the URL of an empty storage."""
        self._made += 1
        return f"dropbox:///Place {self._made}/Backend_files"

    def start(self) -> None:
        """Start it on the files that are there."""
        program = [sys.executable, "-m", "tests.dropbox_server", str(self._folder), str(self.port)]
        self._process = subprocess.Popen(program, cwd=ROOT)

        def answers() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, "the server did not start"
            with contextlib.suppress(OSError):
                self.control()
                return True
            return False

        until(answers, START_SECONDS)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def control(self, **order: Any) -> dict[str, int]:
        """Order faults and the like; return how often each call has come since it was cleared."""
        context = ssl.create_default_context(cafile=str(self._certificate))
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            body = json.dumps(order).encode()
            head = f"POST /control HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        calls: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])["calls"]
        return calls


@contextlib.contextmanager
def dropbox_service() -> Iterator[Service]:
    """Run a server while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="quledger-dropbox-"))
    service = Service(folder)
    try:
        service.start()
        yield service
    finally:
        service.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    Dropbox(Path(sys.argv[1]), int(sys.argv[2])).serve_forever()
