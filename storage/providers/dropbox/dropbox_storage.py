"""The storage in a Dropbox, through the official client, in the folders of sqooler's provider (see `places`).

Each method is one request, and asks nothing beforehand: folders come with what is written into them.

**Claims.** `create` is an upload that Dropbox refuses where something lies, also the same content (`strict_conflict`).
If it is refused after a try whose answer was lost, what lies there is ours if it has our content and the moment that we
gave it. Two that create the same content in the same second, one of whom loses an answer, may both be told so.

**Moves** are done by Dropbox, at once. If the source is gone after a try whose answer was lost, the document lies at
the target, or somebody else has it; then, of two that move to *one* place, both may be told so. Quledger moves
documents under the job's lock, and takes each by way of a place that is its own, so two of its workers never do. What
lies at the target already is deleted first, on the condition that it is still the same; killed in between, the document
lies at the source.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from dropbox import Dropbox
from dropbox.content_hash import content_hash
from dropbox.files import (
    CommitInfo,
    DeletedMetadata,
    FileMetadata,
    FolderMetadata,
    Metadata,
    UploadSessionCursor,
    WriteMode,
)
from requests.exceptions import ContentDecodingError

from models.errors import BadSetting, DocumentExists, DocumentMissing, StorageUnavailable
from models.settings import redact_url
from storage.providers.dropbox import places
from storage.providers.dropbox.client import TRIES, Caller, Login, Said, hosts_in
from storage.providers.dropbox.errors import refusal
from storage.providers.protocol import Abilities, Entry

ROOT = "/Backend_files"
"""Where sqooler's provider looks."""

MAX_AT_ONCE = 64 * 2**20
"""Bytes that are uploaded at once (Dropbox takes 150 MiB); more go in parts, each of which can be sent again."""

PART = 32 * 2**20
"""Bytes of one part."""

PAGE = 1000
"""Documents in one page of a listing, about; Dropbox gives at most 2000."""

_LOST_SESSION = frozenset({"lookup_failed", "not_found", "closed", "incorrect_offset"})


