"""Storages whose logins Prefect keeps: seen and edited in its UI, a kind of block for each kind of storage.

`prefect block register -m tasks.prefect_block` makes the kinds known; `quledger up` does it by itself.
`tasks/block_storages.py` opens what they describe.
"""

from abc import abstractmethod
from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from models.errors import BadSetting
from models.logins import ABSOLUTE, Address, Kind, address, address_of
from storage.providers.registry import open_storage, probe

NAMED = "The block's name is the name of the storage: lower-case letters and digits."


class Described(BaseModel):
    """What all kinds say of a storage, and what can be done with it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    description: str = Field(default="", description="What it is for.")
    owner: str = Field(default="", description="Whose it is.")
    is_active: bool = Field(default=True, description="Switched off, it is neither read nor written.")

    @abstractmethod
    def address(self) -> Address:
        """Return where the storage is, and its login.

        Raises:
            BadSetting: names every field that cannot be used, and never its value.
        """

    def check(self) -> None:
        """Connect to the storage, and make sure that it takes what a job writes.

        Raises:
            BadSetting: a field cannot be used.
            StorageUnavailable: it does not answer now, or has no room.
            StorageRefused: it does not let us in.
        """
        wanted = self.address()
        probe(open_storage(wanted.url, wanted.login))

    @model_validator(mode="after")
    def _can_be_used(self) -> "Described":
        """Look at the fields when a block is made or saved; nothing is connected."""
        try:
            self.address()
        except BadSetting as error:
            raise ValueError(str(error)) from None
        return self

    def _address(self, kind: Kind, **fields: str | SecretStr) -> Address:
        plain = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in fields.items()
        }
        return address_of(kind, {name: value for name, value in plain.items() if value})


class FolderBlock(Described, Block):
    """A folder that front ends and Quledger share."""

    _block_type_name: ClassVar[str] = "Quledger Folder"
    _block_type_slug: ClassVar[str] = "quledger-folder"
    _description: ClassVar[str] = f"A folder through which front ends hand in jobs and read results. {NAMED}"

    base_path: str = Field(description="Its absolute path, such as /srv/jobs.", pattern=ABSOLUTE)

    def address(self) -> Address:
        """Return where the folder is."""
        return self._address("local", base_path=self.base_path)


class S3Block(Described, Block):
    """A bucket, at AWS or on a server that speaks its protocol."""

    _block_type_name: ClassVar[str] = "Quledger S3"
    _block_type_slug: ClassVar[str] = "quledger-s3"
    _description: ClassVar[str] = f"A bucket through which front ends hand in jobs and read results. {NAMED}"

    url: str = Field(description="s3://bucket/prefix", pattern="^s3a?://[^/@]+")
    key: str = Field(default="", description="The access key; without it, AWS's own variables and files are used.")
    secret: SecretStr = Field(default=SecretStr(""), description="The secret key.")
    token: SecretStr = Field(default=SecretStr(""), description="The session token of temporary credentials.")
    endpoint: str = Field(
        default="", description="https://host:port of a server that is not AWS.", pattern="^(https?://.+)?$"
    )
    region: str = Field(default="", description="Where the bucket is.")

    def address(self) -> Address:
        """Return where the bucket is, and its login."""
        return self._address(
            "s3",
            url=self.url,
            key=self.key,
            secret=self.secret,
            token=self.token,
            endpoint=self.endpoint,
            region=self.region,
        )


class MongoDBBlock(Described, Block):
    """A MongoDB, with documents where sqooler's provider has them."""

    _block_type_name: ClassVar[str] = "Quledger MongoDB"
    _block_type_slug: ClassVar[str] = "quledger-mongodb"
    _description: ClassVar[str] = f"A MongoDB through which front ends hand in jobs and read results. {NAMED}"

    url: str = Field(
        description="mongodb://host:27017/?authSource=admin, without user and password.",
        pattern=r"^mongodb(\+srv)?://[^@]+$",
    )
    username: str = ""
    password: SecretStr = SecretStr("")

    def address(self) -> Address:
        """Return where the database is, and its login."""
        return self._address("mongodb", url=self.url, username=self.username, password=self.password)


class DropboxBlock(Described, Block):
    """A Dropbox, with documents where sqooler's provider has them."""

    _block_type_name: ClassVar[str] = "Quledger Dropbox"
    _block_type_slug: ClassVar[str] = "quledger-dropbox"
    _description: ClassVar[str] = f"A Dropbox through which front ends hand in jobs and read results. {NAMED}"

    app_key: str = Field(description="The key of the app.", min_length=1)
    app_secret: SecretStr = Field(description="The secret of the app.")
    refresh_token: SecretStr = Field(description="What lets the app in for long.")
    url: str = Field(default="dropbox:///Backend_files", description="The folder.", pattern="^dropbox:///")

    def address(self) -> Address:
        """Return where the folder is, and its login."""
        return self._address(
            "dropbox",
            url=self.url,
            app_key=self.app_key,
            app_secret=self.app_secret,
            refresh_token=self.refresh_token,
        )


class StorageBlock(Described, Block):
    """A storage of any kind, with its login as JSON: the words of front ends, and what other filesystems want."""

    _block_type_name: ClassVar[str] = "Quledger Storage"
    _block_type_slug: ClassVar[str] = "quledger-storage"
    _description: ClassVar[str] = (
        f"A storage of any kind through which front ends hand in jobs and read results. {NAMED}"
    )

    kind: Kind = Field(default="local", description="What the storage is.")
    login: SecretStr = Field(
        description='A JSON object, for instance {"base_path": "/data"} for a local folder,'
        ' {"url": "s3://bucket/prefix", "key": "...", "secret": "..."} for S3, {"url": "mongodb://..."} for MongoDB,'
        ' {"app_key": "...", "app_secret": "...", "refresh_token": "..."} for Dropbox.',
    )

    def address(self) -> Address:
        """Return where the storage is, and its login."""
        return address(self.kind, self.login.get_secret_value())


KINDS: dict[str, type[Any]] = {
    kind.get_block_type_slug(): kind for kind in (FolderBlock, S3Block, MongoDBBlock, DropboxBlock, StorageBlock)
}
"""Slug of a kind of block -> the kind."""
