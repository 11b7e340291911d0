"""Jobs written into an archive: what is on record of each, and the keys and calibrations that it stands on."""

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from models import clock
from models.archives import (
    MANIFEST,
    MANIFEST_HASH,
    MAX_JOBS,
    ArchivedJob,
    Manifest,
    Member,
    member_of,
    of_calibration,
    of_job,
    of_key,
)
from models.calibrations import UnknownCalibration
from models.errors import InputError, NotAuthentic, ResultMissing
from models.events import Event
from models.facts import Compiled
from models.job import Job, State, fold
from models.keys import Jwk
from models.signing import payload_text
from storage import layout
from storage.archives.container import Writer, writing
from storage.providers.protocol import get_or_none
from storage.signatures.signing import sign_text
from tasks.backends import registry
from tasks.jobs.programs import Wanted, compiled, programs_again
from tasks.services import Services

NOT_KEPT = "it was too large to be kept"

NEVER_COMPILED, NOT_ASKED_FOR = "it was never compiled", "it was not asked for"
"""Why a program is missing that nobody misses."""


def export(services: Services, job_ids: Sequence[str], path: Path, *, with_programs: bool = True) -> Manifest:
    """Write jobs into an archive and return its manifest; else as `export_into`.

    Raises:
        InputError: the file is there already.
        UnreadableFile: it cannot be written.
    """
    if len(job_ids) > MAX_JOBS:
        raise InputError(f"one archive takes at most {MAX_JOBS} jobs; write several")
    with writing(path) as file:
        return export_into(services, job_ids, file, with_programs=with_programs)


def export_into(services: Services, job_ids: Sequence[str], file: Writer, *, with_programs: bool) -> Manifest:
    """Write jobs into an archive and return its manifest; a job that is under way is written as it stands.

    Args:
        with_programs: compile each document again, to have the program in the archive.

    Raises:
        InputError: they are too many or too large.
        ResultMissing: the result of a job that is DONE is not in the storage.
        NotAuthentic: it is not the one that was accepted.
        KeyUnusable: a backend of the jobs signs, and there is no key that can be used.
    """
    return _Export(services, file).all(list(dict.fromkeys(job_ids)), with_programs=with_programs)


class _Export:
    def __init__(self, services: Services, file: Writer) -> None:
        self._services, self._file = services, file
        self._members: dict[str, Member] = {}

    def all(self, job_ids: Sequence[str], *, with_programs: bool) -> Manifest:
        histories = {job_id: self._services.log.history(job_id) for job_id in job_ids}
        jobs = {job_id: job for job_id, events in histories.items() if (job := fold(events)) is not None}
        programs = self._programs(jobs, histories, with_programs=with_programs)
        archived = {job_id: self._job(job, histories[job_id], programs[job_id]) for job_id, job in jobs.items()}
        signing = self._signing_key([*jobs.values()])
        if signing is not None:
            self._key(signing)
        manifest = Manifest(
            made_at=clock.now(),
            made_by=f"quledger {metadata.version('quledger')}",
            jobs=archived,
            members=self._members,
        )
        text = payload_text(manifest.model_dump(mode="json"))
        content = text if signing is None else sign_text(text, signing)
        self._file.add(MANIFEST, content)
        self._file.add(MANIFEST_HASH, f"{member_of(content).sha256}\n".encode("ascii"))
        return manifest

    def _add(self, name: str, content: bytes) -> None:
        if name not in self._members:
            self._file.add(name, content)
            self._members[name] = member_of(content)

    def _job(self, job: Job, events: list[Event], program: bytes | str) -> ArchivedJob:
        left_out: dict[str, str] = {}
        rows = [event.model_dump(mode="json") for event in events]
        self._add(of_job(job.job_id, "history"), json.dumps(rows).encode("ascii"))
        document = self._services.log.document(job.job_id)
        if document is None:
            left_out["document"] = NOT_KEPT
        else:
            self._add(of_job(job.job_id, "document"), document)
        if isinstance(program, str):
            left_out["program"] = program
        else:
            self._add(of_job(job.job_id, "program"), program)
        if job.is_result_removed:
            left_out["result"] = "it was removed, since it was older than results are kept"
        elif job.state is State.DONE:
            self._add(of_job(job.job_id, "result"), self._result(job))
        kid = job.uploaded.kid if job.uploaded else None
        if kid is not None:
            key = self._services.signers.signatures(job.storage).key(kid)
            if key is None:
                raise NotAuthentic(f"the result of job {job.job_id} is signed with the key {kid}, which nobody has")
            self._key(key)
        calibration, withdrawn = self._calibration(job, left_out)
        return ArchivedJob(
            state=job.state.value,
            backend=job.backend,
            last_hash=job.last_hash,
            kid=kid,
            calibration=calibration,
            withdrawn=withdrawn,
            left_out=left_out,
        )

    def _result(self, job: Job) -> bytes:
        storage = self._services.stores.of(job.storage)
        content = get_or_none(storage, layout.result(job.backend, job.job_id))
        if content is None:
            raise ResultMissing(f"the result of job {job.job_id} is not in the storage any more")
        if job.uploaded is None or member_of(content).sha256 != job.uploaded.sha256:
            raise NotAuthentic(f"the result of job {job.job_id} is not the one that was accepted")
        return content

    def _calibration(self, job: Job, left_out: dict[str, str]) -> tuple[str, str]:
        """Return the hash of what the result stands on, and why that was withdrawn."""
        if job.executed is None:
            return "", ""
        sha256 = job.executed.stands_on
        try:
            found = self._services.calibrations.find(sha256).calibration
        except UnknownCalibration:
            left_out["calibration"] = "the ledger does not have it"
            return sha256, ""
        if found.text is None:
            left_out["calibration"] = "its text was not kept"
        else:
            self._add(of_calibration(sha256), found.text.encode())
        return sha256, found.reason

    def _key(self, key: Jwk) -> None:
        self._add(of_key(key.kid), json.dumps(key.document()).encode("ascii"))

    def _signing_key(self, jobs: Sequence[Job]) -> Jwk | None:
        keys = (self._services.keys.key(backend) for backend in dict.fromkeys(job.backend for job in jobs))
        return next((key for key in keys if key is not None), None)

    def _programs(
        self, jobs: dict[str, Job], histories: dict[str, list[Event]], *, with_programs: bool
    ) -> dict[str, bytes | str]:
        """Return the program of each job that still compiles to the one that ran, or why there is none."""
        found: dict[str, bytes | str] = {}
        wanted: dict[str, tuple[Compiled, Wanted]] = {}
        for job_id, job in jobs.items():
            then, document = compiled(histories[job_id]), self._services.log.document(job_id)
            if then is None:
                found[job_id] = NEVER_COMPILED
            elif not with_programs:
                found[job_id] = NOT_ASKED_FOR
            elif document is None:
                found[job_id] = NOT_KEPT
            elif not registry.knows(job.backend) or registry.served_outside(job.backend):
                found[job_id] = "the backend does not compile here"
            else:
                wanted[job_id] = then, Wanted(job.backend, document, then.seed)
        again = programs_again(self._services, [each for _, each in wanted.values()])
        for (job_id, (then, _)), program in zip(wanted.items(), again, strict=True):
            if isinstance(program, str):
                found[job_id] = f"it does not compile any more: {program}"
            else:
                is_same = member_of(program).sha256 == then.program_sha256
                found[job_id] = program if is_same else "the document compiles to another program now"
        return found
