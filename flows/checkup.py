"""Asks all parts of the laboratory side by side how they are: the command, the flow and the API ask it here."""

import os
import time
from dataclasses import replace

from flows.prefect_api.health import question
from models import clock
from models.health import DATABASE, PREFECT, Health, Part, judge_clocks
from tasks.health.questions import prefect_of_drains, questions
from tasks.health.side_by_side import Answer, SideBySide
from tasks.services import Services


class Checkup:
    """Asks one laboratory, as often as somebody wants to know; no answer takes longer than the deadline."""

    def __init__(self, services: Services, prefect: str = "") -> None:
        """Ask nothing yet.

        Args:
            prefect: address of Prefect's API; by default `PREFECT_API_URL`, else what drains of this machine use.
        """
        self._services, self._prefect, self._asking = services, prefect, SideBySide()

    def ask(self) -> Health:
        """Ask all parts at once."""
        began = time.monotonic()
        services = self._services
        asked = questions(services)
        url = self._prefect or os.environ.get("PREFECT_API_URL", "")
        prefect = question(url) if url else replace(question(""), asks=self._ask_found, whose=DATABASE)
        found = self._asking.ask([*asked, prefect], began)
        clocks = {who: by for answer in found for who, by in answer.clocks.items()}
        parts = [part for answer in found for part in answer.parts]
        seconds = round(time.monotonic() - began, 3)
        return Health(asked_at=clock.now(), seconds=seconds, parts=(*parts, judge_clocks(clocks)))

    def _ask_found(self) -> Answer:
        """Ask the Prefect that a drain of this machine uses."""
        for url in prefect_of_drains(self._services):
            return question(url).asks()
        return Answer([Part(name=PREFECT, status="ok", says="not asked: PREFECT_API_URL is not set")])
