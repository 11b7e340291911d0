"""`quledger verify-archive`: checks an archive of jobs without any database or storage."""

import json
from pathlib import Path

from deployments.cli.output import Json, print_output
from models.errors import InputError, KeyUnusable, NotAuthentic, UnreadableFile, printable
from models.keys import Jwk
from models.words import count_of
from storage.archives.checking import Checked, check
from storage.archives.container import reading

MAX_KEY = 100_000


def verify_archive(file: Path, *, key: Path | None = None, as_json: Json = False) -> int:
    """Check an archive of jobs by itself: every byte, the chain of each history, each hash, each signature.

    It needs no database, no storage and no network. The exit code is 3 where something is wrong.
    Example: `quledger verify-archive jobs.zip --key lab.json`.

    Args:
        file: The archive, from `quledger export --archive`.
        key: The laboratory's public key (`quledger keys show KID`) in a file: the archive has to be signed with it.
    """
    trusted = None if key is None else _key_in(key)
    try:
        with reading(file) as archive:
            found = check(archive, trusted)
    except NotAuthentic as error:
        found = Checked([str(error)], 0, None, "", [])
    value = found._asdict() | {"trusted": trusted is not None and not found.faults}
    print_output(value, lambda: _show(found, is_trusted=trusted is not None), as_json=as_json)
    return 3 if found.faults else 0


def _show(found: Checked, *, is_trusted: bool) -> None:
    for fault in found.faults:
        print(printable(fault, 1000))
    if found.faults:
        print(f"{count_of(len(found.faults), 'fault')}: the archive is not what was written")
        return
    print(f"{count_of(found.jobs, 'job')}: every byte is as it was written, each history and result agree")
    for job_id in found.withdrawn:
        print(f"note: the result of {job_id} stands on a calibration that was withdrawn")
    if found.kid is None:
        print("note: it is not signed: whoever makes all of it anew can write what he likes")
    elif is_trusted:
        print(f"signed with the key {found.kid}, which is trusted")
    else:
        print(f"signed with the key {found.kid}; compare its thumbprint with the laboratory's: {found.thumbprint}")


def _key_in(path: Path) -> Jwk:
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(MAX_KEY))
        return Jwk.read(value, private=False)
    except OSError as error:
        raise UnreadableFile(str(path), error.strerror or "unknown reason") from None
    except (ValueError, RecursionError):
        raise InputError("--key: the file holds no JSON Web Key") from None
    except KeyUnusable as error:
        raise InputError(f"--key: {error}") from None
