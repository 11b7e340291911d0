"""An archive of jobs proves itself: each byte that is changed is found, by us and by a script without our code."""

import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.archives import MAX_JOBS, MAX_MANIFEST, MAX_MANIFEST_PARTS, MAX_MEMBERS
from models.calibrations import version_of
from models.errors import NotAuthentic
from models.facts import Cancelled, Compiled, Completed, Executed, Uploaded, Validated
from models.results import fault_of_document
from models.submissions import Submission
from storage import layout
from storage.archives.checking import check
from storage.archives.container import reading
from tasks.backends import registry
from tasks.jobs.submission import submit_all
from tasks.services import Services
from tests.finished import run
from tests.program import Program

SCRIPT = Path(__file__).parents[2] / "examples" / "verify_archive.py"
Change = Callable[[str, bytes], bytes | None]

DOCUMENT = {
    "experiment_0": {
        "instructions": [["load", [0], [5]], ["rlx", [0], [1.0]], ["measure", [0], []]],
        "num_wires": 1,
        "shots": 20,
    }
}


def run_here(services: Services, job_id: str) -> None:
    """Run a job in this process as a worker would: its program, its result, its signature."""
    backend = registry.load("singlequdit")
    program = json.dumps(backend.compile(backend.validate(DOCUMENT), 5)).encode("ascii")
    results = list(backend.execute(json.loads(program)))
    document = {"display_name": "singlequdit", "backend_version": "1", "job_id": job_id, "results": results}
    assert fault_of_document(document) is None
    text = json.dumps(document).encode("ascii")
    content, kid = services.signers.of("").sealed_text("singlequdit", text)
    path, version = layout.result("singlequdit", job_id), registry.version("singlequdit")
    services.stores.of("").put(path, content)
    services.calibrations.publish("singlequdit", version)
    run(
        services,
        job_id,
        Validated(experiments=1, shots=20),
        Compiled(program_sha256=hashlib.sha256(program).hexdigest(), program_bytes=len(program), seed=5),
        Executed(
            seconds=0.1,
            cpu_seconds=0.1,
            seed=5,
            versions={"python": "3.11"},
            backend_config_sha256=version.config_sha256,
            calibration_sha256=version.sha256,
            result_sha256=hashlib.sha256(text).hexdigest(),
            result_bytes=len(text),
            staged="staged/x.json",
        ),
        Uploaded(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), kid=kid),
        Completed(),
    )


@pytest.fixture(params=[True, False], ids=["signed", "unsigned"])
def program(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Program:
    """A laboratory with a job that is DONE and one that was cancelled; it signs or does not."""
    program = Program(tmp_path / "home", capsys)
    if request.param:
        program.said("keys", "new", "--kid", "lab-1")
        monkeypatch.setenv("QULEDGER_SIGN", "true")
    with program.services() as services:
        for job_id in ("done", "cancelled"):
            raw = json.dumps(DOCUMENT).encode()
            submit_all(services, [Submission(backend="singlequdit", document=raw, job_id=job_id)])
        services.log.append(services.log.get("cancelled"), Cancelled(), attempt=0, actor="op")
        run_here(services, "done")
    return program


def script(path: Path, *more: str) -> tuple[int, str]:
    """Run the script that knows nothing of us; return its code and what it printed."""
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, str(path), *more], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


