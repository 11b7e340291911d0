"""OQTOPUS: what is uploaded and fetched without a token, as those try it who should not."""

import json
import random
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest

from deployments.api.dialects.oqtopus_uploads import Signer, form
from models import clock
from storage.uploads.registrations import Registrations
from storage.uploads.secrets import shared_secret
from tests.api.conftest import FrontDoor, front_door
from tests.api.oqtopus_laboratory import PROGRAM, Oqtopus, fetched, finish, packed, upload
from tests.unit.test_oqtopus_uploads import bomb

GOOD = packed({"program": [PROGRAM]})


@pytest.fixture
def alice(door: FrontDoor) -> Oqtopus:
    """A user of the laboratory."""
    return Oqtopus(door, "alice")


def refused(answer: httpx.Response, *codes: int) -> str:
    """Return what an answer that is an error says: a message and nothing else."""
    assert answer.status_code in codes, answer.text
    assert list(answer.json()) == ["message"]
    return str(answer.json()["message"])


def content_of(door: FrontDoor, job_id: str) -> bytes | None:
    """Return the input that was uploaded for a job."""
    return Registrations(door.services.log.engine).get(job_id).content


def signer(door: FrontDoor, ago: float = 0) -> Signer:
    """Return what this laboratory signs with, so many seconds ago."""
    secret = shared_secret(door.services.log.engine, "oqtopus")
    return Signer(secret, lambda: clock.now() - timedelta(seconds=ago))


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": "0" * 64},
        {"signature": ""},
        {"policy": "99999999999"},
        {"policy": "-1"},
        {"key": "ffffffffffffffffffffffff/input.zip"},
        {"key": "../../input.zip"},
        {"key": ""},
    ],
)
def test_a_form_that_was_changed_brings_nothing(door: FrontDoor, alice: Oqtopus, changes: dict[str, str]):
    """Not for this job and not for another one."""
    job_id, url, fields = alice.register()
    refused(upload(url, fields | changes, GOOD), 403)
    assert content_of(door, job_id) is None
    for name in ("key", "policy", "signature"):
        refused(upload(url, {each: fields[each] for each in fields if each != name}, GOOD), 403)


def test_the_form_of_one_job_is_not_that_of_another(door: FrontDoor, alice: Oqtopus):
    """Whoever has a job of his own cannot fill another one."""
    job_id, url, _ = alice.register()
    _, _, of_bob = Oqtopus(door, "bob").register()
    refused(upload(url, of_bob | {"key": f"{job_id}/input.zip"}, GOOD), 403)
    assert content_of(door, job_id) is None


def test_a_form_ends_after_ten_minutes(door: FrontDoor, alice: Oqtopus):
    """Then another job has to be registered."""
    job_id, url, _ = alice.register()
    assert "expired" in refused(upload(url, form(signer(door, 601), job_id), GOOD), 403)
    assert upload(url, form(signer(door, 500), job_id), GOOD).status_code == 204


def test_a_form_for_a_job_that_never_was(door: FrontDoor, alice: Oqtopus):
    """Or that was registered more than a day ago."""
    _, url, _ = alice.register()
    refused(upload(url, form(signer(door), "f" * 24), GOOD), 409)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no zip file"),
        (b"PK\x03\x04", "no zip file"),
        (b"x" * 1_000_000, "no zip file"),
        (GOOD[:-1], "no zip file|broken"),
        (packed(b"{}", "../../etc/input.json"), "without a folder"),
        (packed(b"0" * 17_000_000), "more than 16 MB"),
        (packed(b"[" * 15_000_000), "nested too deeply"),
        (packed(b'{"program": [' + b'"x",' * 100_000), "no JSON"),
        (packed(b'{"program": ' + b"9" * 1_000_000 + b"}"), "no JSON"),
        (packed(b"\xff"), "no JSON"),
        (packed(["program"]), "an object"),
        (bomb(), "broken"),
    ],
)
def test_other_files_than_an_input_are_not_kept(door: FrontDoor, alice: Oqtopus, content: bytes, why: str):
    """Bombs, paths, halves and JSON without end; the right one can still come."""
    job_id, url, fields = alice.register()
    assert re.search(why, refused(upload(url, fields, content), 400))
    assert content_of(door, job_id) is None
    assert upload(url, fields, GOOD).status_code == 204


def raw(url: str, body: bytes, kind: str = "multipart/form-data; boundary=b") -> httpx.Response:
    """Send a body as it is."""
    return httpx.post(url, content=body, headers={"Content-Type": kind}, timeout=60)


