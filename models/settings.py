"""Every setting, from the environment: prefix `QULEDGER_`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from models.errors import BadSetting

Seconds = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
_FIELD = re.compile(r'field "(\w+)"')
Pause = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Settings(BaseSettings):
    """What an operator may set. Each field is the environment variable `QULEDGER_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="QULEDGER_", frozen=True, hide_input_in_errors=True)

    home: Path = Field(default=Path("~/.quledger"), description="Folder of the database and the default storage.")
    # Neither URL is shown where settings are printed as a whole: both may hold a password.
    storage: str = Field(
        default="", repr=False, description="URL of the storage; by default the folder `storage` in the home."
    )
    database: str = Field(
        default="",
        repr=False,
        description="URL of the event log; by default the SQLite file `quledger.db` in the home.",
    )
    concurrency: int = Field(default=2, ge=1, le=64, description="Jobs that one drain runs at once.")
    most_at_once: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="Jobs of a backend that run at once, over all workers, as JSON: {"
        '"rydberg": 1} for hardware that can do one thing at a time.',
    )
    dispatch: dict[str, Literal["drain", "deployment"]] = Field(
        default={},
        description="How the jobs of a backend are run, as JSON: by the `drain` itself (the default), or each by a worker"
        ' of the pool that the `deployment` run-claimed-job belongs to: {"rydberg": "deployment"}.',
    )
    sign: bool | list[Annotated[str, Field(pattern=r"^[a-z0-9]+$")]] = Field(
        default=False,
        description='Which backends sign their results and configurations: `true`, `false`, or some of them as JSON: ["rydberg"].',
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="The private key with which all of them sign, as base64url of its JSON; by default the keys that"
        " `quledger keys` keeps in the home.",
    )
    poll_seconds: Seconds = Field(default=0.2, description="Least pause between two looks at the inbox.")
    settle_seconds: Pause = Field(
        default=2.0, description="How long a document that is not JSON (yet) must lie unchanged before it is judged."
    )
    publish_seconds: Seconds = Field(default=30.0, description="How often the published configurations are renewed.")
    lease_seconds: Seconds = Field(default=60.0, description="How long a silent worker keeps its job.")
    max_attempts: int = Field(default=5, ge=1, description="Attempts before a job ends in ERROR.")
    retry_seconds: Pause = Field(
        default=2.0, description="Pause after the first failed attempt; it doubles each time, with jitter."
    )
    max_document_mb: Annotated[float, Field(gt=0, le=1024)] = Field(default=16.0, description="Largest job document.")
    cpu_seconds: Seconds = Field(default=40.0, description="CPU time of one job in its child process.")
    wall_seconds: Seconds = Field(default=50.0, description="Wall time of one job in its child process.")
    memory_mb: int = Field(default=2048, ge=64, description="Memory of one job in its child process.")
    result_mb: int = Field(default=512, ge=1, description="Largest result document.")

    @classmethod
    def read(cls, **overrides: Any) -> "Settings":
        """Return the settings of this environment.

        Raises:
            BadSetting: names every variable that cannot be used, and never its value.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            wrong = "; ".join(f"QULEDGER_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
            raise BadSetting(wrong) from None
        except SettingsError as error:
            name = _FIELD.search(str(error))
            raise BadSetting(
                f"QULEDGER_{name[1].upper() if name else '...'}: it is not the JSON that belongs there"
            ) from None

    @property
    def folder(self) -> Path:
        """The home with `~` resolved."""
        return self.home.expanduser().absolute()

    @property
    def storage_url(self) -> str:
        """Where the documents lie."""
        return self.storage or (self.folder / "storage").as_uri()

    @property
    def database_url(self) -> str:
        """Where the event log lies."""
        return self.database or f"sqlite:///{self.folder / 'quledger.db'}"

    @property
    def max_document_bytes(self) -> int:
        """Largest job document in bytes."""
        return int(self.max_document_mb * 1_000_000)

    def redacted(self) -> dict[str, Any]:
        """Return all settings as they may be printed: without the password of any URL."""
        shown: dict[str, Any] = self.model_dump(mode="json")
        shown |= {
            "home": str(self.folder),
            "storage": redact_url(self.storage_url),
            "database": redact_url(self.database_url),
        }
        return shown


def redact_url(url: str) -> str:
    """Return the URL without user, password and query, all of which may be secrets, also in a chain of URLs."""
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