def rewritten(path: Path, change: Change) -> bytes:
    """Return the archive with members changed, as a zip that is in order."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            if (content := change(info.filename, old.read(info))) is not None:
                again = zipfile.ZipInfo(info.filename)
                again.create_system, again.external_attr = 3, 0o600 << 16
                new.writestr(again, content)
    return made.getvalue()


@pytest.mark.slow
def test_an_archive_proves_itself_without_the_laboratory(program: Program, tmp_path: Path):
    """Home and storage may be gone; a foreign key is not the laboratory's; each changed byte is found."""
    file, is_signed = tmp_path / "jobs.zip", bool(program.json("keys", "show"))
    said = program.json("export", "done", "cancelled", "--archive", str(file))
    assert (said["archive"]["jobs"], said["left_out"]) == (2, [])
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    one = ["jobs/done/history", "jobs/done/document", "jobs/done/program", "jobs/done/result"]
    assert set(one) <= set(names)
    assert len(names) == 9 + is_signed
    assert ("keys/lab-1" in names) is is_signed
    found = program.json("verify-archive", str(file))
    assert (found["faults"], found["jobs"], found["kid"]) == ([], 2, "lab-1" if is_signed else None)
    code, out = script(file)
    assert len(SCRIPT.read_text().splitlines()) <= 60
    assert (code, out) == (0, f"2 jobs, and nothing is wrong; {'signed' if is_signed else 'not signed'}\n")
    if is_signed:
        assert program.json("keys", "show")[0]["thumbprint"] == found["thumbprint"]
        assert f"\n  thumbprint {found['thumbprint']}\n" in program.said("keys", "show")
        key = tmp_path / "lab.json"
        key.write_text(program.said("keys", "show", "lab-1"))
        assert program.json("verify-archive", str(file), "--key", str(key))["trusted"]
        assert script(file, str(key))[0] == 0
        other = json.loads(key.read_text()) | {"x": "A" * 43 + "="}
        key.write_text(json.dumps(other))
        assert "not the one that is trusted" in program("verify-archive", str(file), "--key", str(key))[1]
        assert script(file, str(key))[0] == 3

    whole = file.read_bytes()
    changed = tmp_path / "changed.zip"
    for name in names:
        changed.write_bytes(rewritten(file, flipping(name)))
        assert is_found(changed), name
        changed.write_bytes(rewritten(file, dropping(name)))
        assert is_found(changed), name
    # Headers, directory and contents alike.
    for place in {*range(0, len(whole), max(1, len(whole) // 300)), len(whole) - 1}:
        changed.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert is_found(changed), place
    for more in (whole + b"\0", whole[:-1], b"\0" + whole, b""):
        changed.write_bytes(more)
        assert is_found(changed)


def is_found(path: Path) -> bool:
    """Return whether anything is found to be wrong with an archive."""
    try:
        with reading(path) as archive:
            return bool(check(archive).faults)
    except NotAuthentic:
        return True


def flipping(name: str) -> Change:
    """Change one bit in the middle of a member."""

    def change(each: str, content: bytes) -> bytes:
        middle = len(content) // 2
        return content if each != name else content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]

    return change


def dropping(name: str) -> Change:
    """Leave a member out."""
    return lambda each, content: None if each == name else content


@pytest.mark.slow
def test_the_script_finds_what_was_changed_in_each_member(program: Program, tmp_path: Path):
    """Of the members that it reads, which are all of them."""
    file, changed = tmp_path / "jobs.zip", tmp_path / "changed.zip"
    program.json("export", "done", "--archive", str(file))
    for name in ("jobs/done/history", "jobs/done/result", "manifest.json", "manifest.sha256"):
        changed.write_bytes(rewritten(file, flipping(name)))
        code, out = script(changed)
        assert (code, out[:6]) == (3, "wrong:"), name


@pytest.mark.slow
def test_a_forger_who_makes_all_hashes_anew_meets_the_chain(program: Program, tmp_path: Path):
    """A result that is put in with a new manifest is not the one of the history."""
    file, changed = tmp_path / "jobs.zip", tmp_path / "changed.zip"
    program.json("export", "done", "--archive", str(file))
    with zipfile.ZipFile(file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        result = archive.read("jobs/done/result")
    manifest = manifest.get("payload", manifest)
    forged = re.sub(rb'"shots": 20', b'"shots": 21', result, count=1)
    assert forged != result
    manifest["members"]["jobs/done/result"] = {"sha256": hashlib.sha256(forged).hexdigest(), "bytes": len(forged)}
    text = json.dumps(manifest).encode()
    new = {
        "jobs/done/result": forged,
        "manifest.json": text,
        "manifest.sha256": hashlib.sha256(text).hexdigest().encode() + b"\n",
    }
    changed.write_bytes(rewritten(file, new.get))
    code, out, _ = program("verify-archive", str(changed))
    assert code == 3
    assert "accepted" in out or "belongs to nothing" in out
    assert script(changed)[0] == 3


def sealed(manifest: bytes) -> bytes:
    """Return a zip whose manifest has the hash that it should have."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("manifest.json", manifest)
        file.writestr("manifest.sha256", hashlib.sha256(manifest).hexdigest() + "\n")
    return made.getvalue()


def zipped(**options: object) -> bytes:
    """Return a zip with one member, which is no archive of ours."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", **options) as file:  # type: ignore[arg-type]
        file.writestr("manifest.json", b"[" * 1_000_000)
    return made.getvalue()


def hostile() -> dict[str, bytes]:
    """Return files that somebody may send."""
    names = io.BytesIO()
    with zipfile.ZipFile(names, "w") as file:
        for name in ("../../etc/passwd", "manifest.json"):
            file.writestr(name, b"{}")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**31, 0, 0)
    entry = b"PK\x01\x02" + struct.pack("<4B4HL2L5H2L", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, *[0] * 6) + b"a"
    more = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 100 * len(entry), 0, 0)
    return {
        "more members than it says": entry * 100 + more,
        "a bomb": zipped(compression=zipfile.ZIP_DEFLATED),
        "nested": zipped(),
        "a path": names.getvalue(),
        "a huge directory": end,
        "no zip": b"PK" * 100,
        "nothing": b"",
    }


