"""The storage on S3, or on any server that speaks its protocol, through s3fs.

Each method is one request, a move is three: get, put, delete. Nothing is listed, asked for or remembered besides, so
directory caches, bucket checks and sizes of s3fs are not in the way: its session, its event loop and its credentials
are what is used of it.

**Claims.** `create` is a PUT with `If-None-Match: *`: of several at once, S3 lets one through. A PUT that was tried
again because its answer was lost would meet its own first try, so each carries a mark of its own in the object's
metadata, and who is refused looks whose mark is there.

**Moves.** S3 cannot rename. `move` creates the target on that condition and deletes the source then:

- Killed in between, the document lies at both places, whole. The next move from here to there finds its copy at the
  target, deletes the source and says `DocumentMissing`, as to anybody who comes after the one who moved it.
- Of several movers to *one* place where nothing lies, one creates the target; the others end as above. So exactly one
  is told that it succeeded, and if it was killed before it heard so, none.
- Movers to *different* places may both succeed (`atomic_move` is False). Quledger takes each document by way of one
  place, `layout.taken`, and holds the job's lock meanwhile. What is left is a mover that was paused, lost its lease
  and goes on when the document has left the target too: it brings back a copy. Then the log's fence decides, which
  lets at most one attempt of a job complete, and the mirror removes the copy when the job ends.
- What lies at the target already and is another document is replaced, on the condition that it is still the same
  (`If-Match`).
"""

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import aiohttp
from botocore.exceptions import BotoCoreError
from fsspec.asyn import sync
from s3fs import S3FileSystem

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageUnavailable
from models.settings import redact_url
from storage import failpoints
from storage.providers.protocol import Abilities, Entry
from storage.providers.s3.errors import code_of, meaning

TRIES = 4
"""How often a request is tried that S3 did not answer or was too busy for; the pauses double, with jitter."""

CONNECT_SECONDS = 5
SILENCE_SECONDS = 15
"""How long S3 may take for a connection, and how long it may be silent before a request is tried again."""

CONNECTIONS = 64
"""As many as a drain runs jobs at once."""

PAGE = 1000
"""Documents in one page of a listing; S3 gives no more."""

_MARK = "quledger-try"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", re.ASCII)
_REFUSED = frozenset({"PreconditionFailed", "412"})
_BUSY = frozenset({"ConditionalRequestConflict", "409", "OperationAborted"})
"""What S3 says when two conditional writes of one object meet: neither was decided."""


class _Object(NamedTuple):
    content: bytes
    etag: str
    mark: str


