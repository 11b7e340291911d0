"""A laboratory that signs: keys, results, rotation, revocation, and everything that may go wrong with a key."""

import json
import os
import re
import signal
import stat
import subprocess
import sys

import pytest

from deployments.cli.app import app
from models.signing import is_signed
from tests.installation import DRAIN, ONE_BACKEND, ROOT, Installation, experiment
from tests.waiting import until

SMALL = {"experiment_0": experiment(["load", [0], [20]], ["rlx", [0], [1.0]], ["measure", [0], []], shots=50)}
ON = {"QULEDGER_SIGN": "true"}
QUICK = {"QULEDGER_LEASE_SECONDS": "2.5", "QULEDGER_PUBLISH_SECONDS": "0.5", "QULEDGER_RETRY_SECONDS": "0.1"}


def kid_of(installation: Installation, job: str) -> str | None:
    """Return with which key the log says that the result was signed."""
    (uploaded,) = [event["data"] for event in installation.history(job) if event["kind"] == "uploaded"]
    kid: str | None = uploaded["kid"]
    return kid


def findings(installation: Installation, *arguments: str, sign: str = "true") -> list[tuple[str, str, str]]:
    """Return what `quledger verify` finds, where the settings say that these backends sign."""
    done = installation.run("verify", "--no-prefect", "--json", *arguments, check=False, QULEDGER_SIGN=sign)
    found = json.loads(done.stdout)["findings"]
    return [(each["job_id"], each["what"], each["message"]) for each in found]


def test_signing_goes_on_through_rotation_and_can_be_turned_off(installation: Installation):
    """Each result is signed with the key of its time or not at all, and all of them stay verifiable."""
    installation.run("keys", "new", "--kid", "one")
    first = installation.submit("singlequdit", SMALL)
    other = installation.submit(
        "rydberg", {"experiment_0": experiment(["rlx", [0], [1.0]], ["measure", [0], []], shots=5)}
    )
    installation.run("drain", "--until-empty", QULEDGER_SIGN='["singlequdit"]')
    assert installation.states() == {first: "DONE", other: "DONE"}
    config = installation.read("backends/configs/singlequdit.json")
    assert (config["header"]["kid"], config["payload"]["sign"], config["payload"]["kid"]) == ("one", True, "one")
    unsigned = installation.read("backends/configs/rydberg.json")
    assert (unsigned["sign"], unsigned["kid"], kid_of(installation, other)) == (False, None, None)
    assert installation.read(f"results/rydberg/{other}.json")["job_id"] == other

    installation.run("keys", "rotate", "--kid", "two")
    ring = installation.home / "keys" / "keyring.json"
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    assert stat.S_IMODE(ring.parent.stat().st_mode) == 0o700
    assert [key["kid"] for key in json.loads(ring.read_text())["keys"] if key["d"]] == ["two"]
    second = installation.submit("singlequdit", SMALL)
    installation.run(*DRAIN, **ON)
    third = installation.submit("singlequdit", SMALL)
    installation.run(*DRAIN)
    assert [kid_of(installation, job) for job in (first, second, third)] == ["one", "two", None]
    assert installation.read("backends/configs/singlequdit.json")["sign"] is False
    for job, kid in ((first, "one"), (second, "two"), (third, None)):
        document = installation.read(f"results/singlequdit/{job}.json")
        assert (document["header"]["kid"] if is_signed(document) else None) == kid
        assert len(installation.json("result", job)["results"][0]["data"]["memory"]) == 50
    assert installation.json("verify")["findings"] == []
    assert {row["kid"]: row["state"] for row in installation.json("keys", "show")} == {"one": "retired", "two": "signs"}

    installation.run("keys", "revoke", "one", "--since", "2020-01-01", "--reason", "stolen")
    ((job, what, message),) = findings(installation, sign="false")
    assert (job, what) == (first, "signature")
    assert "revoked as of 2020-01-01" in message
    done = installation.run("result", first, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "not to be trusted" in done.stderr
    installation.run("keys", "revoke", "two", **ON)
    assert [job for job, _, _ in findings(installation, sign="false")] == [first]  # two was revoked after it had signed
    assert [row["state"] for row in installation.json("keys", "show")].count("signs") == 1
    # The log knows everything that is needed to come back.
    assert (
        installation.run(
            "restore", "--from", installation.store.as_uri(), QULEDGER_HOME=str(installation.home / "new")
        ).returncode
        == 0
    )


def test_what_was_changed_behind_our_back_is_named(installation: Installation):
    """Stripped, forged, foreign and broken signatures, configurations and keys are findings, and never a crash."""
    installation.run("keys", "new", "--kid", "one")
    job = installation.submit("singlequdit", SMALL)
    installation.run(*DRAIN, **ON)
    assert findings(installation) == []
    result = installation.store / f"results/singlequdit/{job}.json"
    key = installation.store / "backends/public_keys/one.json"
    config = installation.store / "backends/configs/singlequdit.json"
    good = json.loads(result.read_bytes())
    (code,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "signing.md").read_text(), re.MULTILINE | re.DOTALL
    )
    by_hand = [sys.executable, "-c", code, str(installation.store), f"results/singlequdit/{job}.json"]
    checked = subprocess.run(by_hand, capture_output=True, text=True, check=True)
    assert checked.stdout.split() == ["signed", "with", "one"]
    spoilt = {
        "not signed": good["payload"],
        "forged": good | {"payload": good["payload"] | {"backend_version": "9"}},
        "instead of one": good | {"header": good["header"] | {"kid": "nosuch"}},
        "signature is none": good | {"signature": "x"},
        "header": good | {"header": {}},
    }
    for said, document in spoilt.items():
        before = result.read_bytes()
        result.write_text(json.dumps(document))
        assert subprocess.run(by_hand, capture_output=True, check=False).returncode == 1
        assert {what for _, what, _ in findings(installation, job)} == {"result", "signature"}
        assert any(said in message for _, _, message in findings(installation, job))
        refused = installation.run("result", job, check=False)
        assert (refused.returncode, refused.stdout) == (3, "")
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
        result.write_bytes(before)

    before = config.read_bytes()
    for said, content in {
        "forged": before.replace(b'"num_wires": 1', b'"num_wires": 7'),
        "not signed": json.dumps(json.loads(before)["payload"]).encode(),
        "not JSON": before[:-9],
    }.items():
        config.write_bytes(content)
        ((_, what, message),) = findings(installation)
        assert what == "signature"
        assert message.startswith("backends/configs/singlequdit.json: ")
        assert said in message
    config.write_bytes(before)

    key.write_text(json.dumps(json.loads(key.read_text()) | {"x": "A" * 43 + "="}))
    ((_, what, message),) = findings(installation)
    assert (what, "is not the public key" in message) == ("signature", True)
    key.unlink()
    assert "is missing" in findings(installation)[0][2]
    (installation.home / "keys" / "keyring.json").unlink()
    assert {message.split(", and ")[-1] for _, _, message in findings(installation)} == {"nobody knows such a key"}


