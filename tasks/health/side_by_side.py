"""Asks several things at once, each in a thread, and waits for all until one moment: whatever hangs is named."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from models.health import Part
from models.words import span_of
from tasks.threads import MAY_HANG

DEADLINE = 3.0
"""So many seconds everything has to answer; with the start of a program it makes five."""


THREADS = f"{MAY_HANG}health-"
"""Begins the names of these threads."""


@dataclass(frozen=True)
class Answer:
    """What one question found.

    Attributes:
        clocks: whose clock -> by how many seconds it is ahead of ours.
    """

    parts: Sequence[Part]
    clocks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What is asked of one thing, and the parts that are unknown until it answers.

    Attributes:
        parts: names; the first one is down if there is no answer.
        asks: may block for ever.
        whose: another question's part, without whose answer there can be none: if that is silent or down, these parts
            are not known.
        do: what to do if it does not answer.
    """

    parts: tuple[str, ...]
    asks: Callable[[], Answer]
    whose: str = ""
    do: str = ""


class SideBySide:
    """Questions that are asked together, as often as somebody wants; one that still hangs is not asked again."""

    def __init__(self, deadline: float | None = None) -> None:
        self._deadline = DEADLINE if deadline is None else deadline
        self._hanging: dict[str, tuple[threading.Thread, float]] = {}

    def ask(self, questions: Sequence[Question], began: float | None = None) -> list[Answer]:
        """Return an answer to each question, in order.

        Args:
            began: since when the deadline counts, on the steady clock; by default from now on.
        """
        found: dict[str, Answer] = {}
        threads = [self._begin(question, found) for question in questions]
        until = (time.monotonic() if began is None else began) + self._deadline
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        # What is still under way may answer while this is read.
        known = dict(found)
        return [known.get(question.parts[0]) or self._silence(question, known) for question in questions]

    def _begin(self, question: Question, found: dict[str, Answer]) -> threading.Thread:
        name = question.parts[0]
        before = self._hanging.get(name)
        if before is not None and before[0].is_alive():
            return before[0]

        def ask() -> None:
            found[name] = _answer(question)

        # Nobody waits for it at the end of the process.
        thread = threading.Thread(target=ask, name=f"{THREADS}{name}", daemon=True)
        self._hanging[name] = thread, time.monotonic()
        thread.start()
        return thread

    def _silence(self, question: Question, known: Mapping[str, Answer]) -> Answer:
        seconds = time.monotonic() - self._hanging[question.parts[0]][1]
        other = [part for answer in known.values() for part in answer.parts if part.name == question.whose]
        if any(part.status in {"ok", "odd"} for part in other):
            question = replace(question, whose="")
        return Answer(parts_unknown(question, f"it has not answered for {span_of(timedelta(seconds=seconds))}"))


def _answer(question: Question) -> Answer:
    try:
        return question.asks()
    except Exception as error:  # noqa: BLE001 - one question that breaks is an answer, and no end of the others
        return Answer(parts_unknown(question, f"it could not be asked ({type(error).__name__})"))


def parts_unknown(question: Question, why: str) -> list[Part]:
    """Return the parts of a question that was not answered."""
    first, *others = question.parts
    whose = question.whose or first
    if question.whose:
        found = [Part(name=first, status="unknown", says=f"not known: {whose} does not answer")]
    else:
        found = [Part(name=first, status="down", says=why, do=question.do)]
    return [*found, *(Part(name=name, status="unknown", says=f"not known: {whose} does not answer") for name in others)]
