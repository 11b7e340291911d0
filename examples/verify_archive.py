"""Checks an archive of `quledger export --archive` with the standard library and `cryptography`: FILE [KEY.json]."""

import base64
import json
import sys
import zipfile
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def signed_by(key: dict, document: dict) -> dict:
    head = json.dumps(document["header"], ensure_ascii=False, separators=(",", ":")).encode()
    message = b".".join(base64.urlsafe_b64encode(each) for each in (head, json.dumps(document["payload"]).encode()))
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"]))
    public.verify(base64.urlsafe_b64decode(document["signature"]), message)
    return document["payload"]


def claims(path: str, trusted: str = ""):  # noqa: ANN201 - pairs: what is wrong unless this is so
    covered = ("job_id", "seq", "attempt", "data", "recorded_at", "actor", "flow_run_id", "prev_hash")
    archive = zipfile.ZipFile(path)
    yield "a member is compressed", all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    members = {info.filename: archive.read(info) for info in archive.infolist()}
    manifest = json.loads(text := members.pop("manifest.json"))
    yield "the manifest", members.pop("manifest.sha256").decode() == sha256(text).hexdigest() + "\n"
    key = json.loads(members["keys/" + manifest["header"]["kid"]]) if "signature" in manifest else {}
    manifest = signed_by(key, manifest) if key else manifest
    yield "it is not signed with the trusted key", not trusted or json.load(open(trusted))["x"] == key.get("x")  # noqa: SIM115 - a script
    found = {name: {"sha256": sha256(each).hexdigest(), "bytes": len(each)} for name, each in members.items()}
    yield "the members are not what the manifest says", found == manifest["members"]
    for job_id, job in manifest["jobs"].items():
        last, facts = "0" * 64, {}
        for seq, event in enumerate(json.loads(members[f"jobs/{job_id}/history"])):
            yield f"the order of {job_id}", (event["job_id"], event["seq"], event["prev_hash"]) == (job_id, seq, last)
            last = sha256(json.dumps([event[name] for name in covered], separators=(",", ":")).encode()).hexdigest()
            facts[event["kind"]] = fact = json.loads(event["data"])
            yield f"event {seq} of {job_id}", (event["hash"], event["kind"]) == (last, fact["kind"])
        yield f"the end of the history of {job_id}", last == job["last_hash"]
        hashes = {"document": facts.get("replaced", facts["submitted"])["document_sha256"]}
        hashes |= {"program": facts["compiled"]["program_sha256"]} if "compiled" in facts else {}
        brought = facts.get("uploaded") or facts.get("adopted")
        hashes |= {"result": brought["sha256"]} if job["state"] == "DONE" else {}
        for name in hashes.keys() - job["left_out"].keys():
            yield f"the {name} of {job_id}", found[f"jobs/{job_id}/{name}"]["sha256"] == hashes[name]
        if job["kid"] and "result" in hashes.keys() - job["left_out"].keys():
            signed_by(json.loads(members["keys/" + brought["kid"]]), json.loads(members[f"jobs/{job_id}/result"]))
        if job["calibration"] and "calibration" not in job["left_out"]:
            yield "a calibration", found["calibrations/" + job["calibration"]]["sha256"] == job["calibration"]
    print(f"{len(manifest['jobs'])} jobs, and nothing is wrong; {'signed' if key else 'not signed'}")


if len(sys.argv) not in {2, 3}:
    sys.exit(print(__doc__) or 2)
try:
    wrong = next((what for what, is_so in claims(*sys.argv[1:]) if not is_so), "")
except Exception as error:  # noqa: BLE001 - whatever a changed archive does to this program
    wrong = f"{type(error).__name__}: {error}"
sys.exit((print(f"wrong: {wrong}") or 3) if wrong else 0)
