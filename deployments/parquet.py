"""Jobs, events and results as Parquet, written a page at a time; `COLUMNS` says what each column holds."""

import contextlib
import itertools
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from deployments.result_rows import count_rows, value_rows
from models.events import Event
from models.files import UnwritableFile
from models.job import Job

What = Literal["jobs", "events", "results"]

_TEXT, _COUNT, _NUMBER, _TIME = pa.string(), pa.int64(), pa.float64(), pa.timestamp("us", tz="UTC")


class Column(NamedTuple):
    """A column of a file."""

    name: str
    type: pa.DataType
    about: str


COLUMNS: Mapping[What, Sequence[Column]] = {
    "jobs": (
        Column("job_id", _TEXT, "id of the job"),
        Column("backend", _TEXT, "display name of the backend"),
        Column("user", _TEXT, "whose job it is"),
        Column("project", _TEXT, "what it belongs to"),
        Column("group", _TEXT, "name of its group"),
        Column("labels", pa.map_(_TEXT, _TEXT), "its labels"),
        Column("state", _TEXT, "where it stands, such as DONE"),
        Column("source", _TEXT, "how it came: inbox, cli, prefect or api"),
        Column("priority", _COUNT, "among the jobs of one user"),
        Column("received_at", _TIME, "when its front end stored it"),
        Column("submitted_at", _TIME, "when the log got it"),
        Column("updated_at", _TIME, "when its last event was recorded"),
        Column("attempts", _COUNT, "how often it was claimed"),
        Column("failures", _COUNT, "attempts that failed through no fault of the user"),
        Column("derived_from", _TEXT, "id of the job that it was made from"),
        Column("document_sha256", _TEXT, "hash of its document"),
        Column("document_bytes", _COUNT, "size of its document"),
        Column("seconds", _NUMBER, "wall time of the execution; null before it"),
        Column("cpu_seconds", _NUMBER, "CPU time of the execution; null before it"),
        Column("seed", _COUNT, "entropy of what the user did not seed; null before the execution"),
        Column("calibration", _TEXT, "hash of what the result stands on; null before the execution"),
        Column("result_sha256", _TEXT, "hash of the result as it was uploaded; null before that"),
        Column("kid", _TEXT, "key that signed the result; null where none did"),
        Column("blame", _TEXT, "whose fault an ERROR is: user, backend or infrastructure"),
        Column("reason", _TEXT, "why it is in ERROR, one line"),
    ),
    "events": (
        Column("job_id", _TEXT, "id of the job"),
        Column("seq", _COUNT, "place in the history of the job, from 0"),
        Column("attempt", _COUNT, "0 before the first claim"),
        Column("kind", _TEXT, "of the fact, such as executed"),
        Column("recorded_at", _TIME, "when it was appended"),
        Column("actor", _TEXT, "who appended it"),
        Column("flow_run_id", _TEXT, "Prefect's run; null where there was none"),
        Column("data", _TEXT, "the fact as JSON, to the letter"),
        Column("prev_hash", _TEXT, "hash of the event before"),
        Column("hash", _TEXT, "SHA-256 of the event"),
    ),
    "results": (
        Column("job_id", _TEXT, "id of the job"),
        Column("backend", _TEXT, "display name of the backend"),
        Column("experiment", _TEXT, "name of the experiment"),
        Column("shots", _COUNT, "of the experiment; of an estimation, for each group of terms"),
        Column("outcome", _TEXT, "a line of the memory; null for an expectation value"),
        Column("count", _COUNT, "how often it was seen; null for an expectation value"),
        Column("frequency", _NUMBER, "count over shots; null for an expectation value"),
        Column("exp_value", _NUMBER, "expectation value; null for counts"),
        Column("std", _NUMBER, "its standard error; null for counts"),
        Column("calibration", _TEXT, "hash of what the result stands on"),
    ),
}

Row = dict[str, Any]


@contextlib.contextmanager
def writing(path: Path, what: What) -> Iterator[pq.ParquetWriter]:
    """Write a file beside its name and put it there when it is whole; if the block raises, nothing is changed.

    Raises:
        UnwritableFile: it is no file, or cannot be written.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise UnwritableFile(path, "a folder, pipe or device is there, and no file")
        with pq.ParquetWriter(beside, _schema(what)) as writer:
            yield writer
        os.replace(beside, path)
    except OSError as error:
        raise UnwritableFile(path, error.strerror or "unknown reason") from None
    except UnicodeEncodeError:
        raise UnwritableFile(path, "its name is not UTF-8 text") from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def writer_into(file: BinaryIO, what: What) -> pq.ParquetWriter:
    """Return a writer into a file that is open; it has to be closed before the file is whole."""
    return pq.ParquetWriter(file, _schema(what))


def _schema(what: What) -> pa.Schema:
    return pa.schema([pa.field(each.name, each.type, metadata={"about": each.about}) for each in COLUMNS[what]])


def write(writer: pq.ParquetWriter, rows: Sequence[Row]) -> None:
    """Write some rows; a file without any has its columns all the same."""
    if rows:
        writer.write_table(pa.Table.from_pylist(list(rows), schema=writer.schema))


def write_all(writer: pq.ParquetWriter, rows: Iterable[Row], at_once: int) -> None:
    """Write rows as they come, some at a time."""
    coming = iter(rows)
    while part := list(itertools.islice(coming, at_once)):
        write(writer, part)


def job_rows(jobs: Iterable[Job]) -> Iterator[Row]:
    """Yield the row of each job."""
    for job in jobs:
        executed, uploaded = job.executed, job.uploaded
        row = {column.name: getattr(job, column.name, None) for column in COLUMNS["jobs"]}
        yield row | {
            "state": job.state.value,
            "labels": sorted(job.labels.items()),
            "attempts": job.attempt,
            "seconds": executed.seconds if executed else None,
            "cpu_seconds": executed.cpu_seconds if executed else None,
            "seed": executed.seed if executed else None,
            "calibration": executed.stands_on if executed else None,
            "result_sha256": uploaded.sha256 if uploaded else None,
            "kid": uploaded.kid if uploaded else None,
        }


def event_rows(events: Iterable[Event]) -> Iterator[Row]:
    """Yield the row of each event."""
    for event in events:
        yield {column.name: getattr(event, column.name) for column in COLUMNS["events"]}


def result_rows(job: Job, document: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each outcome and each expectation value of a result."""
    nothing = dict.fromkeys(column.name for column in COLUMNS["results"])
    calibration = job.executed.stands_on if job.executed else None
    of_job = nothing | {"job_id": job.job_id, "backend": job.backend, "calibration": calibration}
    shots = {each["header"]["name"]: each["shots"] for each in document["results"]}
    for row in count_rows(document):
        yield of_job | {"shots": shots[row.experiment]} | row._asdict()
    for value in value_rows(document):
        yield of_job | value._asdict()
