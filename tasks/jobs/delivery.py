"""Brings the result of a job to where front ends look, whoever computed it."""

import contextlib
import hashlib

from models.errors import DocumentExists, DocumentMissing, StagedResultLost, StorageUnavailable
from models.facts import Completed, Executed, Uploaded
from storage import failpoints, layout
from storage.providers.protocol import StorageProvider
from tasks.jobs.attempt import Hold


def deliver(held: Hold, result: bytes) -> Uploaded:
    """Write the result of a job that has EXECUTED, signed where its backend signs, and record that the job is DONE.

    Raises:
        StaleAttempt: the attempt is over.
        StorageError: the storage did not take it.
        KeyUnusable: the backend signs, and cannot.
    """
    content, kid = held.services.signers.of(held.job.storage).sealed_text(held.job.backend, result)
    return write_result(held, content, kid)


def write_result(held: Hold, content: bytes, kid: str | None) -> Uploaded:
    """Write, read back and record, while nobody else may touch the documents of the job; else as `deliver`."""
    storage = held.storage
    sha256 = _sha256(content)
    path = layout.result(held.job.backend, held.job.job_id)
    with held.services.relay.exclusive(held.job.job_id):
        # A worker that is frozen anywhere in here, past its lease and the lock, must not write over what is accepted
        # meanwhile. `executed` has said what result that will be, and whoever goes on with the job writes the same
        # bytes: so the first one to write creates, and whoever comes later finds what it wanted to write.
        held.check_now()
        with contextlib.suppress(DocumentExists):
            storage.create(path, content)
        read_back = _hash_of(storage, path)
        if read_back != sha256:
            # Left by an attempt whose key was replaced since, or whose result was lost and computed again.
            held.check_now()
            storage.put(path, content)
            read_back = _hash_of(storage, path)
        if read_back != sha256:
            msg = "the result could not be read back as it was written"
            raise StorageUnavailable(msg)
        failpoints.point("upload.written")
        uploaded = Uploaded(path=path, bytes=len(content), sha256=read_back, kid=kid)
        held.record_now(uploaded, Completed())
    return uploaded


def staged_result(held: Hold, executed: Executed) -> bytes:
    """Return the result that an earlier attempt staged.

    Raises:
        StagedResultLost: it is not there any more, or not as it was.
    """
    try:
        result = held.storage.get(executed.staged)
    except DocumentMissing:
        result = b""
    if _sha256(result) != executed.result_sha256:
        raise StagedResultLost
    return result


def _hash_of(storage: StorageProvider, path: str) -> str:
    try:
        return _sha256(storage.get(path))
    except DocumentMissing:
        return ""  # taken away in this moment


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
