"""The login of a storage, in the fields in which front ends (qlued) keep it, becomes a URL and options."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal, NamedTuple
from urllib.parse import quote, quote_plus

from models.errors import BadSetting, echo
from models.json_text import read_json

Kind = Literal["local", "s3", "mongodb", "dropbox", "other"]


class Address(NamedTuple):
    """Where a storage is, and the credentials for it.

    Attributes:
        url: may hold a password.
        login: options of `storage.providers.registry.open_storage`.
    """

    url: str
    login: dict[str, str]


ABSOLUTE = r"^(/|[A-Za-z]:[\\/])"
"""How the path of a folder begins."""


def address(kind: Kind, text: str) -> Address:
    """Return the address of the storage with this login.

    Args:
        kind: `local` wants `base_path`; `s3` wants `url`, and takes `key`, `secret`, `token`, `endpoint`, `region`;
            `mongodb` wants `url` and takes `username` and `password`, or wants qlued's `mongodb_username`,
            `mongodb_password` and `mongodb_database_url`; `dropbox` wants `app_key`, `app_secret` and `refresh_token`,
            and takes `url`; `other` wants `url`, and hands everything else to the filesystem.
        text: the login as a JSON object of texts.

    Raises:
        BadSetting: names every field that is missing, unknown or no text, and never its value.
    """
    return address_of(kind, _read(text))


def address_of(kind: Kind, fields: Mapping[str, str]) -> Address:
    """Return the address of the storage with these fields of a login.

    Raises:
        BadSetting: names every field that is missing or unknown, and never its value.
    """
    wanted, taken, make = _KINDS[kind]
    if kind == "mongodb" and "url" in fields:
        wanted, taken = ("url",), ("username", "password")
    faults = [f"the field {name} is missing" for name in wanted if not fields.get(name)]
    if kind != "other":
        faults += [f"the field {echo(name)} is strange" for name in fields if name not in (*wanted, *taken)]
    if not faults and kind == "local" and not _is_absolute(fields["base_path"]):
        faults.append("the field base_path is no absolute path")
    if kind == "s3" and bool(fields.get("key")) is not bool(fields.get("secret")):
        faults.append("the fields key and secret belong together")
    if faults:
        raise BadSetting(f"the login of a storage of the kind {kind} cannot be used: {'; '.join(faults)}")
    return make(fields)


def _read(text: str) -> dict[str, str]:
    try:
        fields, repeated = read_json(text)
    except (ValueError, RecursionError):
        fields, repeated = None, []
    if repeated:
        twice = "; ".join(f"the field {echo(each.key)} {each}" for each in repeated)
        raise BadSetting(f"the login of the storage says something twice: {twice}")
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise BadSetting('the login of the storage is no JSON object of texts, such as {"base_path": "/data"}')
    return fields


def _is_absolute(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


def _local(fields: Mapping[str, str]) -> Address:
    path = fields["base_path"]
    pure = PurePosixPath(path) if PurePosixPath(path).is_absolute() else PureWindowsPath(path)
    return Address(pure.as_uri(), {})


def _as_given(fields: Mapping[str, str]) -> Address:
    return Address(fields["url"], {name: value for name, value in fields.items() if name != "url"})


def _mongodb(fields: Mapping[str, str]) -> Address:
    if "url" in fields:
        return _as_given(fields)
    user, password = quote_plus(fields["mongodb_username"]), quote_plus(fields["mongodb_password"])
    # The peer keeps the host alone, and always speaks to a cluster found by its DNS name.
    return Address(f"mongodb+srv://{user}:{password}@{quote(fields['mongodb_database_url'], safe='/?=&:,')}", {})


def _dropbox(fields: Mapping[str, str]) -> Address:
    given = _as_given({"url": "dropbox:///Backend_files"} | dict(fields))
    return Address(given.url, given.login)


_S3 = ("key", "secret", "token", "endpoint", "region")
_QLUED = ("mongodb_username", "mongodb_password", "mongodb_database_url")
_KINDS: dict[Kind, tuple[tuple[str, ...], tuple[str, ...], Callable[[Mapping[str, str]], Address]]] = {
    "local": (("base_path",), (), _local),
    "s3": (("url",), _S3, _as_given),
    "mongodb": (_QLUED, (), _mongodb),
    "dropbox": (("app_key", "app_secret", "refresh_token"), ("url",), _dropbox),
    "other": (("url",), (), _as_given),
}
