"""Every setting, from the environment: prefix `QULEDGER_`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from models.errors import BadSetting, echo
from models.json_text import read_json
from models.notice_kinds import KINDS, OF_OPERATORS, Kind, key_of
from models.words import without_prefix

Seconds = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
_FIELD = re.compile(r'field "(\w+)"')
_SHAPES: dict[type, str] = {list: """, such as '["...", "..."]'""", dict: """, such as '{"...": ...}'"""}
Pause = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]

BLOCK = "block://"
"""Begins the URL of a storage whose login Prefect keeps."""

EVERY = "*"
"""The name in the setting for every block that Prefect keeps; its URL is `block://*`."""

LEAST_SECRET = 16

STORAGE_NAME = "[a-z0-9]{1,100}"
"""What a storage may be called."""


class Settings(BaseSettings):
    """What an operator may set. Each field is the environment variable `QULEDGER_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="QULEDGER_",
        env_ignore_empty=True,  # as Docker Compose hands on what is not set
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(default=Path("~/.quledger"), description="Folder of the database and the default storage.")
    # Neither URL is shown where settings are printed as a whole: both may hold a password.
    storage: str = Field(
        default="",
        repr=False,
        description="URL of the storage; by default the folder `storage` in the home. Several at once as JSON, each"
        ' with its name: {"lab": "file:///data", "cloud": "s3://bucket/prefix"}; jobs that name none belong to the'
        " first.",
    )
    database: str = Field(
        default="",
        repr=False,
        description="URL of the event log; by default the SQLite file `quledger.db` in the home.",
    )
    devices: Path | None = Field(
        default=None,
        description="Folder of qubit devices, one JSON description each: NAME.json becomes the backend NAME.",
    )
    concurrency: int = Field(default=2, ge=1, le=64, description="Jobs that one drain runs at once.")
    most_at_once: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="Jobs of a backend that run at once, over all workers, as JSON: {"
        '"rydberg": 1} for hardware that can do one thing at a time.',
    )
    dispatch: dict[str, Literal["drain", "deployment"]] = Field(
        default={},
        description="How the jobs of a backend are run, as JSON: by the `drain` itself (the default), or each by a"
        ' worker of the pool that the `deployment` run-claimed-job belongs to: {"rydberg": "deployment"}.',
    )
    sign: bool | list[Annotated[str, Field(pattern=r"^[a-z0-9]+$")]] = Field(
        default=False,
        description="Which backends sign their results and configurations: `true`, `false`, or some of them as JSON:"
        ' ["rydberg"].',
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="The private key with which all of them sign, as base64url of its JSON; by default the keys that"
        " `quledger keys` keeps in the home.",
    )
    poll_seconds: Seconds = Field(default=0.2, description="Least pause between two looks at the inbox.")
    settle_seconds: Pause = Field(
        default=2.0,
        description="How long a document that is not JSON must lie unchanged before it is judged; JSON that ends too"
        " early thirty times as long.",
    )
    publish_seconds: Seconds = Field(default=30.0, description="How often the published configurations are renewed.")
    lease_seconds: Seconds = Field(default=60.0, description="How long a silent worker keeps its job.")
    engine_lease_seconds: Seconds = Field(
        default=600.0, description="How long a silent engine of a device outside keeps a job."
    )
    standstill_seconds: Seconds = Field(
        default=10.0,
        description="How long the event loop of a drain or a worker may stand still before its process is ended.",
    )
    max_attempts: int = Field(default=5, ge=1, le=1_000_000, description="Attempts before a job ends in ERROR.")
    retry_seconds: Pause = Field(
        default=2.0, description="Pause after the first failed attempt; it doubles each time, with jitter."
    )
    max_document_mb: Annotated[float, Field(gt=0, le=1024)] = Field(default=16.0, description="Largest job document.")
    cpu_seconds: Seconds = Field(default=40.0, description="CPU time of one job in its child process.")
    wall_seconds: Seconds = Field(default=50.0, description="Wall time of one job in its child process.")
    memory_mb: int = Field(default=2048, ge=64, le=1_000_000_000, description="Memory of one job in its child process.")
    free_mb: int = Field(
        default=500,
        ge=0,
        le=1_000_000_000,
        description="What has to be free on the disks, or `quledger health` is bad.",
    )
    result_mb: int = Field(default=512, ge=1, le=1_000_000, description="Largest result document.")

    api_hosts: list[str] = Field(
        default=[],
        description='Names under which the API is reached, as JSON: ["jobs.example.org"]; by default those of this'
        ' machine alone. ["*"] is any.',
    )
    api_behind_proxy: bool = Field(
        default=False, description="Whether a proxy in front of the API says which address a request comes from."
    )
    api_requests_a_minute: int = Field(
        default=6000, ge=1, le=10_000_000, description="Requests to the API from one address in a minute."
    )
    api_waits_a_user: int = Field(
        default=200, ge=1, le=1_000_000, description="Streams and long polls of the API that one user holds at once."
    )

    results_days: Annotated[float | None, Field(gt=0, le=36500)] = Field(
        default=None, description="How long `quledger retention` keeps results; by default for ever."
    )
    payloads_days: Annotated[float | None, Field(gt=0, le=36500)] = Field(
        default=None, description="How long it keeps payloads; by default for ever."
    )
    webhook: SecretStr | None = Field(
        default=None, description="URL that is told what happens (docs/told.md), with what is secret in it."
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="What signs it: at least 16 characters, or base64 behind `whsec_`; has to be set with it.",
    )
    webhook_kinds: list[Kind] = Field(default=[*KINDS], description="What it is told, as JSON; by default everything.")
    mail_server: SecretStr | None = Field(
        default=None, description="smtps://USER:PASSWORD@HOST, or smtp:// for STARTTLS; sends mails of what happens."
    )
    mail_from: str = Field(default="", description="Whose mails they are.")
    mail_to: list[str] = Field(default=[], description='Who gets them, as JSON: ["lab@example.org"].')
    mail_kinds: list[Kind] = Field(
        default=[*OF_OPERATORS], description="What is mailed, as JSON; by default all but the ends of jobs."
    )
    prefect_event_kinds: list[Kind] = Field(
        default=[], description="What becomes an event of Prefect's, for its automations, as JSON; by default nothing."
    )

    @classmethod
    def read(cls, **overrides: Any) -> "Settings":
        """Return the settings of this environment.

        Raises:
            BadSetting: names every variable that cannot be used, never its value.
        """
        try:
            settings = cls(**overrides)
            settings.home.expanduser()
        except ValidationError as error:
            wrong = "; ".join(
                f"QULEDGER_{str(e['loc'][0]).upper()}: {without_prefix(e['msg'])}" for e in error.errors()
            )
            raise BadSetting(wrong) from None
        except SettingsError as error:
            name = _FIELD.search(str(error))
            shape = _SHAPES.get(type(cls.model_fields[name[1]].default), "") if name else ""
            raise BadSetting(
                f"QULEDGER_{name[1].upper() if name else '...'}: it is not the JSON that belongs there{shape}"
            ) from None
        except RuntimeError:
            raise BadSetting("QULEDGER_HOME: nobody here has the home folder that ~ means; name the folder") from None
        if settings.webhook is not None and settings.webhook_secret is None:
            raise BadSetting("QULEDGER_WEBHOOK_SECRET has to be set with QULEDGER_WEBHOOK: it signs what is sent")
        if settings.mail_server is not None and not (settings.mail_from and settings.mail_to):
            raise BadSetting("QULEDGER_MAIL_FROM and QULEDGER_MAIL_TO have to be set with QULEDGER_MAIL_SERVER")
        return settings

    @property
    def folder(self) -> Path:
        """The home with `~` resolved."""
        return self.home.expanduser().absolute()

    @field_validator("home")
    @classmethod
    def _check_home(cls, value: Path) -> Path:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise ValueError("its name is not UTF-8, and URLs are made of it") from None
        return value

    @field_validator("webhook")
    @classmethod
    def _check_webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_address(value.get_secret_value(), {"http", "https"}):
            raise ValueError("write https://HOST/PATH")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(key_of(value.get_secret_value())) < LEAST_SECRET:
            raise ValueError(f"it has less than {LEAST_SECRET} bytes")
        return value

    @field_validator("mail_server")
    @classmethod
    def _check_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_address(value.get_secret_value(), {"smtp", "smtps"}):
            raise ValueError("write smtps://USER:PASSWORD@HOST:PORT")
        return value

    @field_validator("storage")
    @classmethod
    def _check_storage(cls, value: str) -> str:
        _storages(value)
        return value

    @property
    def storages(self) -> dict[str, str]:
        """The URL of each storage by its name; a single one has the empty name."""
        named = _storages(self.storage) or {"": (self.folder / "storage").as_uri()}
        return {name: url for name, url in named.items() if name != EVERY}

    @property
    def takes_every_block(self) -> bool:
        """Whether every block that Prefect keeps is a storage, beside those that are named."""
        return EVERY in _storages(self.storage)

    @property
    def redacted_storage(self) -> str | dict[str, str]:
        """`storages` as they may be printed; the URL alone if there is a single one."""
        shown = {name: redact_url(url) for name, url in self.storages.items()}
        if self.takes_every_block:
            shown[EVERY] = BLOCK + EVERY
        return shown.get("", shown)

    @property
    def database_url(self) -> str:
        """The URL of the event log."""
        return self.database or f"sqlite:///{quote(str(self.folder / 'quledger.db'))}"

    @property
    def max_document_bytes(self) -> int:
        """Largest job document in bytes."""
        return int(self.max_document_mb * 1_000_000)

    def redacted(self) -> dict[str, Any]:
        """Return all settings as they may be printed: without the password of any URL."""
        shown: dict[str, Any] = self.model_dump(mode="json")
        shown |= {
            "home": str(self.folder),
            "storage": self.redacted_storage,
            "database": redact_url(self.database_url),
        }
        return shown


def is_address(url: str, schemes: set[str]) -> bool:
    """Return whether a URL names a host by one of these schemes."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _storages(value: str) -> dict[str, str]:
    """Return the URLs in the setting `storage`; empty for an empty one.

    Raises:
        ValueError: says everything that is wrong with a JSON object, and names no URL.
    """
    if not value.lstrip().startswith(("{", "[", '"')):
        if value == BLOCK + EVERY:
            raise ValueError(f'name the storage for jobs that name none too: {{"lab": "URL", "{EVERY}": "{value}"}}')
        return {"": value} if value else {}
    usage = 'write a URL, or as JSON {"name": "URL", ...}'
    try:
        given, repeated = read_json(value)
    except ValueError:
        raise ValueError(f"it is not JSON; {usage}") from None
    if not isinstance(given, dict) or not given:
        raise ValueError(usage)
    faults = [f"the name {echo(each.key)} {each}" for each in repeated]
    faults += [
        f"the name {echo(name)} has to be lower-case letters and digits"
        for name in given
        if name != EVERY and re.fullmatch(STORAGE_NAME, name) is None
    ]
    if EVERY in given and (next(iter(given)) == EVERY or given[EVERY] != BLOCK + EVERY):
        faults.append(f'"{EVERY}" stands behind the storage for jobs that name none, and its URL is {BLOCK}{EVERY}')
    faults += [
        f"the storage {echo(name)} has no URL" for name, url in given.items() if not isinstance(url, str) or not url
    ]
    if faults:
        raise ValueError("; ".join(faults))
    return given


def redact_url(url: str) -> str:
    """Return the URL, or chain of URLs, without user, password and query: all of them may be secrets.

    A path is shown as it is. Anything else is hidden: it may be a secret that was put into the wrong setting.
    """
    if "//" not in url and not url.startswith(("/", "./", "../", "~")):
        return "***" if url else ""
    # Two colons may stand in the address or the password of a server.
    chain = [url] if url.startswith("postgres") else url.split("::")
    parts = []
    for part in chain:
        scheme, slashes, rest = part.partition("//")
        address, question, query = rest.partition("?")
        if "@" in query:
            # Whether the password or the query holds the question mark cannot be told.
            address = "***"
        elif "@" in address:
            address = "***@" + address.rpartition("@")[2]
        parts.append(scheme + slashes + address + (question and "?***"))
    return "::".join(parts)
