"""The published sqooler package, in an environment of its own, hands in jobs and reads what we write."""

import json

from pydantic import SecretStr

from models.documents import ResultDocument
from models.keys import Jwk
from storage import layout
from storage.providers.folder import FolderStorage
from storage.signatures.public_keys import PublicKeys
from storage.signatures.signing import Signatures
from tasks.backends.registry import load
from tests.installation import ROOT, Installation
from tests.sqooler_peer import Peer


def test_sqooler_submits_and_reads_its_result(installation: Installation, peer: Peer):
    """A job that sqooler's LocalProvider uploads is DONE for its client, with the right shots and outcomes."""
    installation.run(
        "drain", "--until-empty"
    )  # publishes the backends: the peer hands in no job to one that it does not know
    job = json.loads((ROOT / "examples" / "rydberg_blockade.json").read_text())
    good = peer(str(installation.store), "submit", "rydberg", json.dumps(job))
    bad = peer(str(installation.store), "submit", "rydberg", json.dumps({"experiment_0": {}}))
    assert peer(str(installation.store), "status", "rydberg", good)["status"] == "INITIALIZING"
    assert installation.json("drain", "--until-empty") == {"DONE": 1, "ERROR": 1}

    status = peer(str(installation.store), "status", "rydberg", good)
    assert (status["job_id"], status["status"], status["error_message"]) == (good, "DONE", "None")
    result = peer(str(installation.store), "result", "rydberg", good)
    assert result["backend_name"] == "default_rydberg_simulator"
    assert [len(each["data"]["memory"]) for each in result["results"]] == [1000, 1000]
    assert "1 1" in result["results"][0]["data"]["memory"]
    # The blockade leaves 6e-5 of a double excitation, so one in 16 runs has one among its 1000 shots.
    assert result["results"][1]["data"]["memory"].count("1 1") < 8

    failed = peer(str(installation.store), "status", "rydberg", bad)
    assert failed["status"] == "ERROR"
    assert "experiment_0" in failed["error_message"]


def test_sqooler_sees_our_backends(installation: Installation, peer: Peer):
    """Sqooler lists the published backends, reads their configuration and finds them operational."""
    installation.run("drain", "--until-empty")
    assert set(peer(str(installation.store), "backends")) >= {
        "singlequdit",
        "multiqudit",
        "fermions",
        "rydberg",
        "qubits",
    }
    config = peer(str(installation.store), "config", "multiqudit")
    assert (config["n_qubits"], config["max_shots"]) == (5, 1_000_000)
    assert config["basis_gates"] == ["rlx", "rlz", "rlz2", "rlxly", "rlzlz", "multiqudit_full"]
    status = peer(str(installation.store), "operational", "multiqudit")
    assert (status["operational"], status["backend_name"]) == (True, "default_multiqudit_simulator")
    # Its schema keeps of the data of an experiment only the memory; the header passes whole.
    (counts, value) = (
        each["header"] for each in peer(str(installation.store), "result", "qubits", _qubits(installation))["results"]
    )
    assert counts == {"name": "experiment_0", "extra metadata": "text", "counts": {"1": 5}}
    assert value == {"name": "experiment_1", "extra metadata": "text", "exp_value": -1.0, "stds": 0.0}


def _qubits(installation: Installation) -> str:
    """Put the result of a job of the qubits where a front end looks, and return the job's id."""
    program = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; bit c; x q; c = measure q;'
    exact = {"job_type": "estimation", "operator": [{"pauli": "Z 0", "coeff": 1.0}], "method": "state_vector"}
    document = {
        "experiment_0": {"program": program, "shots": 5, "memory": False},
        "experiment_1": {"program": program, "shots": 5, **exact},
    }
    backend, job_id = load("qubits"), "0123456789abcdef01234567"
    results = list(backend.execute(backend.compile(backend.validate(document), 1)))
    shell = ResultDocument(display_name="qubits", backend_version="0.1", job_id=job_id, results=results)
    FolderStorage(installation.store.as_uri()).put(layout.result("qubits", job_id), shell.model_dump_json().encode())
    return job_id


def test_sqooler_reads_and_verifies_what_we_sign(installation: Installation, peer: Peer):
    """The published package reads a signed configuration and result, finds the key, and its own check says yes."""
    installation.run("keys", "new", "--kid", "lab-1")
    document = json.loads((ROOT / "examples" / "rydberg_blockade.json").read_text())
    job = installation.submit("rydberg", document)
    assert installation.json("drain", "--until-empty", QULEDGER_SIGN="true") == {"DONE": 1}
    assert peer(str(installation.store), "config", "rydberg")["max_shots"] == 1_000_000
    assert peer(str(installation.store), "operational", "rydberg")["operational"]
    assert peer(str(installation.store), "key", "rydberg", module="signing") == installation.read(
        "backends/public_keys/lab-1.json"
    )
    assert len(peer(str(installation.store), "result", "rydberg", job)["results"]) == 2
    for path in ("backends/configs/rydberg", f"results/rydberg/{job}"):
        assert peer(str(installation.store), "verifies", path, "lab-1", module="signing") is True
    # Our own documents of revocation have a field more, which the package passes over.
    installation.run("keys", "revoke", "lab-1", "--reason", "for a test", QULEDGER_SIGN="true")
    assert peer(str(installation.store), "verifies", f"results/rydberg/{job}", "lab-1", module="signing") is True
    path = installation.store / f"results/rydberg/{job}.json"
    path.write_bytes(path.read_bytes().replace(b'"shots": 1000', b'"shots": 1001', 1))
    assert peer(str(installation.store), "verifies", f"results/rydberg/{job}", "lab-1", module="signing") is False


def test_we_sign_with_sqoolers_key_and_verify_what_sqooler_signs(installation: Installation, peer: Peer):
    """A key made by sqooler works as our setting; a document that sqooler signs holds for us until it is changed."""
    setting = peer(str(installation.store), "new_key", "theirs", module="signing")
    payload = {"job_id": "gr\u00fcn", "results": [1, 2.5, None, {"a": [True]}]}
    document = peer(str(installation.store), "sign", setting, json.dumps(payload), module="signing")
    published = PublicKeys(FolderStorage(installation.store.as_uri()))
    published.publish(Jwk.from_setting(SecretStr(setting)))
    assert Signatures(published, {}).check(json.dumps(document).encode(), "theirs") == payload
    job = installation.submit("singlequdit", json.loads((ROOT / "examples" / "rabi_oscillation.json").read_text()))
    done = installation.run("drain", "--until-empty", QULEDGER_SIGN='["singlequdit"]', QULEDGER_SIGNING_KEY=setting)
    assert setting not in done.stdout + done.stderr
    assert peer(str(installation.store), "verifies", f"results/singlequdit/{job}", "theirs", module="signing") is True
