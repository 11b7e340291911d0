"""Several storages in one setting, and logins in the words of front ends."""

import json

import pytest

from models.errors import BadSetting
from models.logins import address
from models.settings import Settings


def test_one_url_is_one_storage_without_a_name(monkeypatch: pytest.MonkeyPatch):
    """A single URL is the storage of all jobs."""
    monkeypatch.setenv("QULEDGER_STORAGE", "s3://bucket/prefix")
    assert Settings.read().storages == {"": "s3://bucket/prefix"}


def test_several_storages_keep_their_order(monkeypatch: pytest.MonkeyPatch):
    """A JSON object names storages; the first one is for jobs that name none. No password is printed."""
    given = {"lab": "file:///data", "cloud": "mongodb://alice:s3cret@host/"}
    monkeypatch.setenv("QULEDGER_STORAGE", json.dumps(given))
    settings = Settings.read()
    assert list(settings.storages.items()) == list(given.items())
    assert settings.redacted()["storage"] == {"lab": "file:///data", "cloud": "mongodb://***@host/"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "not JSON"),
        ("{}", 'write a URL, or as JSON {"name": "URL", ...}'),
        ('{"lab": "file:///data", "lab": "file:///else"}', "the name 'lab' stands twice"),
        ('["file:///data"]', 'write a URL, or as JSON {"name": "URL", ...}'),
        ('{"My Installation": "file:///data", "b": "", "c": 7}', "'My Installation'"),
    ],
)
def test_a_setting_that_names_no_storages_says_why(value: str, said: str, monkeypatch: pytest.MonkeyPatch):
    """What cannot be used is named, all of it at once."""
    monkeypatch.setenv("QULEDGER_STORAGE", value)
    with pytest.raises(BadSetting) as error:
        Settings.read()
    assert "QULEDGER_STORAGE" in str(error.value)
    assert said in str(error.value)
    if "My Installation" in value:
        assert "'b' has no URL" in str(error.value)
        assert "'c' has no URL" in str(error.value)


def test_every_block_is_asked_for_behind_a_storage_that_is_named(monkeypatch: pytest.MonkeyPatch):
    """Jobs that name no storage belong to the first one, which has to be there."""
    monkeypatch.setenv("QULEDGER_STORAGE", json.dumps({"lab": "file:///data", "*": "block://*"}))
    settings = Settings.read()
    assert (settings.storages, settings.takes_every_block) == ({"lab": "file:///data"}, True)
    assert settings.redacted()["storage"] == {"lab": "file:///data", "*": "block://*"}
    for bad in ("block://*", '{"*": "block://*"}', '{"*": "block://*", "lab": "file:///x"}', '{"lab": "x", "*": "y"}'):
        monkeypatch.setenv("QULEDGER_STORAGE", bad)
        with pytest.raises(BadSetting, match="storage for jobs that name none"):
            Settings.read()


@pytest.mark.parametrize(
    ("kind", "login", "expected"),
    [
        ("local", {"base_path": "/data/my store"}, ("file:///data/my%20store", {})),
        ("s3", {"url": "s3://b/p", "key": "k", "secret": "s"}, ("s3://b/p", {"key": "k", "secret": "s"})),
        ("mongodb", {"url": "mongodb://h:1/"}, ("mongodb://h:1/", {})),
        ("mongodb", {"url": "mongodb://h:1/", "username": "u"}, ("mongodb://h:1/", {"username": "u"})),
        (
            "mongodb",
            {"mongodb_username": "al@x", "mongodb_password": "p/w", "mongodb_database_url": "c.example.net"},
            ("mongodb+srv://al%40x:p%2Fw@c.example.net", {}),
        ),
        (
            "dropbox",
            {"app_key": "a", "app_secret": "b", "refresh_token": "c"},
            ("dropbox:///Backend_files", {"app_key": "a", "app_secret": "b", "refresh_token": "c"}),
        ),
        ("other", {"url": "sftp://h/x", "username": "u"}, ("sftp://h/x", {"username": "u"})),
    ],
)
def test_a_login_becomes_an_address(kind: str, login: dict[str, str], expected: tuple[str, dict[str, str]]):
    """The words of qlued's administrators, and plain URLs, say where a storage is."""
    assert address(kind, json.dumps(login)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "login", "said"),
    [
        ("local", "{}", ["base_path is missing"]),
        ("local", '{"base_path": "relative"}', ["no absolute path"]),
        ("s3", '{"secret": "hush", "colour": "hush"}', ["url is missing", "'colour' is strange"]),
        ("dropbox", '{"app_key": "hush"}', ["app_secret is missing", "refresh_token is missing"]),
        ("mongodb", '{"mongodb_username": "hush"}', ["mongodb_password is missing", "mongodb_database_url is missing"]),
        ("local", "hush", ["no JSON object"]),
        ("local", '{"base_path": "/a", "base_path": "/b"}', ["the field 'base_path' stands twice"]),
        ("local", '{"base_path": 7}', ["no JSON object of texts"]),
    ],
)
def test_a_login_that_cannot_be_used_says_which_fields(kind: str, login: str, said: list[str]):
    """Every fault is named at once, and no value."""
    with pytest.raises(BadSetting) as error:
        address(kind, login)  # type: ignore[arg-type]
    for words in said:
        assert words in str(error.value)
    assert "hush" not in str(error.value)
