"""OQTOPUS: what is signed holds for one thing and ten minutes; a zip file is unpacked in a bounded way."""

import contextlib
import io
import zipfile
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.dialects.oqtopus_uploads import (
    BadForm,
    BadSignature,
    BadZip,
    Signer,
    check_form,
    form,
    read_form,
    unzipped,
    zipped_json,
)

NOW = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
JOB = "0123456789abcdef01234567"
MAX = 10_000


def at(moment: datetime) -> Signer:
    """Return a signer at a time."""
    return Signer(b"k" * 32, lambda: moment)


def packed(*files: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_a_form_is_taken_for_ten_minutes() -> None:
    """The fields come back as they were given out."""
    fields = form(at(NOW), JOB)

    assert fields["key"] == f"{JOB}/input.zip"
    assert fields["policy"] == str(int(NOW.timestamp()) + 600)
    assert check_form(at(NOW + timedelta(seconds=599)), fields) == JOB
    with pytest.raises(BadSignature, match="expired"):
        check_form(at(NOW + timedelta(seconds=602)), fields)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "ffffffffffffffffffffffff/input.zip"},
        {"key": f"{JOB}/result.zip"},
        {"key": f"../{JOB}/input.zip"},
        {"key": ""},
        {"policy": "99999999999"},
        {"policy": "never"},
        {"policy": ""},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "ä" * 64},
        {"signature": "\ud800"},
    ],
)
def test_a_form_that_was_changed_is_not_taken(changes: dict[str, str]) -> None:
    """Neither another job, nor more time, nor a guess."""
    with pytest.raises(BadSignature):
        check_form(at(NOW), form(at(NOW), JOB) | changes)


def test_a_signature_is_for_one_method_and_one_item() -> None:
    """What may be read may not be written, and the result is not the input."""
    signer = at(NOW)
    expires, signature = signer.signed("GET", JOB, "result")

    signer.check("GET", JOB, "result", expires, signature)
    for method, job_id, item in (("POST", JOB, "result"), ("GET", JOB, "input"), ("GET", JOB[:-1] + "0", "result")):
        with pytest.raises(BadSignature):
            signer.check(method, job_id, item, expires, signature)  # type: ignore[arg-type]
    with pytest.raises(BadSignature):
        Signer(b"x" * 32, lambda: NOW).check("GET", JOB, "result", expires, signature)


def test_one_json_file_is_unpacked() -> None:
    """Stored or deflated, whatever it is called."""
    assert unzipped(packed(("input.json", b'{"program": []}')), MAX) == b'{"program": []}'
    assert unzipped(packed(("a.json", b"{}"), compression=zipfile.ZIP_STORED), MAX) == b"{}"
    assert unzipped(zipped_json("result", [1]), MAX, "result.json") == b"[1]"
    assert zipped_json("result", [1]) == zipped_json("result", [1])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no zip file"),
        (b"PK\x05\x06", "no zip file"),
        (b"{}", "no zip file"),
        (packed(), "holds 0 files"),
        (packed(("a.json", b"{}"), ("b.json", b"{}")), "holds 2 files"),
        (packed(("../input.json", b"{}")), "without a folder"),
        (packed(("/etc/input.json", b"{}")), "without a folder"),
        (packed(("C:\\input.json", b"{}")), "without a folder"),
        (packed(("folder/", b"")), "without a folder"),
        (packed((".json", b"{}")), "without a folder"),
        (packed(("input.txt", b"{}")), "must be called"),
        (packed(("input.json", b"{}"), compression=zipfile.ZIP_LZMA), "packed in another way"),
        (packed(("input.json", b"{}"), compression=zipfile.ZIP_BZIP2), "packed in another way"),
        (packed(("input.json", b"0" * (MAX + 1))), "more than 0.01 MB"),
        (packed(("n" * 2000 + ".json", b"{}")), "directory"),
        (packed(("input.json", b'{"program": ["x"]}'))[:-30], "no zip file"),
        (packed(("input.json", b"{}")).replace(b"PK\x03\x04", b"PK\x03\x05"), "broken"),
    ],
)
def test_other_files_are_refused(content: bytes, why: str) -> None:
    """Several files, paths, bombs and halves."""
    with pytest.raises(BadZip, match=why):
        unzipped(content, MAX)


