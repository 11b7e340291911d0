"""Checks an archive of `quledger export --archive` with the standard library and `cryptography`: FILE [KEY.json]."""

import base64
import hashlib
import json
import sys
import zipfile
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def expect(is_so: bool, what: str) -> None:
    if not is_so:
        print(f"wrong: {what}")
        sys.exit(3)


def signed_by(key: dict[str, str], document: dict[str, Any]) -> Any:
    """Return what a key has signed: JSON as Python writes it, in padded base64url; else raise."""
    head = json.dumps(document["header"], ensure_ascii=False, separators=(",", ":")).encode()
    parts = (base64.urlsafe_b64encode(text) for text in (head, json.dumps(document["payload"]).encode()))
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"]))
    public.verify(base64.urlsafe_b64decode(document["signature"]), b".".join(parts))
    return document["payload"]


def check_history(job_id: str, events: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """Return the hash of the last event, and the last fact of each kind; each hash covers the one before."""
    last, facts = "0" * 64, {}
    for seq, event in enumerate(events):
        names = ("job_id", "seq", "attempt", "data", "recorded_at", "actor", "flow_run_id", "prev_hash")
        seal = sha256(json.dumps([event[name] for name in names], separators=(",", ":")).encode())
        expect((event["job_id"], event["seq"], event["prev_hash"]) == (job_id, seq, last), f"order of {job_id}")
        facts[event["kind"]] = fact = json.loads(event["data"])
        expect(event["hash"] == seal and fact["kind"] == event["kind"], f"event {seq} of {job_id}")
        last = seal
    return last, facts


def main(path: str, trusted: str = "") -> None:
    archive = zipfile.ZipFile(path)
    expect(all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist()), "a member is compressed")
    members = {info.filename: archive.read(info) for info in archive.infolist()}
    text = members.pop("manifest.json")
    expect(members.pop("manifest.sha256").decode() == sha256(text) + "\n", "the manifest")
    manifest = json.loads(text)
    if is_signed := "signature" in manifest:
        key = json.loads(members["keys/" + manifest["header"]["kid"]])
        manifest = signed_by(key, manifest)
    if trusted:
        with open(trusted) as file:
            expect(is_signed and json.load(file)["x"] == key["x"], "the manifest is not signed with the trusted key")
    found = {name: {"sha256": sha256(content), "bytes": len(content)} for name, content in members.items()}
    expect(found == manifest["members"], "the members are not what the manifest says")
    for job_id, job in manifest["jobs"].items():
        last, facts = check_history(job_id, json.loads(members[f"jobs/{job_id}/history"]))
        expect(last == job["last_hash"], f"the end of the history of {job_id}")
        expected = {"document": facts.get("replaced", facts["submitted"])["document_sha256"]}
        expected |= {"program": facts["compiled"]["program_sha256"]} if "compiled" in facts else {}
        brought = facts.get("uploaded") or facts.get("adopted")
        expected |= {"result": brought["sha256"]} if job["state"] == "DONE" else {}
        for name in expected.keys() - job["left_out"].keys():
            expect(sha256(members[f"jobs/{job_id}/{name}"]) == expected[name], f"the {name} of {job_id}")
        if job["state"] == "DONE" and job["kid"] and "result" not in job["left_out"]:
            signed_by(json.loads(members["keys/" + brought["kid"]]), json.loads(members[f"jobs/{job_id}/result"]))
        if job["calibration"] and "calibration" not in job["left_out"]:
            expect(sha256(members["calibrations/" + job["calibration"]]) == job["calibration"], "a calibration")
    print(f"{len(manifest['jobs'])} jobs, and nothing is wrong; {'signed' if is_signed else 'not signed'}")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        print("verify_archive.py FILE [KEY.json]")
        sys.exit(2)
    try:
        main(*sys.argv[1:])
    except Exception as error:  # noqa: BLE001 - whatever a changed archive does to this program
        expect(False, f"{type(error).__name__}: {error}")
