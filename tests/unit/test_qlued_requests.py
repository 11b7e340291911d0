"""Bodies of clients of qlued: whose they are is found before they are read, and forms are read piece by piece."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from deployments.api.dialects import qlued_requests
from deployments.api.dialects.qlued_requests import values_of
from deployments.api.dialects.qlued_tokens import FORM, MOST_FOUND, tokens_of

FILL = 30_000 * "job "
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def request(raw: bytes, kind: str = "application/json") -> Request:
    """Return a request with this body."""

    async def receive() -> Any:
        return {"type": "http.request", "body": raw, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


def found(raw: bytes, field: str = "token", kind: str = "application/json") -> list[str] | None:
    """Return what may be the token in a body."""
    return asyncio.run(tokens_of(request(raw, kind), field))


@given(token=st.text(min_size=1, max_size=100), indent=st.sampled_from([None, 2]))
def test_the_token_of_a_large_body_is_found(token: str, indent: int | None) -> None:
    """Behind the job, whatever it is, however it is written; not one in a text that looks like it."""
    job = json.dumps({"token": "in the job", "text": FILL})
    for body in ({"job": job, "token": token}, {"token": token, "job": job}):
        assert found(json.dumps(body, indent=indent).encode()) == [token]


@given(token=TEXT.filter(bool))
def test_the_password_of_a_large_form_is_found(token: str) -> None:
    """Where a field of that name begins, and nowhere else."""
    form = {"json": f"{FILL}&password=in the job", "my_password": "another", "password": token}
    assert found(urlencode(form).encode(), "password", FORM) == [token]


def test_a_small_body_is_read_at_once() -> None:
    """There is nothing to be saved."""
    assert found(b'{"token": "t"}') is None


@pytest.mark.parametrize(
    "raw",
    [FILL, f'{{"job": "{FILL}"}}', f'{{"token": 7, "job": "{FILL}"}}', f'"token" "token": "{FILL}', FILL + '"token'],
)
def test_there_may_be_none(raw: str) -> None:
    """Then nobody has sent it."""
    assert found(raw.encode()) == []


def test_many_are_as_good_as_none() -> None:
    """So few are asked for, however many there are."""
    assert found(10_000 * b'"token": "x",') == MOST_FOUND * ["x"]


@given(fields=st.dictionaries(TEXT, TEXT, max_size=5), piece=st.integers(4, 20))
def test_a_form_is_read_piece_by_piece(fields: dict[str, str], piece: int) -> None:
    """As by the library, which makes an object of each escape at once."""
    raw = "&".join(f"{quote_plus(name, safe='/é')}={quote_plus(value)}" for name, value in fields.items())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qlued_requests, "PIECE", piece)
        read = asyncio.run(values_of(request(raw.encode(), FORM)))
    assert read == dict(parse_qsl(raw, keep_blank_values=True)) == {k: v for k, v in fields.items() if k or v or raw}