@pytest.mark.parametrize("which", hostile())
def test_a_hostile_archive_is_refused(which: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With one sentence and code 3; nothing is unpacked."""
    path = tmp_path / "sent.zip"
    path.write_bytes(hostile()[which])
    code, out, err = Program(tmp_path / "home", capsys)("verify-archive", str(path))
    assert (code, err) == (3, "")
    assert "Traceback" not in out
    assert {each.name for each in tmp_path.iterdir()} == {"sent.zip"}


def test_a_manifest_of_many_parts_is_not_read(tmp_path: Path):
    """Two bytes of it would take a hundred as objects; one with the most jobs and members has fewer parts."""
    path = tmp_path / "sent.zip"
    path.write_bytes(sealed(b'{"jobs":[' + b"[]," * 1_000_000 + b"[]]}"))
    tracemalloc.start()
    with reading(path) as archive:
        (fault,) = check(archive).faults
    assert "more in it than the largest archive needs" in fault
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()
    member = f'"jobs/{"j" * 60}/document":{{"bytes":1,"sha256":"{"0" * 64}"}},'
    job = f'"{"j" * 60}":{{"backend":"b","calibration":"","kid":"k","last_hash":"{"0" * 64}","left_out":{{"a":"b"}},'
    largest = member * MAX_MEMBERS + (job + '"state":"DONE","withdrawn":""},') * MAX_JOBS
    assert len(largest) < MAX_MANIFEST
    assert sum(map(largest.count, "{[,")) < MAX_MANIFEST_PARTS


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A pipe that nobody writes into, a device without an end, a folder."""
    os.mkfifo(tmp_path / "pipe.zip")
    for path in (str(tmp_path / "pipe.zip"), "/dev/zero", str(tmp_path)):
        code, _, err = Program(tmp_path / "home", capsys)("verify-archive", path)
        assert code == 2
        assert "cannot be read" in err


@pytest.mark.slow
def test_an_export_is_whole_or_not_there(program: Program, tmp_path: Path):
    """A result that is not the accepted one is not exported; a file is not written over."""
    file = tmp_path / "jobs.zip"
    with program.services() as services:
        services.stores.of("").put(layout.result("singlequdit", "done"), b"{}")
    code, _, err = program("export", "done", "--archive", str(file))
    assert (code, "not the one that was accepted" in err) == (3, True)
    assert [each.name for each in tmp_path.iterdir()] == ["home"]
    assert "none is as the options say" in program.refused("export", "--group", "nosuch", "--archive", str(file))
    assert not file.exists()
    file.write_text("mine")
    assert "is there already" in program.refused("export", "cancelled", "--archive", str(file))
    assert file.read_text() == "mine"
    assert "say what is to be written" in program.refused("export", "done")
    assert "not both" in program.refused("export", "done", "--archive", str(tmp_path / "x"), "--backend", "rydberg")
    assert "cannot be read" in program.refused("verify-archive", str(tmp_path / "nosuch.zip"))


def test_a_withdrawn_calibration_is_told(program: Program, tmp_path: Path):
    """Whoever gets the archive is told that the result is not to be relied on."""
    version = registry.version("singlequdit")
    assert version == version_of(registry.load("singlequdit").config, None)
    program.said("backends", "withdraw", version.sha256, "--reason", "laser off")
    program.said("export", "done", "--archive", str(tmp_path / "jobs.zip"), "--no-programs")
    assert "stands on a calibration that was withdrawn" in program.said("verify-archive", str(tmp_path / "jobs.zip"))
