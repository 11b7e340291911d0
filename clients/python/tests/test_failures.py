"""What a client makes of lost connections, proxies and limits."""

import json
import pickle
import threading
import traceback
from typing import Any

import pytest

from quledger_client import (
    Client,
    Conflict,
    Fault,
    JobFailed,
    JobSpec,
    NotAllowed,
    NotFound,
    QuledgerError,
    Refused,
    TimedOut,
    TooMany,
    Unreachable,
    transport,
)

TOKEN = "qlg_0123456789ab_" + "5" * 48
VIEW = {"job_id": "j1", "backend": "b", "state": "QUEUED", "version": 3, "labels": {}, "group": ""}
DONE = VIEW | {"state": "DONE", "version": 9}
DOCUMENT: dict[str, Any] = {"experiment_0": {"instructions": [], "num_wires": 1, "shots": 3}}


def problem(status: int, detail: str, *faults: dict[str, str]) -> dict[str, Any]:
    return {"type": "urn:quledger:x", "title": "T", "status": status, "detail": detail, "faults": list(faults)}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, NotAllowed),
        (403, NotAllowed),
        (404, NotFound),
        (409, Conflict),
        (413, Refused),
        (421, QuledgerError),
        (422, Refused),
        (500, QuledgerError),
    ],
)
def test_each_problem_is_an_error_of_its_kind(server: Any, say: Any, status: int, kind: type[QuledgerError]):
    server.script = [say(status, problem(status, "why not"))]
    with Client(server.url, TOKEN) as client, pytest.raises(kind, match="why not") as caught:
        client.me()
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.type) == (status, "urn:quledger:x")
    assert len(server.asked) == 1


def test_a_server_of_something_else_is_told_from_a_job_that_is_not_there(server: Any, say: Any):
    server.script = [say(404, {"detail": "Not Found"})]  # Prefect's words
    with Client(server.url, TOKEN) as client, pytest.raises(NotFound, match="no address of Quledger") as caught:
        client.me()
    assert caught.value.status == 404


def test_all_faults_are_in_a_list_and_in_the_message(server: Any, say: Any):
    faults = ({"field": "shots", "message": "got 0"}, {"field": "experiment_0.[1]", "message": "no such gate"})
    server.script = [say(422, problem(422, "shots: got 0; experiment_0.[1]: no such gate", *faults))]
    with Client(server.url, TOKEN) as client, pytest.raises(Refused) as caught:
        client.submit("b", DOCUMENT)
    assert [(each.field, each.message) for each in caught.value.faults] == [
        ("shots", "got 0"),
        ("experiment_0.[1]", "no such gate"),
    ]
    assert str(caught.value) == "2 faults:\n  - shots: got 0\n  - experiment_0.[1]: no such gate"


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_number_that_is_not_finite_is_told_in_words(server: Any, value: float):
    with Client(server.url, TOKEN) as client, pytest.raises(Refused, match="has a number that is not finite"):
        client.submit("b", {"experiment_0": {"instructions": [["rlx", [0], [value]]]}})
    assert not server.asked


def test_a_page_of_a_proxy_is_told_in_words(server: Any, say: Any):
    server.script = [say(418, b"<html>no</html>")]
    with Client(server.url, TOKEN) as client, pytest.raises(QuledgerError, match="the server answers 418"):
        client.me()
    server.script = [say(200, b"<html>welcome</html>")]
    with Client(server.url, TOKEN) as client, pytest.raises(QuledgerError, match="is this the address of a Quledger"):
        client.me()


