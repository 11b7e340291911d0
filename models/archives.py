"""What an archive of jobs holds: a manifest that names every member by its hash, and for each job what is on record.

    jobs/ID/history     the events as the log holds them, a JSON list; the chain of their hashes is checked
    jobs/ID/document    the job document to the letter, where it was kept
    jobs/ID/program     what it compiles to with the seed on record, where that is still the program that ran
    jobs/ID/result      the accepted result to the letter, signed where the backend signs
    calibrations/HASH   what results stand on
    keys/KID            the public keys with which results and manifest are signed
    manifest.json       this class; signed where a backend of the jobs signs
    manifest.sha256     the hash of that, against a slip

Members are stored, not compressed: a reader unpacks no more than he was given, and the file is the same to the last
byte however it is written again.
"""

import hashlib
import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.clock import UtcDatetime
from models.keys import Jwk, b64url

MANIFEST, MANIFEST_HASH = "manifest.json", "manifest.sha256"

MAX_JOBS = 10_000
MAX_MEMBERS = 5 * MAX_JOBS + 1000
MAX_BYTES = 2**32 - 2**20
"""Of a whole archive; a larger one has another format of zip."""

MAX_MANIFEST, MAX_MANIFEST_PARTS = 32_000_000, 500_000
"""Bytes of a manifest, and how many brackets and commas are in it: more than with the most jobs and members."""

MAX_TEXT = 64_000_000
"""Of a history: as objects it takes many times as much memory."""

MAX_RESULT = 512_000_000

_NAME = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,250}(/[A-Za-z0-9_\-][A-Za-z0-9_.\-]{0,250}){0,2}")


Part = Literal["history", "document", "program", "result"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Frozen):
    """A member of the archive."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class ArchivedJob(_Frozen):
    """A job, as its history in the archive tells it.

    Attributes:
        last_hash: of its last event.
        kid: of the key that signed the result; None where none did.
        calibration: hash of what the result stands on; empty where it has none.
        withdrawn: why that was withdrawn; empty where it was not.
        left_out: what is missing, and why: `document`, `program`, `result` or `calibration`.
    """

    state: str
    backend: str
    last_hash: str
    kid: str | None = None
    calibration: str = ""
    withdrawn: str = ""
    left_out: dict[str, str] = {}


class Manifest(_Frozen):
    """What an archive says of itself."""

    format: Literal["quledger-archive"] = "quledger-archive"
    version: Literal[1] = 1
    made_at: UtcDatetime
    made_by: str
    jobs: dict[str, ArchivedJob] = Field(max_length=MAX_JOBS)
    members: dict[str, Member] = Field(max_length=MAX_MEMBERS)


def is_member_name(name: str) -> bool:
    """Return whether a member may have this name: plain path segments, none of them hidden."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def member_of(content: bytes) -> Member:
    """Return what the manifest says of a member."""
    return Member(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def of_job(job_id: str, what: Part) -> str:
    """Return the name of a member of a job."""
    return f"jobs/{job_id}/{what}"


def of_calibration(sha256: str) -> str:
    """Return the name of the member that holds a calibration."""
    return f"calibrations/{sha256}"


def of_key(kid: str) -> str:
    """Return the name of the member that holds a public key."""
    return f"keys/{kid}"


def expected_names(manifest: Manifest, kid: str | None) -> set[str]:
    """Return the members that have to be there; there are no others.

    Args:
        kid: of the key that signed the manifest.
    """
    needed = {of_key(kid)} if kid else set()
    for job_id, job in manifest.jobs.items():
        needed.add(of_job(job_id, "history"))
        needed |= {of_key(job.kid)} if job.kid else set()
        wanted: list[Part] = ["document", "program"]
        if job.state == "DONE":
            wanted.append("result")
        needed |= {of_job(job_id, what) for what in wanted if what not in job.left_out}
        if job.calibration and "calibration" not in job.left_out:
            needed.add(of_calibration(job.calibration))
    return needed


def thumbprint(key: Jwk) -> str:
    """Return by what people compare a key: its JWK thumbprint (RFC 7638), base64url of SHA-256 without padding."""
    fields: dict[str, Any] = {"crv": key.crv, "kty": key.kty, "x": key.x}
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    return b64url(hashlib.sha256(text.encode()).digest()).rstrip("=")