def test_a_backend_without_a_key_is_said_at_once(lone_installation: Installation):
    """A drain that has to sign and cannot ends with one sentence and code 1; the job waits."""
    installation = lone_installation
    job = installation.submit("singlequdit", SMALL)
    ring = installation.home / "keys" / "keyring.json"

    def said(**settings: str) -> str:
        done = installation.run(*DRAIN, check=False, **settings)
        assert done.returncode == 1
        assert installation.states() == {job: "QUEUED"}
        assert done.stderr.count("\n") == 1
        return done.stderr

    assert "signs and has no key; `quledger keys new` makes one" in said(**ON)
    assert "QULEDGER_SIGNING_KEY cannot be used" in said(**ON, QULEDGER_SIGNING_KEY="hunter2")
    installation.run("keys", "new")
    ring.chmod(0o640)
    assert "may be read by others (mode 0640)" in said(**ON)
    ring.chmod(0o600)
    ring.write_text(ring.read_text()[:-40])
    assert "is broken" in said(**ON)


@pytest.mark.slow
def test_a_key_that_breaks_makes_jobs_wait(installation: Installation):
    """While the key cannot be used, an executed job waits and uses up no attempt; with the key back it is DONE."""
    installation.run("keys", "new")
    ring = installation.home / "keys" / "keyring.json"
    good = ring.read_bytes()
    # A lease that a busy machine keeps: what runs out counts as a failure.
    settings = ON | QUICK | {"QULEDGER_LEASE_SECONDS": "20", "QULEDGER_MAX_ATTEMPTS": "2"}
    drain = installation.start("drain", *ONE_BACKEND, **settings)
    try:
        # One that finds the key broken as it starts says so and ends: it has to have started.
        first = installation.submit("singlequdit", SMALL)
        until(lambda: installation.states()[first] == "DONE" or drain.poll() is not None)
        ring.write_bytes(b"{")
        job = installation.submit("singlequdit", SMALL)
        until(lambda: [event["kind"] for event in installation.history(job)].count("retried") >= 3)
        assert installation.log.get(job).failures == 0
        assert not (installation.store / f"results/singlequdit/{job}.json").exists()
        ring.write_bytes(good)
        until(lambda: installation.states()[job] == "DONE")
    finally:
        drain.send_signal(signal.SIGTERM)
        output, _ = drain.communicate(timeout=60)
    assert "keyring.json in QULEDGER_HOME is broken" in output
    reasons = {event["data"]["reason"] for event in installation.history(job) if event["kind"] == "retried"}
    assert reasons == {"the key that the laboratory signs with could not be used during the upload"}
    assert [event["kind"] for event in installation.history(job)].count("executed") == 1
    assert kid_of(installation, job) is not None
    assert installation.findings() == []