@pytest.mark.parametrize("lost", [0, 502, 503, 504])
def test_a_submission_whose_answer_is_lost_is_sent_again_with_the_same_key(server: Any, say: Any, lost: int):
    wait = {"Retry-After": "0"}
    server.script = [say(lost, b"", wait), say(lost, b"", wait), say(201, {"job_id": "j1", "state": "QUEUED"})]
    with Client(server.url, TOKEN) as client:
        job = client.submit("b", DOCUMENT, labels={"a": "1"})
    assert (job.id, job.state, job.labels) == ("j1", "QUEUED", {"a": "1"})
    keys = [each.headers["idempotency-key"] for each in server.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_two_submissions_have_two_keys_and_a_given_one_is_kept(server: Any, say: Any):
    server.script = [say(201, {"job_id": "j1", "state": "QUEUED"})]
    with Client(server.url, TOKEN) as client:
        for key in (None, None, "mine"):
            client.submit("b", DOCUMENT, key=key)
    first, second, third = (each.headers["idempotency-key"] for each in server.asked)
    assert first != second
    assert third == "mine"


def test_what_may_not_be_done_twice_is_not_sent_twice(server: Any, say: Any):
    server.script = [say(201, {"job_id": "j1", "state": "QUEUED"}), say(0)]
    with Client(server.url, TOKEN) as client:
        job = client.submit("b", DOCUMENT)
        with pytest.raises(Unreachable):
            job.retry()
    assert len(server.asked) == 2


def test_a_cancellation_whose_answer_was_lost_is_no_error(server: Any, say: Any):
    server.script = [
        say(201, {"job_id": "j1", "state": "QUEUED"}),
        say(0),
        say(409, problem(409, "it is CANCELLED")),
        say(200, VIEW | {"state": "CANCELLED"}),
    ]
    with Client(server.url, TOKEN) as client:
        assert client.submit("b", DOCUMENT).cancel() == "CANCELLED"
        server.script = [say(409, problem(409, "it is DONE"))]
        with pytest.raises(Conflict, match="it is DONE"):
            client.run(client.calls.cancel("j1", ""))


def test_a_limit_that_is_long_over_patience_is_told_at_once(server: Any, say: Any):
    server.script = [say(429, problem(429, "so many shots a day"), {"Retry-After": "3600"})]
    with Client(server.url, TOKEN) as client, pytest.raises(TooMany, match="so many shots") as caught:
        client.submit("b", DOCUMENT)
    assert caught.value.retry_after == 3600
    assert len(server.asked) == 1


def test_a_short_limit_is_waited_for(server: Any, say: Any):
    server.script = [say(429, b"", {"Retry-After": "0"}), say(200, {"user": "ann"})]
    with Client(server.url, TOKEN) as client:
        assert client.me() == {"user": "ann"}


def test_patience_ends(server: Any, say: Any):
    server.script = [say(503, problem(503, "the log does not answer"), {"Retry-After": "0"})]
    with Client(server.url, TOKEN, patience=0.05) as client, pytest.raises(Unreachable, match="the log does not"):
        client.me()
    with Client("http://127.0.0.1:1", TOKEN, patience=0) as client, pytest.raises(Unreachable, match="nothing answers"):
        client.me()


def test_a_server_that_says_nothing_is_not_waited_for_without_end(server: Any, say: Any):
    over = threading.Event()
    server.script = lambda _asked: (over.wait(10), say(200, {}))[1]
    try:
        with (
            Client(server.url, TOKEN, timeout=0.1, patience=0) as client,
            pytest.raises(Unreachable, match=r"does not answer \(waited 0.1 s\)"),
        ):
            client.me()
    finally:
        over.set()


def test_a_wait_goes_on_where_it_was(server: Any, say: Any):
    """Through an answer that is lost, one that says nothing new, and a change."""
    server.script = [
        say(200, VIEW),
        say(0),
        say(304),
        say(200, VIEW | {"state": "EXECUTED", "version": 7}),
        say(200, DONE),
    ]
    with Client(server.url, TOKEN) as client:
        assert client.job("j1").wait(30).state == "DONE"
    assert [each.headers.get("if-none-match") for each in server.asked] == [None, '"3"', '"3"', '"3"', '"7"']
    assert all("wait=" in each.path for each in server.asked[1:])


def test_a_wait_ends_in_time(server: Any, say: Any):
    server.script = [say(200, VIEW), say(304)]
    with Client(server.url, TOKEN) as client, pytest.raises(TimedOut, match=r"is QUEUED after 0\.1 s, and goes on"):
        client.job("j1").wait(0.1)
    assert issubclass(TimedOut, TimeoutError)


def test_no_token_is_shown_by_anything(server: Any, say: Any):
    """Not by representations, and not by the values of the frames of a traceback."""
    server.script = [say(0)]
    client = Client(server.url, TOKEN, patience=0)
    with pytest.raises(Unreachable) as lost:
        client.me()
    assert lost.value.__context__ is None
    assert TOKEN not in repr(client) + repr(vars(client))
    client.close()
    with pytest.raises(ValueError, match="https://") as caught:
        Client("jobs.example.org", TOKEN)
    for error in (lost.value, caught.value):
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert len(told.stack) > 1
        assert TOKEN not in "".join(told.format())


@pytest.mark.parametrize("url", ["", "jobs", "ftp://a", "https://u:p@a", "https://a/?x=1"])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(ValueError, match="address of the server"):
        Client(url, TOKEN)


def test_what_is_no_token_is_refused():
    for token in ("", "  ", "a b", "a\n", "a\nb", "ü"):
        with pytest.raises(ValueError, match="token"):
            Client("https://a", token)


def test_a_token_that_others_could_read_on_the_way_is_warned_of():
    with pytest.warns(UserWarning, match="unencrypted"):
        Client("http://jobs.example.org", TOKEN)


def test_an_address_of_a_page_will_do():
    assert Client("https://a/ui/", TOKEN).url == "https://a"
    assert Client("https://a/lab/v1", TOKEN).url == "https://a/lab"


def test_no_proxy_sees_what_is_meant_for_this_machine(server: Any, say: Any, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.script = [say(200, {"user": "ann"})]
    with Client(server.url, TOKEN, patience=0) as client:
        assert client.me() == {"user": "ann"}
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_redirection_gets_no_token(server: Any, say: Any):
    server.script = [say(302, b"", {"Location": "http://127.0.0.1:1/"})]
    with Client(server.url, TOKEN) as client, pytest.raises(QuledgerError, match="302"):
        client.me()
    assert len(server.asked) == 1


def test_many_jobs_go_in_batches(server: Any, say: Any):
    def taken(asked: Any) -> Any:
        jobs = json.loads(asked.body)["jobs"]
        return say(200, {"jobs": [{"status": 201, "job_id": each["key"], "state": "QUEUED"} for each in jobs]})

    server.script = taken
    with Client(server.url, TOKEN) as client:
        jobs = client.submit_many([JobSpec("b", DOCUMENT, key=f"k{n}") for n in range(1001)])
        assert [job.id for job in jobs] == [f"k{n}" for n in range(1001)]
        assert len(server.asked) == 2
        large = {"experiment_0": {"note": "x" * 5_000_000}}
        client.submit_many([("b", large), ("b", large)])
        assert len(server.asked) == 4
        assert client.submit_many([]) == []


def test_a_closed_client_says_so(server: Any, say: Any):
    server.script = [say(200, {})]
    client = Client(server.url, TOKEN)
    client.me()
    client.close()
    client.close()
    with pytest.raises(QuledgerError, match="closed"):
        client.me()


def test_an_id_leads_nowhere_else(server: Any, say: Any):
    server.script = [say(404, problem(404, "no"))]
    with Client(server.url, TOKEN) as client:
        for job_id in ("../me", "..", "a/b?c#d", "a b"):
            with pytest.raises(NotFound):
                client.job(job_id)
    assert [each.path for each in server.asked] == [
        "/v1/jobs/..%2Fme",
        "/v1/jobs/%2E%2E",
        "/v1/jobs/a%2Fb%3Fc%23d",
        "/v1/jobs/a%20b",
    ]


def test_an_error_comes_whole_out_of_another_process():
    for error in (
        JobFailed("j1", "ERROR", "no light", [Fault("a", "b")]),
        Refused("m", [Fault("x", "y"), Fault("z", "w")], status=422),
        TooMany("later", retry_after=3),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_more_may_wait_than_are_held(server: Any, say: Any, monkeypatch: pytest.MonkeyPatch):
    """And another request goes past them."""
    monkeypatch.setattr(transport, "MOST_HELD", 2)
    over, held = threading.Event(), []

    def script(asked: Any) -> Any:
        if "wait=" in asked.path:
            held.append(asked.path)
            over.wait(20)
            return say(200, DONE)
        return say(200, VIEW)

    server.script = script
    with Client(server.url, TOKEN) as client:
        job = client.job("j1")
        threads = [threading.Thread(target=client.job("j1").wait, args=(30, False)) for _ in range(5)]
        for thread in threads:
            thread.start()
        while len(held) < 2:
            over.wait(0.01)
        assert job.status() == "QUEUED"
        assert len(held) == 2
        over.set()
        for thread in threads:
            thread.join(30)
        assert len(held) == 5
