"""Somebody who can write the storage, and nothing else, changes what is published: the program finds it and says so."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deployments.cli import app
from models.keys import Keyring
from storage.log.database import open_database
from storage.signatures.signing import new_key, sign
from tasks.services import current, use
from tests.releases.frozen import FrozenHome

# `main` reads the command line itself, which is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


class Said(NamedTuple):
    """How the program ended, and what it printed."""

    code: int
    out: str
    err: str


Quledger = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrozenHome:
    """A laboratory with results of all kinds, some of them signed."""
    home = FrozenHome.of("0.1.0", tmp_path / "frozen")
    url = f"sqlite:///{home.folder / 'quledger.db'}"
    home.fill(url)
    open_database(url).dispose()  # the tables of today
    for name, value in home.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return home


@pytest.fixture
def quledger(home: FrozenHome, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Quledger:
    """Run the program in this process."""

    def run(*arguments: str, **settings: str) -> Said:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["quledger", *arguments])
            for name, value in settings.items():
                patch.setenv(name, value)
            use(None)
            with pytest.raises(SystemExit) as ended:
                app.main()
            if arguments[0] not in ("verify", "config"):
                current().log.engine.dispose()
            use(None)
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        assert "Traceback" not in out + err
        return Said(ended.value.code, out, err)

    return run


def done(home: FrozenHome, *, signed: bool) -> list[dict[str, Any]]:
    """Return what the release said of the jobs that are DONE, of backends that sign or of others."""
    jobs = [each["listed"] for each in home.expected.values()]
    return [job for job in jobs if job["state"] == "DONE" and (job["backend"] in ("singlequdit", "triangle")) is signed]


def result_of(home: FrozenHome, job: dict[str, Any]) -> Path:
    """Return the file of a result."""
    return home.folder / (job["storage"] or "lab") / "results" / job["backend"] / f"{job['job_id']}.json"


@pytest.mark.parametrize("signed", [False, True])
def test_an_altered_result_is_shown_in_no_form(home: FrozenHome, quledger: Quledger, *, signed: bool):
    """Whatever was changed in a result, each form of `quledger result` ends with 3 and a sentence and shows nothing."""
    job = done(home, signed=signed)[0]
    path = result_of(home, job)
    good = path.read_bytes()
    document = json.loads(good)
    inner = document["payload"] if signed else document
    memory = inner["results"][0]["data"]["memory"]
    forms: tuple[tuple[str, ...], ...] = ((), ("--json",), ("--csv",))
    for form in forms:
        assert quledger("result", job["job_id"], *form).code == 0
    altered = {
        "counts": json.dumps(document).replace(json.dumps(memory), json.dumps([*memory[::-1][:-1], "1"])).encode(),
        "a blank": good + b" ",
        "cut": good[:-1],
        "empty": b"",
        "null": b"null",
        "unsigned" if signed else "wrapped": json.dumps(
            inner if signed else {"header": {}, "payload": document, "signature": ""}
        ).encode(),
        "of another job": next(result_of(home, each) for each in done(home, signed=signed) if each != job).read_bytes(),
    }
    for what, content in altered.items():
        assert content != good, what
        path.write_bytes(content)
        for form in forms if what == "counts" else forms[1:2]:
            code, out, err = quledger("result", job["job_id"], *form)
            assert (code, out) == (3, ""), what
            sentence = json.loads(err)["message"] if form == ("--json",) else err
            assert f"the result of job {job['job_id']} is not to be trusted: " in sentence
    path.write_bytes(good)
    assert quledger("result", job["job_id"], "--json").code == 0
    path.unlink()
    assert quledger("result", job["job_id"]).code == 1


def test_a_configuration_is_not_made_an_unsigned_one(home: FrozenHome, quledger: Quledger):
    """A signed configuration that is replaced by one that says that the backend does not sign is a difference."""
    assert quledger("verify").code == 0
    path = home.folder / "lab" / "backends" / "configs" / "singlequdit.json"
    config = json.loads(path.read_bytes())["payload"] | {
        "sign": False,
        "kid": None,
        "description": "send them elsewhere",
    }
    path.write_text(json.dumps(config))
    code, out, _ = quledger("verify")
    assert code == 3
    assert "- signature: backends/configs/singlequdit.json: it is not signed, and QULEDGER_SIGN says" in out
    # Without the setting nothing asks for a signature, and that is said.
    code, out, _ = quledger("verify", QULEDGER_SIGN="false")
    assert code == 0
    assert "note: QULEDGER_SIGN says that no backend signs" in out


def test_a_key_beside_the_laboratorys_signs_nothing(home: FrozenHome, quledger: Quledger):
    """A configuration signed with a key of the intruder's, published like the laboratory's, is two differences."""
    rogue = new_key("20261126-00000000")
    store = home.folder / "far"
    path = store / "backends" / "configs" / "singlequdit.json"
    config = json.loads(path.read_bytes())["payload"] | {"kid": rogue.kid, "description": "send them elsewhere"}
    path.write_bytes(sign(config, rogue))
    (store / "backends" / "public_keys" / f"{rogue.kid}.json").write_text(json.dumps(rogue.document()))
    findings = json.loads(quledger("verify", "--json").out)["findings"]
    assert [each["what"] for each in findings] == ["signature", "signature"]
    assert "which is none of this laboratory" in findings[0]["message"]
    assert "is a key that this laboratory has never had" in findings[1]["message"]
    states = {each["kid"]: each["state"] for each in json.loads(quledger("keys", "show", "--json").out)}
    assert states.pop(rogue.kid) == "published"
    assert sorted(states.values()) == ["retired", "revoked", "signs", "signs"]
    # Whoever revokes it remembers it: published as good again, it is a difference again.
    assert quledger("keys", "revoke", rogue.kid, "--reason", "an intruder's").code == 0
    (store / "backends" / "public_keys" / f"{rogue.kid}.json").write_text(json.dumps(rogue.document()))
    messages = [each["message"] for each in json.loads(quledger("verify", "--json").out)["findings"]]
    assert any("does not say that the key is revoked" in message for message in messages)
    assert any("is revoked as of" in message for message in messages)


def test_a_revoked_key_is_not_made_good_again(home: FrozenHome, quledger: Quledger):
    """The published key that no longer says that it is revoked is a difference."""
    ring = Keyring.model_validate_json((home.folder / "keys" / "keyring.json").read_text())
    (lost,) = [key for key in ring.keys if key.revoked_at is not None]
    path = home.folder / "lab" / "backends" / "public_keys" / f"{lost.kid}.json"
    path.write_text(json.dumps(lost.model_copy(update={"revoked_at": None}).document()))
    code, out, _ = quledger("verify")
    assert code == 3
    assert f"public_keys/{lost.kid}.json does not say that the key is revoked" in out


def test_a_machine_without_keys_says_whom_it_trusts(home: FrozenHome, quledger: Quledger, tmp_path: Path):
    """Where no key is at hand `verify` says that it believed the storage; with the public parts at hand it need not."""
    ring = home.folder / "keys" / "keyring.json"
    kept = json.loads(ring.read_text())
    ring.unlink()
    code, out, _ = quledger("verify")
    assert code == 0
    assert "note: no key of the laboratory is at hand" in out
    job = done(home, signed=True)[0]["job_id"]
    assert quledger("result", job, "--json").code == 0
    assert len(json.loads(quledger("verify", "--json").out)["notes"]) == 1
    # As docs/signing.md says: the public parts of the ring are enough to check.
    program = "jq '.active = {} | .keys[] |= (del(.d) | .key_ops = \"verify\")'"
    assert program in (Path(__file__).parents[2] / "docs" / "signing.md").read_text()
    try:
        made = subprocess.run(["jq", program[4:-1]], input=json.dumps(kept), capture_output=True, text=True, check=True)
        public = made.stdout
    except FileNotFoundError:
        keys = [{name: key[name] for name in key if name != "d"} | {"key_ops": "verify"} for key in kept["keys"]]
        public = json.dumps(kept | {"active": {}, "keys": keys})
    ring.write_text(public)
    ring.chmod(0o600)
    code, out, _ = quledger("verify")
    assert code == 0
    assert "note:" not in out