def test_forms_that_are_none_are_refused(alice: Oqtopus):
    """Torn ones, those without a file or with several, and those of many or large fields."""
    _, url, fields = alice.register()
    request = httpx.Request("POST", url, data=fields, files={"file": ("input.zip", GOOD)})
    body, kind = request.read(), request.headers["content-type"]
    for end in (0, 1, 50, len(body) // 2, len(body) - 3):
        refused(raw(url, body[:end], kind), 400, 403)
    for other in ("multipart/form-data", "application/json", "text/plain", "application/x-www-form-urlencoded", "x"):
        refused(raw(url, body, other), 400, 403)
    refused(raw(url, body.replace(b"\r\n", b"\n"), kind), 400, 403)
    refused(httpx.post(url, data=fields), 400)
    refused(httpx.post(url, data=fields | {"file": "text"}), 400)
    two = [("file", ("input.zip", GOOD)), ("file", ("input.zip", GOOD))]
    refused(httpx.post(url, data=fields, files=two), 400)
    refused(upload(url, fields | {f"x{number}": "1" for number in range(20)}, GOOD), 400)
    refused(upload(url, fields | {"more": "1" * 10_000}, GOOD), 400)
    assert upload(url, fields, GOOD).status_code == 204


def test_a_body_beyond_all_bounds_is_refused_before_it_is_read(alice: Oqtopus):
    """In the words of this dialect too."""
    _, url, _ = alice.register()
    answer = raw(url, b"0" * 34_000_000)
    assert "bytes" in refused(answer, 413)


def test_whatever_is_changed_in_an_upload_is_answered_in_words(door: FrontDoor, alice: Oqtopus):
    """Bytes anywhere in it, with a fixed seed: never an error of the server's own."""
    _, url, fields = alice.register()
    request = httpx.Request("POST", url, data=fields, files={"file": ("input.zip", GOOD)})
    body, kind = request.read(), request.headers["content-type"]
    draw = random.Random(7)
    codes = set()
    for _ in range(150):
        changed = bytearray(body)
        for _ in range(draw.randrange(1, 4)):
            place = draw.randrange(len(changed))
            changed[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        answer = raw(url, bytes(changed), kind)
        codes.add(answer.status_code)
        if answer.status_code != 204:
            refused(answer, 400, 403, 409)
    assert {400, 403} <= codes <= {204, 400, 403, 409}


def test_an_address_is_good_for_what_it_was_given_out_for(door: FrontDoor, alice: Oqtopus):
    """Not for another file, another job, or longer."""
    job_id, other = alice.submitted(), alice.submitted()
    finish(door, job_id, {"counts": {"0": 100}})
    address = alice.job(job_id)["job_info"]["result"]
    assert fetched(address) == {"sampling": {"counts": {"0": 100}}}
    answer = httpx.get(address)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"

    base, _, query = address.partition("?")
    given = dict(parse_qsl(query))
    for wrong in (
        base,
        f"{base}?{urlencode(given | {'expires': '99999999999'})}",
        f"{base}?{urlencode(given | {'signature': '0' * 64})}",
        f"{base}?{urlencode(given | {'signature': ''})}",
        address.replace("/result.zip", "/input.zip"),
        address.replace("/result.zip", "/transpile_result.zip"),
        address.replace("/result.zip", "/document.zip"),
        address.replace(job_id, other),
    ):
        refused(httpx.get(wrong), 403)
    refused(httpx.get(address.replace("/result.zip", "/..%2Fresult.zip")), 403, 404)
    refused(httpx.post(address), 405)
    old_expires, old_signature = signer(door, 601).signed("GET", job_id, "result")
    assert "expired" in refused(httpx.get(f"{base}?expires={old_expires}&signature={old_signature}"), 403)


def test_the_result_of_a_job_that_has_none(door: FrontDoor, alice: Oqtopus):
    """An address that nobody was given, and a result that was changed in the storage."""
    job_id = alice.submitted()
    expires, signature = signer(door).signed("GET", job_id, "result")
    address = f"{door.url}/oqtopus/files/{job_id}/result.zip?expires={expires}&signature={signature}"
    assert "no result yet" in refused(httpx.get(address), 400)
    finish(door, job_id, {"counts": {"0": 100}})
    path = f"results/qubits/{job_id}.json"
    storage = door.services.stores.of("")
    storage.put(path, storage.get(path).replace(b"100", b"101"))
    said = refused(httpx.get(address), 500)
    assert "hash" not in said


@pytest.fixture
def two(door: FrontDoor, tmp_path: Path) -> Iterator[tuple[FrontDoor, FrontDoor]]:
    """Two servers of one log."""
    with front_door(door.services.settings.home) as other:
        yield door, other


def test_two_servers_of_one_log_are_one(two: tuple[FrontDoor, FrontDoor], alice: Oqtopus):
    """Registered at the one, uploaded to the other, submitted at the first, fetched from the second."""
    one, other = two
    job_id, url, fields = alice.register()
    assert upload(url.replace(one.url, other.url), fields, GOOD).status_code == 204
    assert alice.submit(job_id).status_code == 200
    address = alice.job(job_id)["job_info"]["input"]
    assert fetched(address.replace(one.url, other.url)) == {"program": [PROGRAM]}


def test_a_proxy_that_says_so_is_reached_by_https(tmp_path: Path):
    """The addresses that are given out are those that the client can reach."""

    def url(door: FrontDoor, **headers: str) -> Any:
        asked = {"q-api-token": door.token("ann"), "Host": "localhost", **headers}
        return httpx.post(f"{door.url}/oqtopus/jobs", headers=asked).json()["presigned_url"]["url"]

    for behind_proxy, scheme in ((True, "https"), (False, "http")):
        with front_door(tmp_path / scheme, api_behind_proxy=behind_proxy) as door:
            door.add_user("ann")
            assert url(door, **{"X-Forwarded-Proto": "https"}) == f"{scheme}://localhost/oqtopus/files"
            assert url(door, **{"X-Forwarded-Proto": "javascript"}) == "http://localhost/oqtopus/files"


def test_what_comes_back_is_what_was_uploaded(alice: Oqtopus):
    """To the letter, with characters of all kinds."""
    given = {"program": ["// ΔE 🜁\n" + PROGRAM], "operator": [{"pauli": "X 0", "coeff": 1e-9}]}
    job_id = alice.registered(**given)
    assert alice.submit(job_id, job_type="estimation").status_code == 200
    assert json.dumps(fetched(alice.job(job_id)["job_info"]["input"])) == json.dumps(given)