def test_a_revoked_key_signs_nowhere(installation: Installation):
    """A machine that still has a key whose revocation is published does not sign with it, and says what to do."""
    installation.run("keys", "new", "--kid", "one")
    ring = installation.home / "keys" / "keyring.json"
    copied = ring.read_bytes()
    installation.run("keys", "revoke", "one")
    ring.write_bytes(copied)  # what the other machine has
    installation.submit("singlequdit", SMALL)
    done = installation.run(*DRAIN, check=False, **ON)
    assert done.returncode == 1
    assert "the key one is revoked; `quledger keys rotate`" in done.stderr
    assert not (installation.store / "backends/configs/singlequdit.json").exists()
    installation.run("keys", "rotate", "--kid", "two")
    assert installation.json(*DRAIN, **ON) == {"DONE": 1}


@pytest.mark.parametrize("kid", ["one", "two"])
def test_kill_9_between_a_signed_result_and_its_event(installation: Installation, kid: str):
    """A signed result that nobody has recorded is written again: the same bytes, or signed with the key of today."""
    installation.run("keys", "new", "--kid", "one")
    job = installation.submit("singlequdit", SMALL)
    dead = installation.run(*DRAIN, check=False, **ON, **QUICK, QULEDGER_CRASH="upload.written:kill:1")
    assert dead.returncode == -signal.SIGKILL
    path = installation.store / f"results/singlequdit/{job}.json"
    before = path.read_bytes()
    assert installation.states() == {job: "EXECUTED"}
    if kid != "one":
        installation.run("keys", "rotate", "--kid", kid)
    assert installation.json(*DRAIN, **ON, **QUICK) == {"DONE": 1}
    assert kid_of(installation, job) == kid
    assert (path.read_bytes() == before) == (kid == "one")
    assert installation.findings() == []


def test_keys_are_not_made_twice(lone_installation: Installation):
    """A key id is used once, a second `new` and a `rotate` of nothing are refused, and two at once make one key."""
    installation = lone_installation
    assert "no key to replace" in installation.run("keys", "rotate", check=False).stderr
    installation.run("keys", "new", "--kid", "one")
    for arguments, said in {
        ("new",): "signs already",
        ("new", "--backend", "rydberg", "--kid", "one"): "used once",
        ("new", "--backend", "nosuch"): "no backend is called",
        ("rotate", "--kid", "../x"): "is not a key id",
        ("show", "nosuch"): "no key has the id",
        ("revoke", "nosuch"): "no key has the id",
        ("revoke", "one", "--since", "2999-01-01"): "time to come",
    }.items():
        done = installation.run("keys", *arguments, check=False)
        assert done.returncode == 2
        assert said in done.stderr
    assert installation.json("keys", "show", "one") == installation.read("backends/public_keys/one.json")
    started = [installation.start("keys", "new", "--backend", "rydberg") for _ in range(3)]
    assert sorted(process.wait(120) for process in started) == [0, 2, 2]
    for process in started:
        process.communicate()
    assert len(os.listdir(installation.store / "backends/public_keys")) == 2


@pytest.mark.parametrize("command", ["new", "show", "rotate", "revoke"])
def test_every_command_of_keys_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    """`--help` of each command says what it does and knows `--json`."""
    app(["keys", command, "--help"], exit_on_error=False, result_action="return_value")
    text = capsys.readouterr().out
    assert "Usage: quledger keys" in text
    assert "--json" in text
