"""Somebody who visits the pages without JavaScript: follows links, fills in forms, and reads what is answered."""

import re
from html import unescape
from html.parser import HTMLParser

import httpx

from tests.api.conftest import FrontDoor

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{7*7}}"
"""A text that does something wherever it is read as markup or as a template."""


class Visitor:
    """A browser without JavaScript."""

    def __init__(self, door: FrontDoor, user: str | None = None) -> None:
        self.door = door
        self.client = httpx.Client(base_url=door.url, timeout=60)
        self._form_token = ""
        if user is not None:
            assert self.sign_in(door.token(user)).headers["location"] == "/ui/"

    def sign_in(self, token: str, **more: str) -> httpx.Response:
        """Send the form for signing in."""
        answer = self.client.post("/ui/sign-in", data={"token": token} | more)
        self._form_token = ""
        return answer

    def get(self, path: str, code: int = 200) -> str:
        """Return a page, which has to be answered with this code; it holds no markup but ours."""
        answer = self.client.get(path)
        assert answer.status_code == code, answer.text
        return checked(answer)

    def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """Send a form of ours."""
        return self.client.post(path, data={"form_token": self.form_token} | fields)

    @property
    def form_token(self) -> str:
        """What the forms of this session carry."""
        if not self._form_token:
            found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.client.get("/ui/account").text)
            assert found is not None
            self._form_token = found[1]
        return self._form_token

    @property
    def cookie(self) -> str | None:
        """The cookie of the session."""
        return self.client.cookies.get("quledger_session")

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def checked(answer: httpx.Response) -> str:
    """Return the text of a page, which holds no markup but what our pages have."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    reader = _Reader()
    reader.feed(answer.text)
    assert reader.wrong == []
    assert "{{" not in answer.text.replace("{{7*7}}", "")
    assert "Traceback" not in answer.text
    return answer.text


def words(page: str) -> str:
    """Return what can be read on a page, on one line."""
    shown = re.sub(r"(?s)<(title|desc|option)[ >].*?</\1>", "", page)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", shown)).split())


class _Reader(HTMLParser):
    """Finds what no page of ours has: scripts and styles in the page, handlers, images, addresses elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        given = dict(attrs)
        if tag in {"img", "iframe", "object", "embed", "base", "style", "foreignobject"}:
            self.wrong.append(tag)
        if tag == "script" and not (given.get("src") or "").startswith("/ui/static/"):
            self.wrong.append("script in the page")
        self.wrong += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        for name in ("href", "src", "action", "formaction"):
            value = given.get(name)
            if value is not None and not value.startswith(("/", "#")):
                self.wrong.append(f"{tag} {name} {value}")
