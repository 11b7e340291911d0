"""An archive checked by itself: every byte of it, the chain of each history, each hash, each signature.

What it cannot say is whether the laboratory has made it: for that its key has to be known from elsewhere.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ValidationError

from models.archives import (
    MANIFEST,
    MANIFEST_HASH,
    MAX_MANIFEST,
    MAX_MANIFEST_PARTS,
    MAX_RESULT,
    MAX_TEXT,
    ArchivedJob,
    Manifest,
    expected_names,
    member_of,
    of_calibration,
    of_job,
    of_key,
    thumbprint,
)
from models.audit import CheckedHistory, check_history
from models.errors import KeyUnusable, NotAuthentic, echo
from models.events import document_of, uploaded_at
from models.facts import Compiled
from models.job import Job
from models.keys import Jwk, is_kid
from models.signing import is_signed, taken_apart
from storage.archives.container import Reader
from storage.signatures.signing import fits

MAX_KEY = 10_000


class Checked(NamedTuple):
    """What was found of an archive.

    Attributes:
        faults: each a sentence; none if all of it is true.
        jobs: how many it holds.
        kid: of the key that signed the manifest; None where none did.
        thumbprint: of that key.
        withdrawn: jobs whose results stand on a calibration that was withdrawn when the archive was made.
    """

    faults: list[str]
    jobs: int
    kid: str | None
    thumbprint: str
    withdrawn: list[str]


def check(archive: Reader, trusted: Jwk | None = None) -> Checked:
    """Check an archive.

    Args:
        trusted: the laboratory's key, from elsewhere: the manifest has to be signed with it.
    """
    checking = _Checking(archive)
    try:
        manifest, kid = checking.manifest()
    except NotAuthentic as error:
        return Checked([str(error)], 0, None, "", [])
    faults = [*checking.members(manifest, kid)]
    key = None
    if not faults:
        key = checking.key(kid) if kid else None
        faults += checking.signature_of_manifest(key, trusted)
        for job_id, job in manifest.jobs.items():
            faults += [f"job {job_id}: {fault}" for fault in checking.job(job_id, job)]
    withdrawn = [job_id for job_id, job in manifest.jobs.items() if job.withdrawn]
    return Checked(faults, len(manifest.jobs), kid, thumbprint(key) if key else "", withdrawn)


class _Checking:
    def __init__(self, archive: Reader) -> None:
        self._archive = archive
        self._keys: dict[str, Jwk | None] = {}

    def manifest(self) -> tuple[Manifest, str | None]:
        """Return the manifest, and the id of the key that claims to have signed it.

        Raises:
            NotAuthentic: there is none, or it is not what was written.
        """
        if not {MANIFEST, MANIFEST_HASH} <= set(self._archive.names):
            raise NotAuthentic("it has no manifest")
        self._content = self._archive.get(MANIFEST, MAX_MANIFEST)
        if self._archive.get(MANIFEST_HASH, 100).decode("ascii", "replace") != member_of(self._content).sha256 + "\n":
            raise NotAuthentic("its manifest is not what was written")
        # As objects, two bytes may take a hundred.
        if sum(map(self._content.count, (b"{", b"[", b","))) > MAX_MANIFEST_PARTS:
            raise NotAuthentic("its manifest has more in it than the largest archive needs")
        self._document = _parsed(self._content, MANIFEST)
        kid = taken_apart(self._document).kid if is_signed(self._document) else None
        if kid is not None and not is_kid(kid):
            raise NotAuthentic("its manifest is signed with a key that can have no such id")
        try:
            said = self._document["payload"] if kid else self._document
            return Manifest.model_validate(said), kid
        except ValidationError as error:
            wrong = ", ".join(".".join(map(str, each["loc"])) or "all" for each in error.errors()[:20])
            raise NotAuthentic(f"its manifest is wrong in {echo(wrong)}") from None

    def members(self, manifest: Manifest, kid: str | None) -> Iterator[str]:
        """Yield what is wrong with the members, whatever they mean."""
        there = set(self._archive.names) - {MANIFEST, MANIFEST_HASH}
        needed = expected_names(manifest, kid)
        yield from (f"{echo(name)} is missing" for name in sorted(needed - there)[:20])
        yield from (f"{echo(name)} belongs to nothing" for name in sorted(there - needed)[:20])
        if set(manifest.members) != there:
            yield "the manifest names other members than there are"
            return
        for name, said in manifest.members.items():
            try:
                if member_of(self._archive.get(name)) != said:
                    yield f"{name} is not what the manifest says"
            except NotAuthentic as error:
                yield str(error)
        try:
            if not self._archive.is_as_written():
                yield "between its members it is not what was written"
        except NotAuthentic as error:
            yield str(error)

    def key(self, kid: str) -> Jwk | None:
        """Return a public key of the archive; None where what lies there is none."""
        if kid not in self._keys:
            try:
                key = Jwk.read(_parsed(self._archive.get(of_key(kid), MAX_KEY), of_key(kid)), private=False)
                self._keys[kid] = key if key.kid == kid else None
            except (KeyUnusable, NotAuthentic, KeyError):
                self._keys[kid] = None
        return self._keys[kid]

    def signature_of_manifest(self, key: Jwk | None, trusted: Jwk | None) -> Iterator[str]:
        if not is_signed(self._document):
            if trusted is not None:
                yield "its manifest is not signed"
            return
        if key is None or not fits(taken_apart(self._document), key):
            yield "the signature of its manifest is not of the key that it names"
        elif trusted is not None and key.x != trusted.x:
            yield f"its manifest is signed with the key {key.kid}, which is not the one that is trusted"

    def job(self, job_id: str, said: ArchivedJob) -> Iterator[str]:
        """Yield what is wrong with a job."""
        try:
            rows = _parsed(self._archive.get(of_job(job_id, "history"), MAX_TEXT), "its history")
        except NotAuthentic as error:
            yield str(error)
            return
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            yield "its history is none"
            return
        history = check_history(job_id, rows)
        if history.job is None or history.fault is not None:
            yield f"its history is not true: {history.fault}"
            return
        yield from self._facts(history.job, said)
        yield from self._contents(job_id, history, history.job, said)

    def _facts(self, job: Job, said: ArchivedJob) -> Iterator[str]:
        told = {
            "state": job.state.value,
            "backend": job.backend,
            "last_hash": job.last_hash,
            "kid": job.uploaded.kid if job.uploaded else None,
            "calibration": job.executed.stands_on if job.executed else "",
        }
        wrong = [name for name, value in told.items() if getattr(said, name) != value]
        if wrong:
            yield f"its history says something else of {', '.join(wrong)} than the manifest"

    def _contents(self, job_id: str, history: CheckedHistory, job: Job, said: ArchivedJob) -> Iterator[str]:
        if "document" not in said.left_out:
            document = self._archive.get(of_job(job_id, "document"))
            if hashlib.sha256(document).hexdigest() != job.document_sha256 or document != document_of(history.events):
                yield "its document is not the one that was handed in"
        if "program" not in said.left_out:
            facts = [event.fact for event in reversed(history.events) if event.kind == "compiled"]
            then = next((fact.program_sha256 for fact in facts if isinstance(fact, Compiled)), "")
            if hashlib.sha256(self._archive.get(of_job(job_id, "program"))).hexdigest() != then:
                yield "its program is not the one that ran"
        if said.calibration and "calibration" not in said.left_out:
            text = self._archive.get(of_calibration(said.calibration))
            if hashlib.sha256(text).hexdigest() != said.calibration:
                yield "the calibration is not what its result stands on"
        if job.state == "DONE" and "result" not in said.left_out:
            yield from self._result(job, history)

    def _result(self, job: Job, history: CheckedHistory) -> Iterator[str]:
        uploaded = job.uploaded
        try:
            content = self._archive.get(of_job(job.job_id, "result"), MAX_RESULT)
            if uploaded is None or hashlib.sha256(content).hexdigest() != uploaded.sha256:
                yield "its result is not the one that was accepted"
                return
            if uploaded.kid is None:
                return
            signed, key = taken_apart(_parsed(content, "its result")), self.key(uploaded.kid)
        except NotAuthentic as error:
            yield f"its result: {error}"
            return
        when = uploaded_at(history.events)
        if key is None or signed.kid != uploaded.kid or not fits(signed, key):
            yield f"its result is not signed with the key {uploaded.kid}"
        elif key.revoked_at is not None and (when is None or when >= key.revoked_at):
            yield f"its result was signed with the key {uploaded.kid} after that was revoked"


def _parsed(content: bytes, what: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise NotAuthentic(f"{what} is no JSON") from None