class DropboxStorage:
    """Documents as files of a Dropbox, below the URL's folder.

    Args:
        url: `dropbox:///Backend_files`; `dropbox:///` is the same.
        login: `app_key`, `app_secret`, `refresh_token`; what is not there comes from the variables
            `DROPBOX_APP_KEY`, `DROPBOX_APP_SECRET`, `DROPBOX_REFRESH_TOKEN`.

    Raises:
        BadSetting: the URL names no folder, or something of the login is missing.
    """

    abilities = Abilities()

    def __init__(self, url: str, login: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self.url = redact_url(url)
        self._root = _root(url)
        values = {name: login.get(name) or environment.get(f"DROPBOX_{name.upper()}", "") for name in Login._fields[:3]}
        if missing := [f"DROPBOX_{name.upper()}" for name, value in values.items() if not value]:
            names = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
            msg = f"the storage {self.url} has no login: {names}"
            raise BadSetting(msg)
        api, content = hosts_in(environment)
        self._caller = Caller(Login(**values, api=api, content=content))

    def get(self, path: str) -> bytes:
        """Return the document: one download."""
        for place in places.places(path):
            try:
                return self._read(path, self._at(place))
            except DocumentMissing:
                continue
        raise DocumentMissing(path)

    def put(self, path: str, content: bytes) -> None:
        """Write the document: one upload, which is atomic in a Dropbox."""
        try:
            self._upload(path, content, mode=WriteMode.overwrite)
        except Said as said:
            raise refusal(said.tags, path) from None

    def create(self, path: str, content: bytes) -> None:
        """Write the document on the condition that there is none: one upload."""
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        try:
            self._upload(path, content, mode=WriteMode.add, strict_conflict=True, client_modified=now)
        except Said as said:
            found = self._metadata(path, self._place(path)) if said.doubtful else None
            if not (
                isinstance(found, FileMetadata)
                and (found.content_hash, found.client_modified) == (content_hash(content), now)
            ):
                raise DocumentExists(path) from None

    def move(self, source: str, target: str) -> None:
        """Move the document: one request, if nothing lies at the target."""
        for place in places.places(source):
            try:
                self._move(source, self._at(place), self._place(target))
            except DocumentMissing:
                continue
            return
        raise DocumentMissing(source)

    def delete(self, path: str) -> None:
        """Remove the document: one request for each place where it may lie."""
        for place in places.places(path):
            self._delete(path, self._at(place))

    def exists(self, path: str) -> bool:
        """Say whether a document lies there: one request, if it lies where we write it."""
        found = (self._metadata(path, self._at(place)) for place in places.places(path))
        return any(isinstance(each, FileMetadata) for each in found)

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what lies in the folder: one request for each page, when its first document is asked for."""
        wanted = places.listing(folder)
        place = self._at(wanted.place)
        above = place.count("/")
        seen: set[str] = set()
        for each in self._listed(folder, place, recursive=wanted.recursive):
            found = "/".join((*each.path_lower.split("/")[above + 1 : -1], each.name))
            # A document that is changed meanwhile may come twice, and so may one that lies at two of its places.
            entry = _entry(folder, wanted, found, each)
            if entry is not None and entry.name not in seen:
                seen.add(entry.name)
                yield entry

    def _listed(self, folder: str, place: str, *, recursive: bool) -> Iterator[Any]:
        """Yield what a listing gives; Dropbox may want it begun anew."""
        cursor = None
        for _ in range(TRIES):
            try:
                while True:
                    page = self._page(folder, place, cursor, recursive=recursive)
                    # The folder itself is in a recursive listing of it.
                    yield from (
                        each
                        for each in page.entries
                        if not isinstance(each, DeletedMetadata) and each.path_lower.count("/") > place.count("/")
                    )
                    if not page.has_more:
                        return
                    cursor = page.cursor
            except Said as said:
                if said.tags[-1:] in (("not_found",), ("not_folder",)):
                    return
                if said.tags != ("reset",):
                    raise refusal(said.tags, folder) from None
                cursor = None
        raise StorageUnavailable(f"Dropbox does not list {folder} to its end")

    def _page(self, folder: str, place: str, cursor: str | None, *, recursive: bool) -> Any:
        if cursor is None:
            return self._caller.ask(
                folder, lambda client: client.files_list_folder(place, recursive=recursive, limit=PAGE)
            )
        return self._caller.ask(folder, lambda client: client.files_list_folder_continue(cursor))

    def _move(self, path: str, origin: str, goal: str) -> None:
        doubtful = False
        for _ in range(TRIES):
            try:
                self._caller.ask(path, lambda client: client.files_move_v2(origin, goal))
            except Said as said:
                doubtful = doubtful or said.doubtful
                if said.tags[:2] == ("to", "conflict"):
                    gone = not self._make_room(path, origin, goal)
                else:
                    gone = said.tags == ("from_lookup", "not_found")
                    if not gone:
                        raise refusal(said.tags, path) from None
                if gone:
                    if doubtful and isinstance(self._metadata(path, goal), FileMetadata):
                        return
                    raise DocumentMissing(path) from None
            else:
                return
        raise StorageUnavailable(f"{path} is being written by others all the time")

    def _make_room(self, path: str, origin: str, goal: str) -> bool:
        """Delete what lies at the target of a move; False if there is nothing (any more) to be moved."""
        # In this order: what was at the target while the document was still at its source is not the document.
        found = self._metadata(path, goal)
        if self._metadata(path, origin) is None:
            return False
        if isinstance(found, FolderMetadata):
            raise refusal(("to", "conflict", "folder"), path)
        if isinstance(found, FileMetadata):
            self._delete(path, goal, only=found.rev)
        return True

    def _delete(self, path: str, place: str, *, only: str | None = None) -> None:
        """Delete a file; with a revision, only that, and no complaint if it is another one by now."""
        try:
            self._caller.ask(path, lambda client: client.files_delete_v2(place, parent_rev=only))
        except Said as said:
            if said.tags != ("path_lookup", "not_found") and not (only and "conflict" in said.tags):
                raise refusal(said.tags, path) from None

    def _metadata(self, path: str, place: str) -> Metadata | None:
        try:
            return self._caller.ask(path, lambda client: client.files_get_metadata(place))
        except Said as said:
            if said.tags == ("path", "not_found"):
                return None
            raise refusal(said.tags, path) from None

    def _upload(self, path: str, content: bytes, **commit: Any) -> None:
        """Write the document.

        Raises:
            Said: a file lies there, and it was not to be replaced.
        """
        # Without a word to the people who have the folder on their machines: these files are no news.
        commit |= {"path": self._place(path), "mute": True}
        try:
            if len(content) <= MAX_AT_ONCE:
                self._caller.ask(path, lambda client: client.files_upload(content, **commit))
            else:
                self._upload_in_parts(path, content, CommitInfo(**commit))
        except Said as said:
            if "conflict" in said.tags and said.tags[-1] == "file":
                raise
            raise refusal(said.tags, path, len(content)) from None

    def _upload_in_parts(self, path: str, content: bytes, commit: CommitInfo) -> None:
        doubtful = False
        for _ in range(TRIES):
            try:
                session = self._caller.ask(path, lambda client: client.files_upload_session_start(content[:PART]))
                cursor = UploadSessionCursor(session.session_id, PART)
                while len(content) - cursor.offset > PART:
                    self._append(path, cursor, content[cursor.offset : cursor.offset + PART])
                    cursor.offset += PART
                last = content[cursor.offset :]
                self._caller.ask(
                    path,
                    lambda client: client.files_upload_session_finish(last, cursor, commit),  # noqa: B023 - called at once
                )
            except Said as said:
                doubtful = doubtful or said.doubtful
                # Also where only the answer to the last request was lost: the file is written once more, or is ours.
                if said.tags[0] not in _LOST_SESSION:
                    raise Said(said.tags, doubtful=doubtful) from None
            else:
                return
        raise StorageUnavailable(f"Dropbox does not take {path} in parts")

    def _append(self, path: str, cursor: UploadSessionCursor, part: bytes) -> None:
        try:
            self._caller.ask(path, lambda client: client.files_upload_session_append_v2(part, cursor))
        except Said as said:
            # Its first try was done and its answer lost: Dropbox expects what follows.
            if not (said.doubtful and said.tags[0] == "incorrect_offset"):
                raise

    def _read(self, path: str, place: str) -> bytes:
        try:
            return self._caller.ask(path, lambda client: _download(client, place))
        except Said as said:
            raise refusal(said.tags, path) from None

    def _place(self, path: str) -> str:
        return self._at(places.places(path)[0])

    def _at(self, place: str) -> str:
        return f"{self._root}/{place}"


def _download(client: Dropbox, place: str) -> bytes:
    found, response = client.files_download(place)
    with response:
        content: bytes = response.content
    if content_hash(content) != found.content_hash:
        raise ContentDecodingError  # broken on its way: it is asked for again
    return content


def _entry(folder: str, wanted: places.Listing, found: str, each: Any) -> Entry | None:
    """Return what is found somewhere below a folder as it lies in it."""
    regular = isinstance(each, FileMetadata)
    size, modified_at = (each.size, each.server_modified.replace(tzinfo=UTC)) if regular else (0, datetime.now(UTC))
    if not places.holds_documents(folder):
        return Entry(each.name, size, modified_at, regular=regular)
    name = places.name_in(folder, found) if regular else None
    if name is not None:
        return Entry(name, size, modified_at)
    if wanted.recursive and not regular:
        return None  # the folder of a user
    # By a name that no document has, so that one of the same name is not taken for this.
    return Entry(f"{found} (in {wanted.place})", size, modified_at, regular=False)


def _root(url: str) -> str:
    parts = urlsplit(url)
    root = unquote(parts.path).rstrip("/") or ROOT
    if parts.netloc or "?" in url or "#" in url or "//" in root or not root.startswith("/"):
        msg = (
            f"the storage {redact_url(url)} names no folder; write dropbox:///Backend_files, and put app key,"
            " app secret and refresh token into DROPBOX_APP_KEY, DROPBOX_APP_SECRET and DROPBOX_REFRESH_TOKEN,"
            " or into a block"
        )
        raise BadSetting(msg)
    return root
