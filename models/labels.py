"""Labels: what people write on jobs to find them again, such as `sample=A7`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from models.characters import spelt_out
from models.errors import Fault, JobRejected, echo
from models.names import one_spelling

MAX_LABELS, MAX_NAME, MAX_VALUE = 32, 63, 200
MAX_BYTES = 2000
"""Of all labels of a job; an index holds them."""


class BadLabels(JobRejected):
    """Labels that no job can have; each fault names its label."""


class LabelChanges(NamedTuple):
    """What is to be set, and the names of what is to be taken away."""

    labels: dict[str, str]
    removed: tuple[str, ...]


def label_faults(labels: Mapping[str, str]) -> list[Fault]:
    """Return what is wrong with the labels that a job would have; its fields begin with `labels`."""
    faults = [_fault(name, wrong) for name, value in labels.items() for wrong in _wrong(name, value)]
    if len(labels) > MAX_LABELS:
        faults.append(Fault(field="labels", message=f"there are {len(labels)}; a job has at most {MAX_LABELS}"))
    if sum(len(f"{name}={value}\n".encode("utf-8", "replace")) for name, value in labels.items()) > MAX_BYTES:
        faults.append(Fault(field="labels", message=f"together they have at most {MAX_BYTES} bytes"))
    if len(one_spelling_of(labels)) < len(labels):
        faults.append(Fault(field="labels", message="two of the names are one, written differently"))
    return faults


def one_spelling_of(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels in the one spelling that equal names and values share (Unicode's NFC)."""
    return {one_spelling(name): one_spelling(value) for name, value in labels.items()}


def labels_said(words: Sequence[str]) -> dict[str, str]:
    """Return the labels that are given as NAME=VALUE.

    Raises:
        BadLabels: names each word that says none.
    """
    bare = [one_spelling(word).removesuffix("-") for word in words if "=" not in word]
    faults = [_fault(name, "write it as NAME=VALUE") for name in bare]
    labels: dict[str, str] = {}
    try:
        labels = changes_said([word for word in words if "=" in word]).labels
    except BadLabels as error:
        faults += error.faults
    if faults:
        raise BadLabels(*faults)
    return labels


def changes_said(words: Sequence[str]) -> LabelChanges:
    """Return the changes that are given as NAME=VALUE, and as NAME- for a label that is to go.

    Raises:
        BadLabels: names each word that says none.
    """
    labels: dict[str, str] = {}
    removed: list[str] = []
    faults: list[Fault] = []
    for word in map(one_spelling, words):
        name, equals, value = word.partition("=")
        if not equals:
            name = word.removesuffix("-")
        if not equals and name == word:
            faults.append(_fault(word, "write NAME=VALUE to set it, NAME- to take it away"))
        elif name in labels or name in removed:
            faults.append(_fault(name, "it is named twice"))
        else:
            faults += [_fault(name, wrong) for wrong in _wrong(name, value)]
            if equals:
                labels[name] = value
            else:
                removed.append(name)
    if faults:
        raise BadLabels(*faults)
    return LabelChanges(labels, tuple(removed))


def changed(labels: Mapping[str, str], changes: LabelChanges) -> dict[str, str]:
    """Return the labels of a job after changes.

    Raises:
        BadLabels: no job can have these.
    """
    after = {name: value for name, value in labels.items() if name not in changes.removed} | changes.labels
    if faults := label_faults(after):
        raise BadLabels(*faults)
    return after


def in_a_line(labels: Mapping[str, str]) -> str:
    """Return labels as people read them."""
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def change_in_a_line(labels: Mapping[str, str], removed: Sequence[str]) -> str:
    """Return a change of labels as people read it."""
    return ", ".join([*([in_a_line(labels)] if labels else []), *(f"no {name}" for name in removed)])


def _fault(name: str, message: str) -> Fault:
    return Fault(field=f"labels.{name[:MAX_VALUE]}", message=message)


def _wrong(name: str, value: str) -> Iterator[str]:
    if not 0 < len(name) <= MAX_NAME or spelt_out(name) != name or name != name.strip():
        yield f"a name has 1 to {MAX_NAME} characters that can be seen, and no blank at an end"
    elif "=" in name or name[0] == "-" or name[-1] == "-":
        yield "a name has no '=' in it, and no '-' at an end"
    if len(value) > MAX_VALUE or spelt_out(value) != value:
        yield f"the value {echo(value)} has to be at most {MAX_VALUE} characters that can be seen"