class S3Storage:
    """Documents as objects of a bucket, below the URL's prefix.

    Args:
        url: `s3://bucket/prefix`.
        login: `key`, `secret`, `token`, `endpoint`, `region`; what is not there comes from the standard variables
            (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ENDPOINT_URL_S3`,
            `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_PROFILE`), AWS's own files, or the machine's
            role.

    Raises:
        BadSetting: the URL names no bucket, or holds what does not belong there.
    """

    abilities = Abilities(atomic_move=False)

    def __init__(self, url: str, login: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.url = redact_url(url)
        self._bucket, self._prefix = _bucket_and_prefix(url)
        region = login.get("region") or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        retries = {"mode": "standard", "total_max_attempts": TRIES}
        self._fs = cast("Any", S3FileSystem)(
            key=login.get("key"),
            secret=login.get("secret"),
            token=login.get("token"),
            endpoint_url=login.get("endpoint"),
            client_kwargs={"region_name": region} if region else {},
            config_kwargs={
                "retries": retries,
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": SILENCE_SECONDS,
                "max_pool_connections": CONNECTIONS,
            },
            use_listings_cache=False,
            # Another one may have been opened here with other credentials.
            skip_instance_cache=True,
        )
        self._fs.retries = 1  # the client below it tries again

    def get(self, path: str) -> bytes:
        """Return the document: one GET."""
        return self._read(path).content

    def put(self, path: str, content: bytes) -> None:
        """Write the document: one PUT, which is atomic on S3."""
        self._call(path, "put_object", Body=content, ContentType="application/json")

    def create(self, path: str, content: bytes) -> None:
        """Write the document on the condition that there is none: one PUT."""
        self._create(path, content)

    def move(self, source: str, target: str) -> None:
        """Copy on the condition that nothing is there, then delete; see the top of this file."""
        document = self._read(source)
        moved = self._bring(target, document.content)
        failpoints.point("move.copied")
        self._call(source, "delete_object")
        if not moved:
            raise DocumentMissing(source)

    def delete(self, path: str) -> None:
        """Remove the document: one DELETE, which is no error where there is none."""
        self._call(path, "delete_object")

    def exists(self, path: str) -> bool:
        """Say whether a document lies there: one HEAD."""
        try:
            self._call(path, "head_object")
        except DocumentMissing:
            return False
        return True

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder: one request for each page, when its first document is asked for."""
        prefix = self._key(folder) + "/"
        going_on: dict[str, str] = {}
        while True:
            page = self._call(
                folder, "list_objects_v2", Key=None, Prefix=prefix, Delimiter="/", MaxKeys=PAGE, **going_on
            )
            for each in page.get("Contents", ()):
                if name := each["Key"].removeprefix(prefix):
                    yield Entry(name, each["Size"], each["LastModified"].astimezone(UTC))
            for each in page.get("CommonPrefixes", ()):
                name = each["Prefix"].removeprefix(prefix).rstrip("/")
                yield Entry(name, 0, datetime.now(UTC), regular=False)
            if not page.get("IsTruncated"):
                return
            going_on = {"ContinuationToken": page["NextContinuationToken"]}

    def _bring(self, target: str, content: bytes) -> bool:
        """Write the copy that a move leaves; False if somebody else has left it there."""
        condition = {"IfNoneMatch": "*"}
        for pause in _pauses():
            mark = uuid.uuid4().hex
            if self._put_if(target, content, mark, condition):
                return True
            try:
                found = self._read(target)
            except DocumentMissing:
                condition = {"IfNoneMatch": "*"}
            else:
                if found.mark == mark:
                    return True
                if found.content == content:
                    return False
                condition = {"IfMatch": found.etag}
            time.sleep(pause)
        raise StorageUnavailable(f"{target} is being written by others all the time")

    def _create(self, path: str, content: bytes) -> None:
        mark = uuid.uuid4().hex
        if self._put_if(path, content, mark, {"IfNoneMatch": "*"}):
            return
        try:
            found = self._call(path, "head_object").get("Metadata", {}).get(_MARK)
        except DocumentMissing:
            found = None  # there was one when we were refused
        if found != mark:
            raise DocumentExists(path)

    def _put_if(self, path: str, content: bytes, mark: str, condition: Mapping[str, str]) -> bool:
        """Write on a condition; False if it does not hold (any more, should our own first try have gone through)."""
        for pause in _pauses():
            try:
                self._call(
                    path,
                    "put_object",
                    Body=content,
                    ContentType="application/json",
                    Metadata={_MARK: mark},
                    **condition,
                )
            except _Refused:
                return False
            except _Undecided:
                time.sleep(pause)
            else:
                return True
        raise StorageUnavailable(f"{path} is being written by others all the time")

    def _read(self, path: str) -> _Object:
        """Return the document with what S3 keeps of it; a body that breaks off is asked for again."""
        with self._errors(path):
            found: _Object = sync(self._fs.loop, self._get_object, self._key(path))
            return found

    async def _get_object(self, key: str) -> _Object:
        for last in (False, False, True):
            # Not `cat_file`: that asks for the size first, and reads large documents in parts that need not fit.
            answer = await self._fs._call_s3("get_object", Bucket=self._bucket, Key=key)  # noqa: SLF001 - its async side
            try:
                async with answer["Body"] as body:
                    content = await body.read()
            except (BotoCoreError, aiohttp.ClientError):
                if last:
                    raise
            else:
                return _Object(content, answer["ETag"], answer.get("Metadata", {}).get(_MARK, ""))
        raise AssertionError

    def _call(self, path: str, method: str, **arguments: Any) -> dict[str, Any]:
        """Do one request about the object at a path."""
        arguments = {"Bucket": self._bucket, "Key": self._key(path)} | arguments
        wanted = {name: value for name, value in arguments.items() if value is not None}
        with self._errors(path, len(arguments.get("Body", b""))):
            answer: dict[str, Any] = self._fs.call_s3(method, **wanted)
            return answer

    def _key(self, path: str) -> str:
        return self._prefix + path

    @contextmanager
    def _errors(self, path: str, size: int = 0) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - botocore, aiohttp and s3fs each raise their own kinds of error
            code = code_of(error)
            if code in _REFUSED:
                raise _Refused from None
            if code in _BUSY:
                raise _Undecided from None
            raise meaning(error, path, self._bucket, size) from None


class _Refused(Exception):
    """The condition of a write does not hold."""


class _Undecided(Exception):
    """Somebody else writes the same object just now."""


def _pauses() -> Iterator[float]:
    yield from (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)


def _bucket_and_prefix(url: str) -> tuple[str, str]:
    """Return the bucket, and what stands before every path in a key."""
    parts = urlsplit(url)
    if "?" in url or "#" in url or "@" in parts.netloc or not _BUCKET.fullmatch(parts.netloc):
        msg = (
            f"the storage {redact_url(url)} names no bucket; write s3://bucket/prefix, and put credentials, region and"
            " endpoint into the AWS_... variables or into a block"
        )
        raise BadSetting(msg)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""