def bomb() -> bytes:
    """Return a zip file whose directory says 10 bytes, and whose data are a gigabyte of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = packer.compress(b"\0" * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH)  # after which it may come again
    data = megabyte * 1000 + packer.flush()
    honest = packed(("input.json", b"0123456789"))
    with zipfile.ZipFile(io.BytesIO(honest)) as archive:
        small = archive.infolist()[0].compress_size
    start = honest.index(b"input.json") + len(b"input.json")
    found = honest[:start] + data + honest[start + small :]
    directory = found.index(b"PK\x01\x02", start + len(data))
    found = found[: directory + 20] + len(data).to_bytes(4, "little") + found[directory + 24 :]
    end = found.rindex(b"PK\x05\x06")
    return found[: end + 16] + directory.to_bytes(4, "little") + found[end + 20 :]


def test_a_bomb_that_lies_about_its_size_is_not_unpacked() -> None:
    """No more of it is unpacked than it says, and then its checksum is wrong."""
    with pytest.raises(BadZip, match="broken"):
        unzipped(bomb(), MAX)


@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=5))
def test_whatever_comes_is_refused_in_words(content: bytes, place: int, change: bytes) -> None:
    """Bytes of any kind, and zip files with any bytes changed."""
    good = packed(("input.json", b'{"program": ["OPENQASM 3;"]}'))
    for each in (content, good[:place] + change + good[place + len(change) :], good + content):
        with contextlib.suppress(BadZip):
            assert len(unzipped(each, MAX)) <= MAX


HEAD = b'Content-Disposition: form-data; name="'
FORM = (
    b"--b\r\n" + HEAD + b'key"\r\n\r\nj/input.zip\r\n--b\r\n' + HEAD + b'file"; filename="input.zip"\r\n'
    b"Content-Type: application/zip\r\n\r\nPK\r\n--b--\r\n"
)
KIND = "multipart/form-data; boundary=b"


def test_a_form_has_fields_and_one_file() -> None:
    """As a client sends them."""
    assert read_form(KIND, FORM) == ({"key": "j/input.zip"}, b"PK")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", FORM),
        ("application/x-www-form-urlencoded", b"key=1"),
        ("multipart/form-data", FORM),
        ("multipart/form-data; boundary=" + "b" * 300, FORM),
        (KIND, b""),
        (KIND, FORM[:-20]),
        (KIND, FORM.replace(b'; filename="input.zip"', b"")),
        (KIND, FORM.replace(b'"file"', b'"other"')),
        (KIND, FORM.replace(b"--b--", FORM + b"--b--")),
        (KIND, FORM.replace(b"j/input.zip", b"0" * 2000)),
        (KIND, b"".join(b"--b\r\n" + HEAD + b'%d"\r\n\r\n1\r\n' % each for each in range(20)) + FORM),
        (KIND, b"--b\r\n" + HEAD + b'key"\r\n\r\n1\r\n' + FORM),
        (KIND, FORM.replace(b"Content-Type: application/zip", b"Content-Transfer-Encoding: base64")),
    ],
)
def test_another_form_is_refused(kind: str, body: bytes) -> None:
    """Torn, without a file or with several, with many or long fields."""
    with pytest.raises(BadForm):
        read_form(kind, body)


@given(st.integers(0, len(FORM)), st.integers(0, 9), st.binary(max_size=9))
def test_whatever_form_comes_is_refused_in_words(place: int, less: int, change: bytes) -> None:
    """With any bytes changed."""
    with contextlib.suppress(BadForm):
        read_form(KIND, FORM[:place] + change + FORM[place + less :])
