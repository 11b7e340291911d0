"""Each call of the API: how it is asked, and what its answer means."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from quledger_client.asking import PATIENCE, ask, error_of
from quledger_client.errors import Conflict, NotFound, QuledgerError
from quledger_client.views import Calibration, Checked, Event, View, Why, moment
from quledger_client.wire import Answer, Call, Request, json_body
from quledger_client.work import JobSpec, Payload, Work, document_of, new_key

MAX_BATCH, MAX_BATCH_BYTES = 1000, 8_000_000
"""Jobs and bytes of one request; more go into several."""

PAGE = 200
JSON = {"Content-Type": "application/json"}
NPZ = {"Accept": "application/x-npz, application/json, */*;q=0.5"}


class Calls:
    """The calls, as steps to be done; they know no connection.

    Args:
        patience: seconds for which a request is sent again where no answer comes.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience

    def get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Call[Answer]:
        """Ask for something."""
        return ask(Request("GET", path, query=tuple(query)), self.patience)

    def value(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Call[Any]:
        """Ask for a JSON value."""
        answer = yield from self.get(path, query)
        return answer.json()

    def act(  # noqa: PLR0913 - one parameter an option
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        key: str | None = None,
        query: Iterable[tuple[str, str]] = (),
        is_repeatable: bool = True,
    ) -> Call[Answer]:
        """Do something; with a key it is done once, however often it is asked for."""
        headers = (JSON if body is not None else {}) | ({"Idempotency-Key": key} if key else {})
        content = None if body is None else json_body(body)
        request = Request(method, path, tuple(query), content, headers, is_repeatable=is_repeatable)
        return ask(request, self.patience)

    def backends(self) -> Call[list[View]]:
        """List the backends."""
        return self.value("/v1/backends")

    def backend(self, name: str) -> Call[View]:
        """Return one backend."""
        return self.value(f"/v1/backends/{_in_path(name)}")

    def schema(self, name: str) -> Call[dict[str, Any]]:
        """Return the JSON Schema of the documents of a backend."""
        return self.value(f"/v1/backends/{_in_path(name)}/schema")

    def calibration(self, name: str) -> Call[Calibration | None]:
        """Return the calibration of a backend that holds now; None where none was recorded."""
        periods = yield from self.value(f"/v1/backends/{_in_path(name)}/calibrations")
        now = next((each for each in periods if each["until"] is None), None)
        if now is None:
            return None
        return _calibration((yield from self.value(f"/v1/calibrations/{now['sha256']}")), now["since"])

    def stands_on(self, job_id: str) -> Call[Calibration | None]:
        """Return the calibration that the result of a job stands on; None without a result, or where none was kept."""
        events = yield from self.history(job_id)
        executed = next((each.data for each in reversed(events) if each.kind == "executed"), {})
        sha256 = executed.get("calibration_sha256") or executed.get("backend_config_sha256")
        if not sha256:
            return None
        try:
            version = yield from self.value(f"/v1/calibrations/{sha256}")
        except NotFound:  # of before there was a ledger of them
            return None
        return _calibration(version, version["recorded_at"])

    def me(self) -> Call[dict[str, Any]]:
        """Return who you are here."""
        return self.value("/v1/me")

    def submit(self, spec: JobSpec) -> Call[View]:
        """Hand in a job, once, and return it."""
        answer = yield from self.act("/v1/jobs", spec.body(), key=spec.key or new_key())
        if answer.status == HTTPStatus.OK:  # it was there before, and may have come far
            return (yield from self.job(answer.json()["job_id"]))
        view: View = spec.view() | answer.json()
        return view

    def submit_many(self, specs: Sequence[JobSpec]) -> Call[list[View | QuledgerError]]:
        """Hand in many jobs; return for each the id and state, or why it was not taken."""
        bodies = [json_body(spec.body() | {"key": spec.key or new_key()}) for spec in specs]
        found: list[View | QuledgerError] = []
        for batch in _batches(bodies):
            content = b'{"jobs":[' + b",".join(batch) + b"]}"
            request = Request("POST", "/v1/jobs:batch", body=content, headers=JSON)
            answer = yield from ask(request, self.patience)
            found += [
                error_of(answer, each["problem"]) if each.get("problem") else each for each in answer.json()["jobs"]
            ]
        return [
            each
            if isinstance(each, QuledgerError)
            else spec.view() | {name: each[name] for name in ("job_id", "state", "paused") if name in each}
            for spec, each in zip(specs, found, strict=True)
        ]

    def check(self, spec: JobSpec) -> Call[Checked]:
        """Say what is wrong with a job; nothing is stored."""
        answer = yield from self.act("/v1/check", spec.body())
        found = answer.json()
        return Checked(found["backend"], found["is_checked"], found["shots"])

    def store(self, work: Work) -> Call[Payload]:
        """Store a document for many jobs."""
        content = work.encode() if isinstance(work, str) else json_body(document_of(work))
        answer = yield from ask(Request("PUT", "/v1/payloads", body=content), self.patience)
        return Payload(answer.json()["sha256"], answer.json()["bytes"])

    def page(self, filters: Sequence[tuple[str, str]], cursor: str) -> Call[tuple[list[View], str]]:
        """Return a page of a list of jobs, and the cursor of the next one; empty on the last."""
        more = [("limit", str(PAGE)), *([("cursor", cursor)] if cursor else [])]
        found = yield from self.value("/v1/jobs", [*filters, *more])
        return found["jobs"], found["next"] or ""

    def job(self, job_id: str) -> Call[View]:
        """Return where a job stands."""
        return self.value(path_of(job_id))

    def result(self, job_id: str) -> Call[bytes]:
        """Return the result document of a job that is DONE, as its text or an .npz file; `Result` reads both."""
        headers = NPZ if find_spec("numpy") else {}
        answer = yield from ask(Request("GET", f"{path_of(job_id)}/result", headers=headers), self.patience)
        return answer.body

    def document(self, job_id: str) -> Call[dict[str, Any]]:
        """Return the document of a job."""
        return self.value(f"{path_of(job_id)}/document")

    def history(self, job_id: str) -> Call[list[Event]]:
        """Return the events of a job."""
        return [Event.of(each) for each in (yield from self.value(f"{path_of(job_id)}/history"))]

    def why(self, job_id: str) -> Call[Why]:
        """Return why a job stands where it does."""
        return Why.of((yield from self.value(f"{path_of(job_id)}/why")))

    def cancel(self, job_id: str, reason: str) -> Call[View]:
        """Cancel a job; one whose cancellation went through, and whose answer was lost, is no error."""
        try:
            answer = yield from self.act(f"{path_of(job_id)}/cancel", query=[("reason", reason)] if reason else [])
        except Conflict as error:
            view = (yield from self.job(job_id)) if error.was_repeated else {}
            if view.get("state") == "CANCELLED" or view.get("cancel_requested"):
                return view
            raise
        return answer.json()  # type: ignore[no-any-return]

    def retry(self, job_id: str) -> Call[View]:
        """Give a job that ended in ERROR another chance."""
        answer = yield from self.act(f"{path_of(job_id)}/retry", is_repeatable=False)
        return answer.json()  # type: ignore[no-any-return]

    def rerun(self, job_id: str, key: str | None, *, exact: bool) -> Call[View]:
        """Hand in the document of a job again."""
        path = f"{path_of(job_id)}/rerun"
        query = [("exact", "true")] if exact else []
        answer = yield from self.act(path, key=key or new_key(), query=query)
        return (yield from self.job(answer.json()["job_id"]))

    def label(self, job_id: str, labels: Mapping[str, str | None]) -> Call[View]:
        """Set labels of a job, and take away those that are None."""
        answer = yield from self.act(f"{path_of(job_id)}/labels", {"labels": dict(labels)}, method="PATCH")
        return answer.json()  # type: ignore[no-any-return]

    def hide(self, job_id: str) -> Call[None]:
        """Take a job that has ended out of your lists."""
        yield from self.act(path_of(job_id), method="DELETE")


def filters_of(  # noqa: PLR0913 - one parameter a filter
    label: Mapping[str, str] | str | None,
    backend: str | None,
    status: str | Iterable[str] | None,
    group: str | None,
    project: str | None,
    since: Any,
    until: Any,
) -> list[tuple[str, str]]:
    """Return what a list of jobs is narrowed to, as the API is asked.

    Args:
        label: `{"sample": "A7"}`, or the same as text, `sample=A7`.
        status: a state or several.
        since: a time with its zone, or such a text.
    """
    labels = [label] if isinstance(label, str) else [f"{name}={value}" for name, value in (label or {}).items()]
    states = [status] if isinstance(status, str) else list(status or ())
    times = {"since": since, "until": until}
    said = {"backend": backend, "group": group, "project": project} | {
        name: value if isinstance(value, str) or value is None else value.isoformat() for name, value in times.items()
    }
    return [
        *(("label", each) for each in labels),
        *(("state", each.upper()) for each in states),
        *((name, value) for name, value in said.items() if value),
    ]


def path_of(job_id: str) -> str:
    """Return where a job stands in the API."""
    return f"/v1/jobs/{_in_path(job_id)}"


def _in_path(name: str) -> str:
    # A name of dots alone would lead out of the path.
    return quote(name, safe="").replace(".", "%2E") if set(name) <= {"."} else quote(name, safe="")


def _batches(bodies: Sequence[bytes]) -> Iterable[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for body in bodies:
        if batch and (len(batch) == MAX_BATCH or size + len(body) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    if batch:
        yield batch


def _calibration(version: View, since: str | None) -> Calibration:
    content = version["content"] or {}
    withdrawn = (version["reason"] or "withdrawn") if version["withdrawn_at"] else None
    config, measured = content.get("config") or {}, content.get("calibration")
    return Calibration(version["backend"], version["sha256"], moment(since), config, measured, withdrawn)
