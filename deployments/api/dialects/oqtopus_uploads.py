"""OQTOPUS: signed forms and addresses, and the zip files that come and go by them. Nothing here does I/O."""

import hashlib
import hmac
import io
import json
import logging
import zipfile
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, Literal

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from models import clock
from models.errors import InputError

# It would write down what strangers send.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

MAX_FIELDS = 10
MAX_FIELD_BYTES = 1000

Method = Literal["GET", "POST"]

SIGNED_FOR = timedelta(minutes=10)

MAX_DIRECTORY = 1024
"""Bytes of the directory of a zip file that holds one file."""

_END = b"PK\x05\x06"
_END_BYTES = 22
_ENCRYPTED = 0x1
_BLOCK = 1 << 16


class BadSignature(InputError):
    """A form or an address was not signed here, not for this, or too long ago."""


class BadForm(InputError):
    """An upload does not come as a form with one file."""


class BadZip(InputError):
    """An upload is no zip file that holds one JSON file, or holds too much."""


class Signer:
    """Signs for one method, one item of one job, and ten minutes.

    Args:
        key: shared by all servers of one log, and known to nobody else.
    """

    def __init__(self, key: bytes, now: Callable[[], datetime] = clock.now) -> None:
        self._key, self._now = key, now

    def signed(self, method: Method, job_id: str, item: str) -> tuple[str, str]:
        """Return when the permission ends, in seconds since 1970, and its signature."""
        expires = str(int((self._now() + SIGNED_FOR).timestamp()))
        return expires, self._signature(method, job_id, item, expires)

    def check(self, method: Method, job_id: str, item: str, expires: str, signature: str) -> None:
        """Make sure that this was signed here and still holds.

        Raises:
            BadSignature: it was not, or does not.
        """
        right = self._signature(method, job_id, item, expires)
        if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace")):
            raise BadSignature("the signature is not of this server, this job and this file")
        # Signed here, so that it is a number.
        if int(expires) < self._now().timestamp():
            raise BadSignature("this address has expired; ask for the job again")

    def _signature(self, method: Method, job_id: str, item: str, expires: str) -> str:
        text = f"oqtopus\n{method}\n{job_id}\n{item}\n{expires}"
        return hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def form(signer: Signer, job_id: str) -> dict[str, str]:
    """Return the fields that go with the upload of a job's input."""
    expires, signature = signer.signed("POST", job_id, "input")
    return {"key": f"{job_id}/input.zip", "policy": expires, "signature": signature}


def check_form(signer: Signer, fields: Mapping[str, str]) -> str:
    """Return the id of the job whose input comes with these fields.

    Raises:
        BadSignature: they are not as they were given out.
    """
    job_id, _, name = fields.get("key", "").partition("/")
    if name != "input.zip":
        raise BadSignature("the field key is not as it was given out")
    signer.check("POST", job_id, "input", fields.get("policy", ""), fields.get("signature", ""))
    return job_id


def read_form(content_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """Return the fields of an upload, and the one file `file` in it; all of it stays in memory.

    Raises:
        BadForm: it is no such form.
    """
    fields: dict[str, str] = {}
    files: list[bytes] = []

    def on_field(field: Field) -> None:
        name, value = (field.field_name or b"").decode("utf-8", "replace"), field.value or b""
        if len(fields) >= MAX_FIELDS or name in fields or len(value) > MAX_FIELD_BYTES:
            raise BadForm("the form has other fields, or longer ones, than were given out")
        fields[name] = value.decode("utf-8", "replace")

    def on_file(file: File) -> None:
        if files or file.field_name != b"file":
            raise BadForm("the form has another file than the one field file")
        file.file_object.seek(0)
        files.append(file.file_object.read())

    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise BadForm("an upload has to be multipart/form-data")
    in_memory = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}
    try:
        parser = FormParser(kind.decode(), on_field, on_file, boundary=options[b"boundary"], config=in_memory)
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise BadForm("the form is broken") from None
    if not files:
        raise BadForm("the field file has to be a zip file")
    return fields, files[0]


def unzipped(content: bytes, max_bytes: int, called: str = "input.json") -> bytes:
    """Return the one file in a zip file; never more than `max_bytes` of it are unpacked.

    Args:
        called: what the file is called; another name with the same ending will do.

    Raises:
        BadZip: says why it is not taken.
    """
    _check_directory(content, called)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) != 1:
                raise BadZip(f"the zip file holds {len(entries)} files; it must hold one, {called}")
            entry = entries[0]
            _check_entry(entry, max_bytes, called)
            with archive.open(entry) as file:
                found = bytearray()
                while block := file.read(_BLOCK):
                    found += block
                    if len(found) > max_bytes:
                        raise _too_large(max_bytes)
                return bytes(found)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, OSError):
        raise BadZip("the zip file is broken") from None


def zipped_json(item: str, value: Any) -> bytes:
    """Return a zip file with one file in it, `ITEM.json`; the same value gives the same bytes."""
    content = json.dumps(value, separators=(",", ":")).encode("ascii")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{item}.json"), content, zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def _check_directory(content: bytes, called: str) -> None:
    """Refuse a long directory before anything reads it: one file has a short one."""
    at = content.rfind(_END, max(0, len(content) - _END_BYTES - 0xFFFF))
    end = content[at : at + _END_BYTES] if at >= 0 else b""
    if len(end) < _END_BYTES:
        raise BadZip("the file is no zip file")
    count, size = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if count != 1:
        raise BadZip(f"the zip file holds {count} files; it must hold one, {called}")
    if size > MAX_DIRECTORY:
        raise BadZip("the directory of the zip file is longer than that of one file")


def _check_entry(entry: zipfile.ZipInfo, max_bytes: int, called: str) -> None:
    name, ending = entry.filename, PurePath(called).suffix
    if not name.endswith(ending) or any(each in name for each in ("/", "\\", ":", "\0")) or name.startswith("."):
        raise BadZip(f"the file in the zip file must be called {called}, without a folder")
    if entry.flag_bits & _ENCRYPTED:
        raise BadZip("the file in the zip file is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadZip("the file in the zip file is packed in another way than stored or deflated")
    if entry.file_size > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> BadZip:
    return BadZip(f"the file in the zip file has more than {max_bytes / 1e6:g} MB")
